package placement

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

func TestDrainingNodesAreGivenNothing(t *testing.T) {
	tab := living(t, 4)
	nodes := tab.Alive()
	if err := tab.Drain(nodes[1].Node, true); err != nil {
		t.Fatal(err)
	}
	if err := tab.Create(2); err != nil {
		t.Fatal(err)
	}
	if n := tab.Held(nodes[1].Node); n != 0 || len(tab.Open()) != 3 || len(tab.Alive()) != 4 {
		t.Errorf("a node that drains was given %d shards, %d are open", n, len(tab.Open()))
	}
	back, err := FromRecord(tab.Record())
	if err != nil || len(back.Open()) != 3 {
		t.Errorf("a table that is read again: %v", err)
	}
	if err := tab.Drain(nodes[1].Node, false); err != nil || len(tab.Open()) != 4 {
		t.Errorf("taken back: %v", err)
	}
}

func TestDrainLeavesEnoughNodesToWrite(t *testing.T) {
	tab := living(t, 3)
	nodes := tab.Alive()
	for _, class := range []holo.Class{1, 2} {
		if err := tab.Create(class); err != nil {
			t.Fatal(err)
		}
	}
	if err := tab.Drain(nodes[0].Node, true); err != nil {
		t.Fatal(err)
	}
	if err := tab.Drain(nodes[0].Node, true); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := tab.Drain(nodes[1].Node, true); holo.ReasonOf(err) != ReasonFloor || tab.drains(nodes[1].Node) {
		t.Errorf("one of the last two: %v", err)
	}
	if err := tab.Drain(holo.NodeID{9, 9}, true); holo.KindOf(err) != holo.NotFound {
		t.Errorf("a stranger: %v", err)
	}
	c, _ := tab.Get(holo.MakeShardID(2, 7))
	for _, id := range tab.Leaving(&c) {
		if id != nodes[0].Node {
			t.Errorf("node %s leaves shard %d", id, c.Shard)
		}
	}
}

// living is a table of living nodes.
func living(t *testing.T, n byte) *Table {
	t.Helper()
	tab := NewTable()
	for i := range n {
		id := holo.NodeID{i + 1}
		if err := tab.Admit(id, 1024); err != nil {
			t.Fatal(err)
		}
		if _, err := tab.Register(&wire.NodeRegister{Node: id, Incarnation: holo.Incarnation(i) + 1}); err != nil {
			t.Fatal(err)
		}
	}
	return tab
}
