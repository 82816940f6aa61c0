package node

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/memory"
	"github.com/holocompute/holocompute/internal/wire"
)

// A primary that does not know that its epoch is over goes on writing: here the one
// of now, with the number of the epoch before. The member takes nothing, counts it,
// and however often it comes leaves a record a minute.
func TestWriteOfAnEpochThatIsOverIsRefusedAndOnTheRecord(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	a := c.create(c.nodes[0], "kept", victimBytes)
	id, data := holo.ArrayID(a.Id), noise(21, victimBytes)
	must(t, c.nodes[0].WriteRange(t.Context(), id, 0, data))
	dead := c.kill(2)
	await(t, "what it held is held by others", func() bool { return c.copied(id, dead) == 0 })
	awaitCopies(t, c.nodes[0], id)
	from, to, late := c.lateWrite(id)

	before := to.refusals.all()[shard.ReasonStaleMessage]
	const flood = 300
	for i := range flood {
		m := &wire.Repl{ShardHead: late.ShardHead, Commit: late.Commit, Entries: slices.Clone(late.Entries)}
		m.Entries[0].Seq += holo.Seq(i) // or it would be one message that still waits
		from.outboxes.send(to.self, m)
	}
	must(t, c.nodes[0].WriteRange(t.Context(), id, 0, data)) // takes its way behind them
	if got := to.refusals.all()[shard.ReasonStaleMessage] - before; got < flood/2 {
		t.Fatalf("%d of %d are counted", got, flood)
	}
	onRecord(t, to, "epoch.stale", shard.ReasonStaleMessage)
	if records := recordsOf(t, to, "epoch.stale"); len(records) > 3 {
		t.Errorf("the flood left %d records", len(records))
	}
	for _, n := range c.live() {
		wantBytes(t, n, a.Id, 0, data)
	}
}

// lateWrite is a write to an extent of the array that its primary could have sent to
// a member in the epoch before: it is next in order.
func (c *cluster) lateWrite(id holo.ArrayID) (from, to *Node, late *wire.Repl) {
	c.t.Helper()
	configs, err := c.nodes[0].shardConfigs(context.Background())
	must(c.t, err)
	a, err := c.nodes[0].memory.Array(context.Background(), id)
	must(c.t, err)
	for i := range a.Shape.Extents() {
		run := memory.RunOf(a, i)
		s := configs[run.Shard]
		for _, m := range s.Members {
			if m.Node != s.Primary && s.Epoch > 1 {
				from, to = c.node(s.Primary), c.node(m.Node)
				late = &wire.Repl{ShardHead: wire.ShardHead{Shard: run.Shard, Epoch: s.Epoch - 1, From: from.incarnation, To: to.incarnation}}
				page := noise(22, holo.PageSize)
				must(c.t, to.turns.Do(context.Background(), func(holo.Time) { late.Commit = to.memory.Machine().Status(run.Shard).Seq }))
				late.Entries = []wire.Entry{{Seq: late.Commit + 1, Epoch: late.Epoch, Applied: true, Mutation: wire.Mutation{
					Op: holo.OpID{Session: 1, Num: 1}, Kind: wire.MutateWrite, Array: id,
					Changes: []wire.Change{{Page: run.First, Kind: wire.PageData, Data: page, Digest: digest.Of(page)}},
				}}}
				return from, to, late
			}
		}
	}
	c.t.Fatal("no shard of the array is in a later epoch")
	return nil, nil, nil
}

func (c *cluster) node(id holo.NodeID) *Node {
	return c.live()[slices.IndexFunc(c.live(), func(n *Node) bool { return n.self == id })]
}

// wantCopiesRecorded wants the nodes that live to have recorded at least so many
// pages of which a copy was made again. Who wrote was told by then that there are
// two, so all have come: what may last is that a node is told so too, and the
// writing of a record.
func (c *cluster) wantCopiesRecorded(pages uint64) {
	c.t.Helper()
	soon(c.t, "each copy that was made again is on record", func() bool { return c.copiesRecorded() >= pages })
}

func (c *cluster) copiesRecorded() (pages uint64) {
	c.t.Helper()
	for _, n := range c.live() {
		must(c.t, n.turns.Do(context.Background(), func(holo.Time) {}))
		n.recordHappened(n.happened.rest()) // without waiting for the minute
		for _, r := range recordsOf(c.t, n, "page.rereplicated") {
			pages += r.Count
		}
	}
	return pages
}

// Each node keeps a signed record of the epochs that it goes by. Those of all nodes
// come to the same, and to what the catalogue says.
func TestEpochsOfShardsAreOnTheRecordOfEachNode(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	a := c.create(c.nodes[0], "kept", victimBytes)
	must(t, c.nodes[0].WriteRange(t.Context(), holo.ArrayID(a.Id), 0, noise(23, victimBytes)))
	dead := c.kill(2)
	await(t, "what it held is held by others", func() bool { return c.copied(holo.ArrayID(a.Id), dead) == 0 })
	awaitCopies(t, c.nodes[0], holo.ArrayID(a.Id))
	for _, n := range c.live() {
		soon(t, "a record of all epochs", func() bool {
			configs, err := c.nodes[0].shardConfigs(t.Context())
			must(t, err)
			n.recordHappened(n.happened.rest()) // without waiting for the minute
			root := memory.ConfigsRoot(configs).Hex()
			return slices.ContainsFunc(recordsOf(t, n, "shard.configured"), func(r *wire.AuditRecord) bool { return strings.HasSuffix(r.Resource, root) })
		})
		verifyLog(t, n.home.dir)
	}
}

// copied is how many pages of an array a node has a copy of.
func (c *cluster) copied(id holo.ArrayID, by *Node) (pages uint64) {
	c.t.Helper()
	extents, err := c.nodes[0].Pages(context.Background(), door.Caller{}, id)
	must(c.t, err)
	for _, e := range extents {
		if slices.Contains(e.Members, by.self.Hex()) {
			pages += e.Pages
		}
	}
	return pages
}

// A job that fails at every task all day leaves a record a minute for each reason,
// and none of its failures is left out.
func TestFloodOfRetriesIsRecordedByNumber(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	const flood = 10_000
	for i := range flood {
		n.taskRetried(holo.JobID(i), "trapped", 2)
	}
	recorded := func() (sum uint64, records int) {
		for _, r := range recordsOf(t, n, "task.retried") {
			sum, records = sum+r.Count, records+1
		}
		return sum, records
	}
	await(t, "the flood is recorded", func() bool { sum, _ := recorded(); return sum > 0 })
	n.recordHappened(n.happened.due(n.clock.now().Add(recordEvery)))
	if sum, records := recorded(); sum != 2*flood || records > 3 {
		t.Errorf("%d retries in %d records, want %d in at most 3", sum, records, 2*flood)
	}
	must(t, n.Close())
	n.recordHappened(map[happening]uint64{{"task.retried", "trapped"}: 3}) // the log is closed
	if owed := n.happened.rest()[happening{"task.retried", "trapped"}]; owed != 3 {
		t.Errorf("%d retries are still owed, want 3", owed)
	}
}
