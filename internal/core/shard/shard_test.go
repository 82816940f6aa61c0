package shard

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"weak"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

func TestPagesChangeAsTheirChangesSay(t *testing.T) {
	g := newGroup(t, 2, 2, 2, DefaultLimits())
	id := at(1, 5)
	if got := g.bytesAt(id, 0, 4); !bytes.Equal(got, make([]byte, 4)) {
		t.Errorf("a page never written reads %v", got)
	}
	for _, step := range []struct {
		change wire.Change
		offset int
		want   []byte
	}{
		{fill(5, 1, 2), 100, []byte{1, 2, 1, 2}},
		{delta(5, 101, 9, 9), 100, []byte{1, 9, 9, 2}},
		{whole(5, 7), 65532, []byte{7, 7, 7, 7}},
		{delta(5, 65535, 8), 65532, []byte{7, 7, 7, 8}},
		{wire.Change{Page: 5, Kind: wire.PageZero}, 65532, []byte{0, 0, 0, 0}},
	} {
		if a := g.submit(writeTo(1, step.change)); a.Err != nil {
			t.Fatal(a.Err)
		}
		if got := g.bytesAt(id, step.offset, 4); !bytes.Equal(got, step.want) {
			t.Errorf("after a change of kind %d: %v, want %v", step.change.Kind, got, step.want)
		}
	}
}

// What a reader holds never changes, whatever is written afterwards.
func TestAReadersBytesAreNeverModified(t *testing.T) {
	g := newGroup(t, 2, 2, 2, DefaultLimits())
	g.submit(writeTo(1, whole(0, 7)))
	v, err := g.read(0, at(1, 0), false)
	if err != nil {
		t.Fatal(err)
	}
	g.submit(writeTo(1, delta(0, 10, 1, 2, 3)))
	if v.Data[10] != 7 || digest.Of(v.Data) != v.Sum() {
		t.Error("a page changed under its reader")
	}
}

func TestChangesOfOneMutationBuildOnOneAnother(t *testing.T) {
	g := newGroup(t, 2, 2, 2, DefaultLimits())
	g.submit(writeTo(1, fill(0, 5), delta(0, 0, 1), delta(0, 1, 2)))
	if got := g.bytesAt(at(1, 0), 0, 3); !bytes.Equal(got, []byte{1, 2, 5}) {
		t.Errorf("the page begins %v", got)
	}
}

func TestCompareAndSetComparesWithAllThatIsOrderedBefore(t *testing.T) {
	g := newGroup(t, 2, 2, 2, DefaultLimits())
	swap := func(expect, value byte) wire.Mutation {
		return wire.Mutation{Kind: wire.MutateSwap, Array: 1, Expect: []byte{expect}, Changes: []wire.Change{delta(0, 3, value)}}
	}
	first, second := g.start(swap(0, 1)), g.start(swap(0, 2)) // neither is committed yet
	g.settle()
	if a, b := g.answers[first], g.answers[second]; !a.Applied || b.Applied || a.Err != nil || b.Err != nil {
		t.Errorf("two swaps from 0: %+v and %+v", a, b)
	}
	if a := g.submit(swap(1, 3)); !a.Applied {
		t.Errorf("a swap from 1: %+v", a)
	}
	if got := g.bytesAt(at(1, 0), 3, 1); got[0] != 3 {
		t.Errorf("the byte is %d", got[0])
	}
}

// Two attempts at one task have different operation IDs; one takes effect.
func TestATaskTakesEffectOnce(t *testing.T) {
	g := newGroup(t, 2, 2, 2, DefaultLimits())
	commit := func(b byte) wire.Mutation {
		return wire.Mutation{Kind: wire.MutateTask, Array: 1, Job: 4, Task: 2, Changes: []wire.Change{fill(0, b)}}
	}
	a, b := g.submit(commit(1)), g.submit(commit(2))
	if a.Err != nil || b.Err != nil || a.Duplicate || !b.Duplicate || a.Version != b.Version {
		t.Errorf("two attempts: %+v and %+v", a, b)
	}
	if got := g.bytesAt(at(1, 0), 0, 1); got[0] != 1 {
		t.Errorf("the page holds %d", got[0])
	}
}

func TestSealedArraysAreReadAnywhereAndWrittenNowhere(t *testing.T) {
	g := newGroup(t, 2, 3, 2, DefaultLimits())
	g.submit(writeTo(1, fill(0, 7), whole(1, 8)))
	if _, err := g.read(1, at(1, 0), true); holo.ReasonOf(err) != "not_sealed_here" {
		t.Errorf("a member shows a mutable page: %v", err)
	}
	if a := g.submit(wire.Mutation{Kind: wire.MutateSeal, Array: 1}); a.Err != nil {
		t.Fatal(a.Err)
	}
	g.tick(DefaultTiming().Resend) // tells the members that it is committed
	g.settle()
	v, err := g.read(1, at(1, 0), true)
	if err != nil || v.Data[0] != 7 {
		t.Errorf("a member does not show a sealed page: %v", err)
	}
	if _, err := g.read(2, at(1, 0), true); err == nil {
		t.Error("a node without a copy shows a page")
	}
	if a := g.submit(writeTo(1, fill(0, 9))); holo.ReasonOf(a.Err) != "sealed" {
		t.Errorf("a sealed array was written: %+v", a)
	}
	for i := range 2 {
		views, err := g.machines[i].Digests(g.now, 1, g.config.Shard)
		if err != nil || len(views) != 2 || views[1].Content() != digest.Of(whole(1, 8).Data) {
			t.Errorf("node %d: digests of %d pages, %v", i, len(views), err)
		}
	}
}

// Until a deletion, or a seal, is committed readers are shown the array as it was,
// so no writer is told of it.
func TestMarkIsNotToldBeforeItIsCommitted(t *testing.T) {
	for kind, reason := range map[wire.MutationKind]string{wire.MutateDrop: "dropped", wire.MutateSeal: "sealed"} {
		g := newGroup(t, 2, 2, 2, DefaultLimits())
		g.submit(writeTo(1, whole(0, 1)))
		g.start(wire.Mutation{Kind: kind, Array: 1}) // nothing is delivered
		id := g.start(writeTo(1, fill(0, 2)))
		if a := g.answers[id]; holo.KindOf(a.Err) != holo.Unavailable || holo.ReasonOf(a.Err) == reason {
			t.Errorf("before it is committed: %v", a.Err)
		}
		if _, err := g.read(0, at(1, 0), false); err != nil {
			t.Errorf("before it is committed: %v", err)
		}
		g.settle()
		if a := g.submit(writeTo(1, fill(0, 2))); holo.ReasonOf(a.Err) != reason {
			t.Errorf("after it: %v, want %s", a.Err, reason)
		}
	}
}

func TestDroppedArraysAreGoneAndGiveTheirMemoryBack(t *testing.T) {
	g := newGroup(t, 2, 2, 2, DefaultLimits())
	g.submit(writeTo(1, whole(0, 1)))
	g.submit(writeTo(2, whole(0, 2)))
	if a := g.submit(wire.Mutation{Kind: wire.MutateDrop, Array: 1}); a.Err != nil {
		t.Fatal(a.Err)
	}
	g.tick(DefaultTiming().Resend)
	g.settle()
	for i, m := range g.machines {
		if u := m.Usage(); u.Pages != 1 || u.Bytes != holo.PageSize {
			t.Errorf("node %d holds %d pages, %d bytes", i, u.Pages, u.Bytes)
		}
	}
	if _, err := g.read(0, at(1, 0), false); holo.ReasonOf(err) != "dropped" {
		t.Errorf("read of a deleted array: %v", err)
	}
	if a := g.submit(writeTo(1, fill(0, 1))); holo.ReasonOf(a.Err) != "dropped" {
		t.Errorf("write to a deleted array: %+v", a)
	}
}

func TestRefusalsSayWhy(t *testing.T) {
	g := newGroup(t, 2, 3, 2, DefaultLimits())
	write := func(i int) error {
		g.last++
		mu := writeTo(1, fill(0, 1))
		mu.Op.Num = g.last
		SignMutation(&mu)
		g.machines[i].Submit(g.now, g.last, g.config.Shard, mu)
		g.drain(i)
		return g.answers[g.last].Err
	}
	if err := write(1); holo.ReasonOf(err) != "not_primary" {
		t.Errorf("a write to a member: %v", err)
	}
	g.now = g.now.Add(11 * holo.Second)
	if err := write(0); holo.ReasonOf(err) != "no_lease" {
		t.Errorf("a write without a lease: %v", err)
	}
	g.config = wire.ShardConfig{Shard: g.config.Shard, Epoch: 2, Primary: node(0).Node, Members: []wire.Member{node(0)}}
	g.configure()
	if err := write(0); holo.ReasonOf(err) != "under_replicated" {
		t.Errorf("a write with one copy of two: %v", err)
	}
	g.config = wire.ShardConfig{Shard: g.config.Shard, Epoch: 3, Lost: true}
	g.configure()
	if err := write(0); holo.KindOf(err) != holo.DataLost {
		t.Errorf("a write to a lost shard: %v", err)
	}
	if _, err := g.read(0, at(1, 0), true); holo.KindOf(err) != holo.DataLost {
		t.Errorf("a read of a lost shard: %v", err)
	}
}

// A primary that is replaced does not know what became of its last writes, and
// says so; what it had not ordered yet it refuses.
func TestADeposedPrimaryTellsUnknownFromRefused(t *testing.T) {
	g := newGroup(t, 2, 2, 2, DefaultLimits())
	g.submit(writeTo(1, fill(0, 1)))
	holder := wire.Member{Node: node(8).Node, Incarnation: 1}
	rd, err := g.machines[0].BeginRead(g.now, ReadRequest{Shard: g.config.Shard, Pages: []holo.PageID{at(1, 0)}, Holder: holder})
	if err != nil || g.machines[0].FinishRead(g.now, rd) != nil || rd.Lease.For == 0 {
		t.Fatalf("no read lease: %v", err)
	}
	ordered, queued := g.start(writeTo(1, fill(1, 1))), g.start(writeTo(1, fill(0, 2)))
	g.config.Epoch, g.config.Primary = 2, node(1).Node
	g.configure()
	if k := holo.KindOf(g.answers[ordered].Err); k != holo.Indeterminate {
		t.Errorf("a write on its way: %v", g.answers[ordered].Err)
	}
	if k := holo.KindOf(g.answers[queued].Err); k != holo.Unavailable {
		t.Errorf("a write not ordered: %v", g.answers[queued].Err)
	}
}

func TestQueuesAreBounded(t *testing.T) {
	limits := DefaultLimits()
	limits.LogBytes = 4 * holo.PageSize
	g := newGroup(t, 2, 2, 2, limits)
	busy := 0
	for i := range holo.PageIndex(20) {
		g.start(writeTo(1, whole(i, 1)))
	}
	for _, a := range g.answers {
		if holo.ReasonOf(a.Err) == "busy" {
			busy++
		}
	}
	if busy != 16 {
		t.Errorf("%d of 20 writes were refused as busy, want all but the 4 that fit", busy)
	}
	g.settle()
	if u := g.machines[0].Usage(); u.LogBytes != 0 || u.Bytes != 4*holo.PageSize {
		t.Errorf("afterwards: %+v", u)
	}
}

func TestFullMemoryIsRefused(t *testing.T) {
	limits := DefaultLimits()
	limits.Capacity = 2 * holo.PageSize
	g := newGroup(t, 2, 2, 2, limits)
	for i := range holo.PageIndex(2) {
		g.submit(writeTo(1, whole(i, 1)))
	}
	if a := g.submit(writeTo(1, whole(2, 1))); holo.KindOf(a.Err) != holo.Exhausted {
		t.Errorf("a third page in the memory of two: %+v", a)
	}
}

// Entries travel many to a message, and no more is on its way than the window.
func TestReplicationIsBatchedAndWindowed(t *testing.T) {
	limits := DefaultLimits()
	limits.FrameBytes, limits.WindowBytes = 2*holo.PageSize, 3*holo.PageSize
	g := newGroup(t, 2, 2, 2, limits)
	for i := range holo.PageIndex(50) {
		g.last++
		mu := writeTo(1, fill(i, 1))
		mu.Op.Num = uint64(i) + 1
		SignMutation(&mu)
		g.machines[0].Submit(g.now, g.last, g.config.Shard, mu)
	}
	g.drain(0)
	if len(g.mail) != 1 || len(g.mail[0].msg.(*wire.Repl).Entries) != 50 {
		t.Fatalf("50 small entries travel in %d messages", len(g.mail))
	}
	g.settle()
	for i := range holo.PageIndex(20) {
		g.start(writeTo(1, whole(i, 1)))
	}
	bytes := 0
	for _, p := range g.mail {
		bytes += len(wire.Encode(p.msg))
	}
	if bytes > limits.WindowBytes+limits.FrameBytes {
		t.Errorf("%d bytes are on their way under a window of %d", bytes, limits.WindowBytes)
	}
	g.settle()
	if st := g.machines[1].Status(g.config.Shard); st.Seq != 70 {
		t.Errorf("the member is at %d", st.Seq)
	}
}

// A snapshot is cut into chunks, and only a few are on their way.
func TestSnapshotsAreBoundedInFlight(t *testing.T) {
	limits := DefaultLimits()
	limits.ChunkBytes, limits.ChunkWindow = 2*holo.PageSize, 3
	g := newGroup(t, 2, 3, 2, limits)
	for i := range holo.PageIndex(40) {
		g.submit(writeTo(1, whole(i, byte(i))))
	}
	g.config.Learner, g.config.LearnerGen = node(2), 1
	g.configure()
	g.tick(holo.Millisecond)
	flying := 0
	for _, p := range g.mail {
		if s, ok := p.msg.(*wire.Snap); ok {
			flying += len(s.Images)
		}
	}
	if flying == 0 || flying > 6 {
		t.Errorf("%d pages are on their way, want at most 3 chunks of 2", flying)
	}
	g.settle()
	g.tick(DefaultTiming().Resend)
	if st := g.machines[2].Status(g.config.Shard); st.State != Learner || st.Pages != 40 {
		t.Errorf("the learner is %v with %d pages", st.State, st.Pages)
	}
	promoted := false
	for _, p := range g.proposed {
		if m, ok := p.(*wire.ShardPromote); ok {
			promoted = m.Learner == node(2) && m.Gen == 1
		}
	}
	if !promoted {
		t.Error("the learner was not proposed in its incarnation and generation")
	}
}

func TestVerifyRefusesBytesWithoutTheirDigest(t *testing.T) {
	mu := writeTo(1, fill(0, 7))
	SignMutation(&mu)
	ok := &wire.Repl{Entries: []wire.Entry{{Mutation: mu}}}
	if err := Verify(ok); err != nil {
		t.Fatal(err)
	}
	mu.Changes[0].Data = []byte{8}
	image := wire.PageImage{Kind: wire.PageFill, Data: []byte{1}, Digest: digest.Of([]byte{2})}
	transfer := wire.Transfer{Images: []wire.PageImage{image}}
	for _, m := range []wire.Message{ok, &wire.Recon{Transfer: transfer}, &wire.Snap{Transfer: transfer}} {
		if err := Verify(m); holo.KindOf(err) != holo.Corrupt {
			t.Errorf("%T with wrong bytes: %v", m, err)
		}
	}
}

func TestMessagesForAnotherLifeAreIgnored(t *testing.T) {
	g := newGroup(t, 2, 2, 2, DefaultLimits())
	g.machines[1].Step(g.now, node(0).Node, &wire.Seal{ShardHead: wire.ShardHead{Shard: g.config.Shard, Epoch: 9, From: 1, To: 77}})
	if st := g.machines[1].Status(g.config.Shard); st.Promised != 1 {
		t.Errorf("a message for another incarnation made it promise epoch %d", st.Promised)
	}
	r := g.machines[1].Ready(g.now)
	if len(r.Send) != 0 || len(r.Events) != 1 || r.Events[0].Kind != OtherIncarnation {
		t.Errorf("it answered %+v", r)
	}
}

// TestWriteIsNotKeptOnceItIsOrdered: a shard that is never written again must
// not hold the bytes of its last write.
func TestWriteIsNotKeptOnceItIsOrdered(t *testing.T) {
	g := newGroup(t, 1, 1, 1, DefaultLimits())
	write := func() weak.Pointer[byte] {
		c := whole(0, 7)
		g.submit(writeTo(1, c))
		return weak.Make(&c.Data[0])
	}
	sent := write()
	runtime.GC()
	if sent.Value() != nil {
		t.Error("the machine keeps the mutation that the page was copied from")
	}
	runtime.KeepAlive(g)
}

func TestOutcomesAreRememberedUpToALimit(t *testing.T) {
	tb := newTable(0, nil)
	for i := range uint64(maxRecords + 10) {
		tb.record(wire.OpRecord{Op: holo.OpID{Num: i}, Version: holo.Version{Seq: holo.Seq(i + 1)}})
	}
	if len(tb.records) != maxRecords || len(tb.ops) != maxRecords {
		t.Fatalf("%d records, %d in order", len(tb.records), len(tb.ops))
	}
	if _, old := tb.records[opKey{op: holo.OpID{Num: 9}}]; old {
		t.Error("an old record outlived newer ones")
	}
}

// A task whose job another node goes on with, long after, takes effect once,
// however much else was written to its shard meanwhile.
func TestTasksAreRememberedHoweverMuchIsWritten(t *testing.T) {
	tb := newTable(0, nil)
	task := func(i uint64) wire.OpRecord {
		return wire.OpRecord{ByTask: true, Job: 7, Task: holo.TaskID(i), Array: 1, Version: holo.Version{Seq: holo.Seq(i + 1)}}
	}
	first := task(0)
	tb.record(first)
	for i := range uint64(2 * maxRecords) {
		tb.record(wire.OpRecord{Op: holo.OpID{Num: i}, Version: holo.Version{Seq: holo.Seq(i + 2)}})
	}
	if _, known := tb.records[recordKey(&first)]; !known {
		t.Error("what was written since pushed a task out")
	}
	if _, _, records := tb.above(0); len(records) != maxRecords+1 {
		t.Errorf("%d records go to another member", len(records))
	}
	for i := range uint64(maxRecords + 10) {
		r := task(i)
		tb.record(r)
	}
	if len(tb.tasks) != maxRecords || len(tb.ops) != maxRecords || len(tb.records) != 2*maxRecords {
		t.Errorf("%d tasks and %d operations in order, %d records", len(tb.tasks), len(tb.ops), len(tb.records))
	}
	tb.mark(wire.ArrayMark{Array: 1, State: wire.MarkSealed})
	if len(tb.tasks) != 0 || len(tb.records) != maxRecords {
		t.Errorf("%d tasks of a sealed array, %d records", len(tb.tasks), len(tb.records))
	}
}

func TestMemoryOfAShardThatWasLeftIsKeptForAWhile(t *testing.T) {
	g := newGroup(t, 2, 3, 2, DefaultLimits())
	g.submit(writeTo(1, whole(0, 1)))
	g.tick(DefaultTiming().Resend)
	g.settle()
	g.config.Epoch, g.config.Members = 2, []wire.Member{node(0), node(2)}
	g.configure()
	g.tick(DefaultTiming().Grace - holo.Second)
	if u := g.machines[1].Usage(); u.Pages != 1 {
		t.Errorf("it holds %d pages within the grace period", u.Pages)
	}
	g.tick(2 * holo.Second)
	if u := g.machines[1].Usage(); u.Pages != 0 || u.Bytes != 0 {
		t.Errorf("it holds %d pages after the grace period", u.Pages)
	}
}

func TestSuspendedMemoryIsKept(t *testing.T) {
	g := newGroup(t, 2, 3, 2, DefaultLimits())
	g.submit(writeTo(1, whole(0, 1)))
	g.tick(DefaultTiming().Resend)
	g.settle()
	g.config.Epoch, g.config.Members, g.config.Suspended = 2, []wire.Member{node(0)}, []wire.Member{node(1)}
	g.configure()
	g.tick(2 * DefaultTiming().Grace)
	if u := g.machines[1].Usage(); u.Pages != 1 {
		t.Errorf("a suspended node holds %d pages", u.Pages)
	}
}

func TestStatesAndEventsHaveNames(t *testing.T) {
	for s := None; s <= Lost; s++ {
		if s.String() == "" {
			t.Errorf("state %d has no name", s)
		}
	}
	for k := TookOver; k < eventKinds; k++ {
		if k.String() == "" || k.String() == fmt.Sprintf("event(%d)", k) {
			t.Errorf("event %d has no name", k)
		}
	}
}

func TestReadLeasesThatAreOverAreForgotten(t *testing.T) {
	g := newGroup(t, 2, 2, 2, DefaultLimits())
	holder := wire.Member{Node: node(8).Node, Incarnation: 1}
	for p := range holo.PageIndex(100) {
		rd, err := g.machines[0].BeginRead(g.now, ReadRequest{Shard: g.config.Shard, Pages: []holo.PageID{at(1, p)}, Holder: holder})
		if err != nil || g.machines[0].FinishRead(g.now, rd) != nil || rd.Lease.For == 0 {
			t.Fatalf("no read lease: %v", err)
		}
	}
	g.tick(holo.Second)
	if n := len(g.machines[0].replica(g.config.Shard).leases); n != 100 {
		t.Errorf("%d of 100 leases are remembered while they run", n)
	}
	g.tick(2 * DefaultTiming().ReadTTL)
	if n := len(g.machines[0].replica(g.config.Shard).leases); n != 0 {
		t.Errorf("%d leases are remembered after their end", n)
	}
}

// A node that still has some of a lost shard, from when it was a member, must
// not bring it back when the owner gives the shard new and empty members.
func TestALostShardStartsAgainEmpty(t *testing.T) {
	g := newGroup(t, 2, 3, 2, DefaultLimits())
	g.submit(writeTo(1, fill(0, 7)))
	g.tick(DefaultTiming().Resend)
	g.settle()
	g.config = wire.ShardConfig{Shard: g.config.Shard, Epoch: 2, Lost: true}
	g.configure()
	if u := g.machines[1].Usage(); u.Pages != 0 {
		t.Errorf("a node holds %d pages of a lost shard", u.Pages)
	}
	g.config = wire.ShardConfig{Shard: g.config.Shard, Epoch: 3, Primary: node(0).Node, Members: []wire.Member{node(0), node(1)}}
	g.configure()
	g.settle()
	if a := g.submit(writeTo(1, fill(1, 8))); a.Err != nil || a.Version.Seq != 1 {
		t.Errorf("the first write to the recovered shard: %+v", a)
	}
	if got := g.bytesAt(at(1, 0), 0, 1); got[0] != 0 {
		t.Errorf("the recovered shard begins with %d", got[0])
	}
}
