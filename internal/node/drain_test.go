package node

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

func (c *cluster) drain(node *Node, on bool) error {
	ask := &holov1.SetDrainRequest{Node: node.self[:], On: on}
	return node.SetDrain(context.Background(), door.Ask(node, c.owner(), holov1connect.DrainServiceSetProcedure, ask), ask)
}

// stateOf is what the catalogue says of a node.
func (c *cluster) stateOf(by, node *Node) (state string, held uint32) {
	c.t.Helper()
	r, err := by.ListMembers(context.Background(), door.Caller{})
	must(c.t, err)
	for _, m := range r.Members {
		if holo.NodeID(m.Node) == node.self {
			return m.State, m.Held
		}
	}
	c.t.Fatal("no such member")
	return "", 0
}

// N-05: a node is drained under load. What has one copy and what has two moves
// to the others, every write that was acknowledged is there, and the node may
// be switched off and thrown away without a byte being lost.
func TestDrainedNodeIsSwitchedOffAndNothingIsLost(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	stays, leaves := c.nodes[0], c.nodes[1]
	once, err := c.makes(ctx, stays, &holov1.CreateArrayRequest{Name: "once", Type: "u8", Length: 3 << 20, ExtentElements: holo.PageSize, Copies: 1})
	must(t, err)
	twice := c.create(stays, "twice", 3<<20)
	data := noise(7, 3<<20)
	must(t, stays.WriteRange(ctx, holo.ArrayID(once.Id), 0, data))
	must(t, stays.WriteRange(ctx, holo.ArrayID(twice.Id), 0, data))
	if c.held(leaves) == 0 {
		t.Fatal("the node holds nothing")
	}

	end := c.load(stays, once, twice, data)
	defer end()
	must(t, c.drain(leaves, true))
	await(t, "the node to hold nothing", func() bool { state, _ := c.stateOf(stays, leaves); return state == "drained" })
	end()
	if n := c.held(leaves); n != 0 {
		t.Errorf("a drained node holds %d shards", n)
	}
	await(t, "the drained node to know", func() bool { return leaves.takesWork() != nil })
	if _, err := leaves.SubmitJob(ctx, door.Caller{}, &holov1.SubmitRequest{}); holo.ReasonOf(err) != reasonDraining {
		t.Errorf("a job for a node that drains: %v", err)
	}
	must(t, leaves.Close())
	c.nodes[1] = nil
	for _, a := range []*holov1.Array{once, twice} {
		wantBytes(t, c.nodes[2], a.Id, 0, data)
	}
	c.verifyAudit(0)
	for _, event := range []string{"node.drain.start", "node.drain.done"} {
		await(t, event, func() bool {
			return slices.ContainsFunc(c.live(), func(n *Node) bool {
				return slices.ContainsFunc(recordsOf(t, n, event), func(r *wire.AuditRecord) bool { return strings.Contains(r.Resource, leaves.self.Hex()) })
			})
		})
	}
}

// load writes to one array and reads another, page by page, until end is called.
func (c *cluster) load(by *Node, written, read *holov1.Array, data []byte) (end func()) {
	ctx := context.Background()
	var stop atomic.Bool
	var load sync.WaitGroup
	load.Go(func() {
		for i := 0; !stop.Load(); i++ {
			at := (i * holo.PageSize) % len(data)
			if err := by.WriteRange(ctx, holo.ArrayID(written.Id), uint64(at), data[at:][:holo.PageSize]); err != nil {
				c.t.Errorf("a write while shards move: %v", err)
				return
			}
			if err := by.ReadRange(ctx, holo.ArrayID(read.Id), uint64(at), make([]byte, holo.PageSize)); err != nil {
				c.t.Errorf("a read while shards move: %v", err)
				return
			}
		}
	})
	return func() { stop.Store(true); load.Wait() }
}

// held is in how many shards a node is, by the replica of the catalogue of one
// that lives.
func (c *cluster) held(node *Node) (n int) {
	c.live()[0].catalog.read(func(cat *catalog.Catalog) {
		for s := range cat.Shards().All() {
			if s.Has(node.self) {
				n++
			}
		}
	})
	return n
}

// What the others cannot hold, or too few of them, is refused, and nothing
// happens.
func TestDrainThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	by := c.nodes[0]
	c.create(by, "twice", 1<<20)
	if err := c.drain(c.nodes[1], true); holo.ReasonOf(err) != "under_replicated" {
		t.Errorf("one of two nodes, and two copies: %v", err)
	}
	if state, _ := c.stateOf(by, c.nodes[1]); state != "active" {
		t.Errorf("it is %s all the same", state)
	}
	for _, node := range []holo.NodeID{{1}, {2}} {
		if err := mayPropose(holo.NodeID{1}, &wire.NodeDrain{Node: node}); holo.ReasonOf(err) != reasonNotAllowed {
			t.Errorf("a member that drains because it says so: %v", err)
		}
	}
	ask := &holov1.SetDrainRequest{Node: by.self[:], On: true}
	if err := c.nodes[1].SetDrain(context.Background(), door.Caller{}, ask); holo.ReasonOf(err) != reasonElsewhere {
		t.Errorf("asked of another node: %v", err)
	}
}

// A leader that drains has another node lead.
func TestLeaderThatDrainsHandsOver(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	old := c.nodes[c.leads()]
	must(t, c.drain(old, true))
	await(t, "another leader", func() bool {
		for _, n := range c.nodes {
			if n != old && n.consensus.IsLeader() {
				return true
			}
		}
		return false
	})
	must(t, c.drain(old, false))
	await(t, "the node to take work again", func() bool { return old.takesWork() == nil })
}

// All voters drain: those who stay vote and lead before they go, and each may be
// switched off.
func TestVotersThatAllDrainKeepALeader(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 6)
	voters := c.nodes[0].consensus.Voters()
	var leaving, staying []*Node
	for _, n := range c.nodes {
		if slices.Contains(voters, n.self) {
			leaving = append(leaving, n)
		} else {
			staying = append(staying, n)
		}
	}
	for _, n := range leaving {
		must(t, c.drain(n, true))
	}
	await(t, "the others to vote", func() bool {
		now := staying[0].consensus.Voters()
		return len(now) == wantVoters && !slices.ContainsFunc(now, func(id holo.NodeID) bool { return slices.Contains(voters, id) })
	})
	for i, n := range c.nodes {
		if slices.Contains(leaving, n) {
			must(t, n.Close())
			c.nodes[i] = nil
		}
	}
	c.create(staying[0], "after", 1<<20)
}

// The only voter of two nodes drains: the other votes and leads, and goes on
// alone. What drains is not said to be free to go before that.
func TestOnlyVoterDrains(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	leaves, stays := c.nodes[0], c.nodes[1]
	must(t, c.drain(leaves, true))
	free := func() bool {
		r, err := stays.Status(context.Background(), door.Caller{})
		return err == nil && slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "can be switched off") })
	}
	await(t, "the node to be free to go", free)
	must(t, leaves.Close())
	c.nodes[0] = nil
	_, err := c.makes(context.Background(), stays, &holov1.CreateArrayRequest{Name: "after", Type: "u8", Length: 1, Copies: 1})
	must(t, err)
}

// N-12: a node that joins comes to hold a share of what is there, while somebody
// writes and reads all the time, and every byte is where it was.
func TestNodeThatJoinsIsGivenItsShare(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	ctx := context.Background()
	by := c.nodes[0]
	once, err := c.makes(ctx, by, &holov1.CreateArrayRequest{Name: "once", Type: "u8", Length: 4 << 20, ExtentElements: holo.PageSize, Copies: 1})
	must(t, err)
	twice := c.create(by, "twice", 4<<20)
	data := noise(8, 4<<20)
	must(t, by.WriteRange(ctx, holo.ArrayID(once.Id), 0, data))
	must(t, by.WriteRange(ctx, holo.ArrayID(twice.Id), 0, data))
	c.addDir()
	_, err = Join(ctx, JoinConfig{Dir: c.dirs[2], ConfigDir: c.configDir(2), Invite: c.invite(time.Hour).Text(), NodeName: "n2", MemoryBytes: 64 << 20})
	must(t, err)
	c.start(2)
	end := c.load(by, once, twice, data)
	defer end()
	joined := c.nodes[2]
	share := func(holds func(*wire.ShardConfig) bool) (n int) {
		c.nodes[0].catalog.read(func(cat *catalog.Catalog) {
			for s := range cat.Shards().All() {
				if holds(s) {
					n++
				}
			}
		})
		return n
	}
	await(t, "the node to hold and to lead a part", func() bool { // the whole share: TestNodeThatJoinsComesToHoldItsShare
		copies := share(func(s *wire.ShardConfig) bool { return s.Has(joined.self) })
		leads := share(func(s *wire.ShardConfig) bool { return s.Primary == joined.self })
		return copies >= 16 && leads >= 16
	})
	end()
	for _, a := range []*holov1.Array{once, twice} {
		wantBytes(t, joined, a.Id, 0, data)
	}
}

// A voter that was replaced, because it drains or was dead, goes on following the
// catalogue: it knows what is decided, and who leads, and may vote again.
func TestReplacedVoterStillFollows(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	voters := c.nodes[0].consensus.Voters()
	i := slices.IndexFunc(c.nodes, func(n *Node) bool { return slices.Contains(voters, n.self) && !n.consensus.IsLeader() })
	leaves, stays := c.nodes[i], c.nodes[(i+1)%4]
	must(t, c.drain(leaves, true))
	await(t, "the voter to be replaced", func() bool { return !slices.Contains(stays.consensus.Voters(), leaves.self) })
	a := c.create(stays, "after", 1<<20)
	await(t, "it to know what is decided since", func() (known bool) {
		leaves.catalog.read(func(cat *catalog.Catalog) { _, known = cat.ArrayByID(holo.ArrayID(a.Id)) })
		return known
	})
}
