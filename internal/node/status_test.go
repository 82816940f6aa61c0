package node

import (
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Who restarts one node after the other looks at the status in between: a shard
// whose copy on the last one went with its process is not whole, though the
// catalogue has yet to notice.
func TestShardsOfARestartedNodeAreNotWhole(t *testing.T) {
	t.Parallel()
	a, b, c := holo.NodeID{1}, holo.NodeID{2}, holo.NodeID{3}
	nodes := []*holov1.Node{{Id: a.Hex(), State: "active"}, {Id: b.Hex(), State: stateRestarting}, {Id: c.Hex(), State: "active"}}
	configs := map[holo.ShardID]wire.ShardConfig{}
	for i, members := range [][]holo.NodeID{{a, b}, {b, c}, {a, c}, {b}} {
		s := wire.ShardConfig{Shard: holo.MakeShardID(2, uint64(i)), Primary: members[0]}
		for _, m := range members {
			s.Members = append(s.Members, wire.Member{Node: m, Incarnation: 1})
		}
		configs[s.Shard] = s
	}
	if n := emptied(nodes, configs); n != 2 {
		t.Errorf("%d whole shards have lost a copy, want 2: the last is short anyway", n)
	}
}
