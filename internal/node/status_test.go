package node

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/door"
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

// So does who asks where an array lies: a copy that went with its process is none,
// and where it was the last one the extent is lost.
func TestExtentsOfARestartedNodeAreNotWhole(t *testing.T) {
	t.Parallel()
	a, b, c := holo.NodeID{1}, holo.NodeID{2}, holo.NodeID{3}
	lives := map[holo.NodeID]holo.Incarnation{a: 1, b: 2} // b was restarted, and c does not answer
	for _, s := range []struct {
		class     holo.Class
		members   []holo.NodeID
		suspended []wire.Member
		want      string
		left      int
	}{
		{2, []holo.NodeID{a, b}, nil, "refusing_writes", 1},
		{2, []holo.NodeID{a, c}, nil, "ok", 2},
		{3, []holo.NodeID{a, b, c}, nil, "under_replicated", 2},
		{1, []holo.NodeID{b}, nil, "lost", 0},
		{2, []holo.NodeID{b}, []wire.Member{{Node: a, Incarnation: 1}}, "refusing_writes", 0},
	} {
		config := wire.ShardConfig{Shard: holo.MakeShardID(s.class, 0), Primary: s.members[0], Suspended: s.suspended}
		for _, m := range s.members {
			config.Members = append(config.Members, wire.Member{Node: m, Incarnation: 1})
		}
		e := extentOut(&wire.ArrayRecord{}, 0, wire.PageRun{Shard: config.Shard}, held(config, lives))
		if e.GetState() != s.want || len(e.GetMembers()) != s.left {
			t.Errorf("%d copies on %v: %v", s.class, s.members, e)
		}
		if len(config.Members) != len(s.members) {
			t.Error("the configuration itself is changed")
		}
	}
}

// Where nobody has led for longer than a lease, the status is what this node knows,
// and comes soon: four seconds are what a busy machine is given for one.
func TestStatusWithoutALeaderComesSoon(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	n := c.nodes[0]
	c.kill(1)
	c.kill(2)
	await(t, "nobody leads any more", func() bool { return n.patience() == statusPatience })
	ctx, cancel := within(t.Context(), 4*statusPatience)
	defer cancel()
	s, err := n.Status(ctx, door.Caller{})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.GetNodes()) != 3 || s.GetNode() != n.self.Hex() || s.GetLeader() != "" {
		t.Errorf("node %s tells of %d nodes, led by %q", s.GetNode(), len(s.GetNodes()), s.GetLeader())
	}
	_, said, _ := strings.Cut(strings.Join(s.GetWarnings(), "\n"), "No leader of the catalogue has answered for ")
	said, _, _ = strings.Cut(said, ":")
	if silent, err := time.ParseDuration(said); err != nil || silent < 3*time.Second {
		t.Errorf("it says that nobody has led for %q, want what is longer than a lease", said)
	}
}

// So it is without a leader, also while a session with the node is still open.
func TestNodeThatDoesNotAnswerIsNotActiveWithoutALeader(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	n := c.nodes[0]
	active := func() (count int) {
		for _, o := range n.statusAlone(t.Context()).Nodes {
			if o.State == "active" {
				count++
			}
		}
		return count
	}
	await(t, "all nodes answer", func() bool { return active() == 3 })
	stuck := c.nodes[1]
	stuck.group.Cancel() // its sessions stay open
	if count := active(); count != 2 {
		t.Errorf("%d nodes are called active, want the two that answer", count)
	}
	if len(n.peers.Sessions(stuck.self)) == 0 {
		t.Error("control: no session with the node that does not answer is open")
	}
}

// Who does not answer is not called active, nor dead before its lease is over.
func TestNodeThatDoesNotAnswerIsSuspect(t *testing.T) {
	t.Parallel()
	silence := holo.Refuse(holo.Unavailable, reasonUnreachable, "no answer")
	for _, s := range []struct {
		alive, draining bool
		life            holo.Incarnation // in which it answers; 0: it does not
		want            string
	}{
		{true, false, 7, "active"}, {true, false, 8, stateRestarting}, {true, false, 0, stateSuspect},
		{true, true, 7, "drained"}, {true, true, 0, stateSuspect}, {false, false, 0, "dead"},
	} {
		r := &wire.NodeRecord{Alive: s.alive, Draining: s.draining, Incarnation: 7}
		u, err := &wire.Usage{Incarnation: s.life}, error(nil)
		if s.life == 0 {
			u, err = nil, silence
		}
		if got := stateNow(r, u, err); got != s.want {
			t.Errorf("%+v is %s", s, got)
		}
	}
}

// A node that was killed is suspect at once, for whoever asks, and then dead.
func TestKilledNodeIsNeverCalledActive(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	dead := c.kill(slices.IndexFunc(c.nodes, func(n *Node) bool { return !n.consensus.IsLeader() && n != c.nodes[0] }))
	await(t, "the killed node is called dead", func() bool {
		s, err := c.nodes[0].Status(t.Context(), door.Caller{})
		must(t, err)
		for _, n := range s.Nodes {
			if n.Id == dead.self.Hex() {
				if n.State == "active" {
					t.Fatal("it is called active")
				}
				return n.State == "dead"
			}
		}
		return false
	})
}
