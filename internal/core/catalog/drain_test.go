package catalog

import (
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// N-05: the nodes that stay must be able to hold what there is: the bytes, and
// the copies. Otherwise nothing happens.
func TestDrainThatTheOthersCannotHoldIsRefused(t *testing.T) {
	w := settled(t, 3)
	w.array("most", 300, 2)
	err := w.refused(ReasonQuota, &wire.NodeDrain{Node: node(3), On: true})
	if !strings.Contains(err.Error(), "the arrays take 600 MiB, and the 2 nodes that would be left offer 512 MiB") {
		t.Error(err)
	}
	if r, _ := w.Node(node(3)); r.Draining || w.Room().Memory != 768<<20 {
		t.Error("it drains all the same")
	}
	w.do(&wire.ArrayDelete{Array: 1})
	w.do(&wire.ArrayPurge{Array: 1})
	w.array("thrice", 10, 3)
	w.refused(ReasonFewNodes, &wire.NodeDrain{Node: node(3), On: true})
	w.do(&wire.ArrayDelete{Array: 2})
	w.do(&wire.NodeDrain{Node: node(3), On: true})
	r, _ := w.Node(node(3))
	if !r.Draining || r.Held == 0 || r.Changed != w.Version() || w.Room().Memory != 512<<20 {
		t.Errorf("a node that drains: %+v, room %+v", r, w.Room())
	}
	w.refused(ReasonFewNodes, create("thrice", 1, 3)) // nobody is to hold a third copy
	w.do(&wire.NodeDrain{Node: node(3)})
	if r, _ := w.Node(node(3)); r.Draining {
		t.Error("it was taken back, and drains")
	}
	w.array("thrice", 1, 3)
}

// The attack: a member, or the leader, drains nodes in an operator's name, or
// has the grant of one node serve at another.
func TestDrainNeedsWhoMayAskThatNode(t *testing.T) {
	w := settled(t, 3)
	drain := func(by string, n, at int) *wire.Asked {
		to := node(n)
		return w.askedAt(by, node(at), w.ask(by, setDrain, &holov1.SetDrainRequest{Node: to[:], On: true}))
	}
	w.forged(ReasonUnsigned, &wire.NodeDrain{Node: node(2), On: true})
	w.refused(ReasonNotGranted, drain("maker", 2, 2))
	w.grant("owner", give("op", holo.RoleOperator, holo.Scope{Nodes: []holo.NodeID{node(2)}}))
	w.refused(ReasonNotGranted, drain("op", 3, 3))
	w.refused(ReasonSession, drain("op", 3, 2))
	if w.staying() != 3 {
		t.Fatal("a node drains")
	}
	w.do(drain("op", 2, 2))
	if w.staying() != 2 {
		t.Error("the node does not drain")
	}
}
