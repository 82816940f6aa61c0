package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/memory"
	"github.com/holocompute/holocompute/internal/scrub"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// join makes one more node, by way of the nodes that an invite names.
func (c *cluster) join(invite func() []string) {
	c.t.Helper()
	i := len(c.dirs)
	c.addDir()
	made := c.invite(time.Hour)
	if invite != nil {
		made.Addresses = invite()
	}
	_, err := Join(context.Background(), JoinConfig{
		Dir: c.dirs[i], ConfigDir: c.configDir(i), Invite: made.Text(), NodeName: "n" + string(rune('0'+i)), MemoryBytes: 64 << 20,
	})
	must(c.t, err)
	c.start(i)
}

func TestTwoNodesHaveOneVoterAndTheOtherServesAllTheSame(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	ctx := context.Background()
	other := c.nodes[1]
	if other.consensus.IsLeader() || len(other.consensus.Voters()) != 0 {
		t.Fatalf("the second node of two takes part in Raft: %v", other.consensus.Voters())
	}
	a := c.create(other, "here", 2<<20)
	data := noise(20, 2<<20)
	must(t, other.WriteRange(ctx, holo.ArrayID(a.Id), 0, data))
	wantBytes(t, c.nodes[0], a.Id, 0, data)
	if a.Copies != 2 {
		t.Errorf("%d copies by default on two nodes, want 2", a.Copies)
	}
	s, err := other.Status(ctx, door.Caller{})
	must(t, err)
	if len(s.Voters) != 1 || s.Voters[0].Id != c.nodes[0].self.Hex() || len(s.Nodes) != 2 || s.Shards.Full != holo.ShardCount {
		t.Errorf("status of two nodes: %v", s)
	}
	if !strings.Contains(strings.Join(s.Warnings, " "), c.nodes[0].self.String()) {
		t.Errorf("status does not say which node is the voter: %q", s.Warnings)
	}

	// The third joins through the node that is no voter, and makes voters of all.
	c.join(func() []string { return []string{other.Addr()} })
	c.settle()
	wantBytes(t, c.nodes[2], a.Id, 0, data)
}

func TestNodesBeyondTheVotersAreFed(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	ctx := context.Background()
	var spare *Node
	for _, n := range c.nodes {
		if len(n.consensus.Voters()) == 0 {
			spare = n
		}
	}
	if spare == nil {
		t.Fatal("all four nodes are voters")
	}
	a := c.create(spare, "fed", 4<<20)
	data := noise(21, 4<<20)
	must(t, spare.WriteRange(ctx, holo.ArrayID(a.Id), 0, data))
	for _, n := range c.nodes {
		wantBytes(t, n, a.Id, 0, data)
	}
	// When a voter dies the fourth node takes its place.
	for i, n := range c.nodes {
		if n != spare && !n.consensus.IsLeader() {
			c.kill(i)
			break
		}
	}
	await(t, "the fourth node votes", func() bool {
		for _, n := range c.live() {
			if len(n.consensus.Voters()) != wantVoters {
				return false
			}
		}
		return true
	})
	wantBytes(t, spare, a.Id, 0, data)
}

func TestStatusOfOneNodeSaysThatNothingSurvivesIt(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	c.create(n, "array", 1<<20)
	s, err := n.Status(context.Background(), door.Caller{})
	must(t, err)
	self := s.Nodes[0]
	switch {
	case s.Cluster != n.cluster.String() || s.Leader != n.self.Hex() || s.CatalogIndex == 0:
		t.Errorf("status: %v", s)
	case s.DefaultCopies != 1 || s.MinAck != 1 || !strings.Contains(s.Warnings[0], "nothing in memory survives"):
		t.Errorf("status of one node promises %d copies, %d to acknowledge, warns %q", s.DefaultCopies, s.MinAck, s.Warnings)
	case !self.Lease || !self.Voter || self.State != "active" || self.CapacityBytes != 64<<20 || self.Primaries != holo.ShardCount:
		t.Errorf("the node in its own status: %v", self)
	}
	if !strings.HasPrefix(n.Addr(), "127.0.0.1:") {
		t.Errorf("the node listens on %s, though nobody asked for more than loopback", n.Addr())
	}
}

func TestWritesBeyondANodesMemoryAreRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n, ctx := c.nodes[0], context.Background()
	a := c.create(n, "tight", 8<<20)
	must(t, n.WriteRange(ctx, holo.ArrayID(a.Id), 0, noise(22, 2<<20)))
	must(t, n.turns.Do(ctx, func(holo.Time) { n.memory.Machine().SetCapacity(3 << 20) }))
	must(t, n.WriteRange(ctx, holo.ArrayID(a.Id), 0, noise(23, 2<<20))) // over what is there
	must(t, n.WriteRange(ctx, holo.ArrayID(a.Id), 2<<20, noise(24, 1<<20)))
	wantRefused(t, n.WriteRange(ctx, holo.ArrayID(a.Id), 3<<20, noise(25, 1<<20)), holo.Exhausted, shard.ReasonMemory)
	must(t, n.FillRange(ctx, holo.ArrayID(a.Id), 3<<20/8, 8192, make([]byte, 8))) // zeros take none
}

// TestTamperedPageOfAMemberIsRefusedAndReadElsewhere changes a sealed page in
// the memory of its home, which serves it over a valid session with a digest
// that fits the wrong bytes. The reader compares with what was sealed.
func TestTamperedPageOfAMemberIsRefusedAndReadElsewhere(t *testing.T) {
	t.Parallel()
	c := found(&cluster{t: t, root: t.TempDir(), scrub: scrub.LeastRate}, 3)
	ctx, data := context.Background(), noise(26, holo.PageSize-8)
	a, run, liar, reader := c.unhashed(data)
	id := holo.ArrayID(a.Id)
	views, err := liar.views(ctx, id, run)
	must(t, err)
	must(t, liar.turns.Do(ctx, func(holo.Time) { views[0].Data[100] ^= 1 })) // on the goroutine that hands pages out

	lie, err := reader.ask(ctx, liar.self, transport.Data, &wire.RangeRead{Array: id, Sealed: true, Run: run})
	must(t, err)
	if digest.Of(lie.(*wire.PageFrame).Data) == digest.Of(append(make([]byte, 8), data...)) {
		t.Fatal("the liar does not lie")
	}
	wantBytes(t, reader, a.Id, 8, data)
	if got := reader.refusals.all()[reasonDigest]; got == 0 {
		t.Error("the wrong page was not counted")
	}
}

// views is what a node's replica has of some sealed pages.
func (n *Node) views(ctx context.Context, id holo.ArrayID, run wire.PageRun) (views []shard.View, err error) {
	req := shard.ReadRequest{Shard: run.Shard, Sealed: true}
	for i := range run.Count {
		req.Pages = append(req.Pages, holo.PageID{Array: id, Index: run.First + holo.PageIndex(i)})
	}
	posted := n.turns.Do(ctx, func(now holo.Time) {
		var read *shard.Read
		if read, err = n.memory.Machine().BeginRead(now, req); err == nil {
			views, err = read.Pages, n.memory.Machine().FinishRead(now, read)
		}
	})
	return views, errors.Join(posted, err)
}

// unhashed makes a sealed array of one page, from byte 8 on, of which the home has
// no digest yet, and finds the home and a node that holds nothing of it. Where the
// home was just reading its pages again, it makes another.
func (c *cluster) unhashed(data []byte) (a *holov1.Array, run wire.PageRun, home, other *Node) {
	c.t.Helper()
	ctx, by := context.Background(), c.nodes[0]
	for i := range 5 {
		a = c.create(by, fmt.Sprintf("tampered-%d", i), 1<<20)
		id := holo.ArrayID(a.Id)
		must(c.t, by.WriteRange(ctx, id, 8, data)) // a delta: the page is not hashed yet
		_, err := c.seals(ctx, by, id)
		must(c.t, err)
		rec, err := by.memory.Array(ctx, id)
		must(c.t, err)
		run = memory.RunOf(rec, 0)
		run.Count = 1
		config, _ := by.memory.Configs.Get(run.Shard)
		for _, n := range c.nodes {
			if n.self == config.Primary {
				home = n
			} else if !config.Has(n.self) {
				other = n
			}
		}
		if views, err := home.views(ctx, id, run); err == nil && !views[0].Hashed {
			return a, run, home, other
		}
	}
	c.t.Fatal("each page has a digest already: its home would notice")
	return nil, run, nil, nil
}

func TestDeletionThatBrokeOffIsFinishedByTheLeader(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n, ctx := c.nodes[0], context.Background()
	a := c.create(n, "abandoned", 1<<20)
	must(t, n.WriteRange(ctx, holo.ArrayID(a.Id), 0, noise(27, 1<<20)))
	ask := c.asks(n, holov1connect.ArrayServiceDeleteProcedure, &holov1.DeleteRequest{Array: a.Id})
	_, err := n.propose(ctx, n.asked(ask))
	must(t, err)
	await(t, "the pages are dropped", func() bool { return n.resident(t) == 0 })
}

func TestListsLongerThanAMessageComeInParts(t *testing.T) {
	t.Parallel()
	found := make([]wire.Message, 3)
	for i := range found {
		found[i] = &wire.KernelRecord{Name: strings.Repeat("k", 50), Functions: []string{strings.Repeat("f", wire.ItemsSize/2)}}
	}
	var parts, items int
	for cursor := uint64(0); parts == 0 || cursor != 0; parts++ {
		r := page(found, cursor, true)
		items += len(r.Items)
		cursor = r.More
	}
	if parts != 3 || items != 3 {
		t.Errorf("3 items of half a message came as %d items in %d parts", items, parts)
	}
}
