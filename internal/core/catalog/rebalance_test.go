package catalog

import (
	"bytes"
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// The attack: a member, or the leader, has copies moved in an operator's name, or
// whoever may see the cluster does. It takes the right that a drain takes, at the
// node that was asked, and a cluster whose members all know the command.
func TestRebalanceNeedsTheRightToDrain(t *testing.T) {
	w := settled(t, 3)
	by := func(who string, at int) *wire.Asked {
		return w.askedAt(who, node(at), w.ask(who, rebalance, &holov1.StartBalanceRequest{}))
	}
	w.refused(ReasonVersion, by("owner", 1))
	for n := 1; n <= 3; n++ {
		if err := w.says(n, 1, 2); err != nil {
			t.Fatal(err)
		}
	}
	w.forged(ReasonUnsigned, &wire.Rebalance{})
	w.refused(ReasonNotGranted, by("maker", 1))
	w.grant("owner", give("op", holo.RoleOperator, holo.Scope{Nodes: []holo.NodeID{node(2)}}))
	w.refused(ReasonNotGranted, by("op", 3))
	w.do(by("op", 2))
	w.do(by("owner", 3))
}

// The shards stay as they are: what is moved is the keeper's business, step by
// step.
func TestRebalanceChangesNoShard(t *testing.T) {
	w := settled(t, 2)
	for n := 1; n <= 2; n++ {
		if err := w.says(n, 1, 2); err != nil {
			t.Fatal(err)
		}
	}
	w.array("twice", 1, 2)
	before := wire.Encode(w.Shards().Record())
	w.do(w.ask("owner", rebalance, &holov1.StartBalanceRequest{}))
	after := w.Shards().Record()
	after.Version = 0
	was, err := wire.Decode(before)
	if err != nil {
		t.Fatal(err)
	}
	was.(*wire.ShardTable).Version = 0
	if !bytes.Equal(wire.Encode(was), wire.Encode(after)) {
		t.Error("shards are changed")
	}
}
