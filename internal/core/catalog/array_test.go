package catalog

import (
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/claim"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/wire"
)

// Three nodes of 256 MiB: 320 MiB twice fit, 512 MiB twice do not, 512 MiB
// once do (ruling 4).
func TestAdmissionCountsCopiesAgainstMemory(t *testing.T) {
	w := settled(t, 3)
	err := w.refused(ReasonQuota, create("big", 512, 2))
	for _, figure := range []string{"2 copies of 512 MiB are 1024 MiB", "0 MiB of 768 MiB", "memory 768 MiB", "spill 0 MiB", "3 living nodes", "256 MiB more are needed, and 384 MiB in each copy would fit"} {
		if !strings.Contains(err.Error(), figure) {
			t.Errorf("the refusal does not say %q: %v", figure, err)
		}
	}
	if holo.KindOf(err) != holo.Exhausted {
		t.Errorf("kind %s", holo.KindOf(err))
	}
	w.array("once", 512, 1)
	w.do(&wire.ArrayDelete{Array: 1})
	w.refused(ReasonQuota, create("twice", 320, 2)) // deleted, and its memory not yet free
	w.do(&wire.ArrayPurge{Array: 1})
	w.array("twice", 320, 2)
	if r := w.Room(); r.Taken != 640<<20 || r.Memory != 768<<20 {
		t.Errorf("room %+v", r)
	}
	w.refused(ReasonQuota, create("more", 65, 2))
	w.array("rest", 40, 2)
	w.bury(3)
	w.refused(ReasonQuota, create("little", 1, 1)) // a dead node offers nothing
}

// Unlike nodes: what fits the sum of all does not fit, because a node holds one
// copy of a shard, and the others cannot hold as much as the large one.
func TestAdmissionCountsEachNode(t *testing.T) {
	w := settled(t, 3)
	w.do(&wire.NodeAddress{Node: node(1), Place: place(1024), Speaks: spoken})
	w.array("first", 64, 2) // the shards of two copies are placed now
	err := w.refused(ReasonQuota, create("much", 600, 2))
	for _, figure := range []string{"would hold", "of its 2 copies", "and offers 256 MiB (memory 256 MiB, spill 0 MiB)"} {
		if !strings.Contains(err.Error(), figure) {
			t.Errorf("the refusal does not say %q: %v", figure, err)
		}
	}
	w.array("less", 128, 2)
	held := uint64(0)
	for i := 1; i <= 3; i++ {
		n, _ := w.Node(node(i))
		if b := w.held(node(i)); b > n.Place.Capacity {
			t.Errorf("node %d is to hold %d MiB of %d", i, b>>20, n.Place.Capacity>>20)
		}
		held += w.held(node(i))
	}
	if r := w.Room(); held != r.Taken {
		t.Errorf("the nodes are to hold %d bytes, the arrays take %d", held, r.Taken)
	}
	before := w.loads
	w.array("gone", 10, 2)
	w.do(&wire.ArrayDelete{Array: 3})
	w.do(&wire.ArrayPurge{Array: 3})
	if w.loads != before {
		t.Error("a purged array still counts in its shards")
	}
	back := New(cluster, ownerID(), claim.Reader{})
	if err := back.Restore(w.Snapshot()); err != nil || back.loads != before {
		t.Errorf("after a snapshot other loads: %v", err)
	}
}

// Shards stay where they are: a node that joins later offers memory to arrays
// of classes that were placed before, and can hold nothing of them.
func TestAdmissionCountsNothingOnNodesThatHoldNoShard(t *testing.T) {
	w := settled(t, 2)
	w.array("first", 200, 2)
	w.do(invite("late", 1<<40))
	w.do(admit(3, "late"))
	w.register(3, 30)
	w.refused(ReasonQuota, create("second", 100, 2))
	w.array("elsewhere", 100, 1)
}

func TestSpillCountsAndIsShown(t *testing.T) {
	w := settled(t, 1)
	p := place(256)
	p.Spill = 256 << 20
	w.do(&wire.NodeAddress{Node: node(1), Place: p, Speaks: spoken})
	w.array("a", 500, 1)
	err := w.refused(ReasonQuota, create("b", 64, 1))
	if !strings.Contains(err.Error(), "500 MiB of 512 MiB are taken (memory 256 MiB, spill 256 MiB") {
		t.Error(err)
	}
}

func TestSmallArraysTakeWholePages(t *testing.T) {
	w := settled(t, 1)
	w.do(&wire.ArrayCreate{Name: "tiny", Shape: holo.Shape{Type: holo.F64, Length: 1, Extent: holo.DefaultExtent}, Class: 1})
	if r := w.Room(); r.Taken != holo.PageSize {
		t.Errorf("one element takes %d bytes", r.Taken)
	}
}

func TestArrayLife(t *testing.T) {
	w := settled(t, 2)
	a := w.array("a", 1, 0)
	if a.Class != 2 || a.State != wire.ArrayOpen || a.Affinity != "#1" || a.ID != 1 {
		t.Fatalf("array %+v", a)
	}
	w.refused(ReasonState, &wire.ArraySealed{Array: a.ID}) // not closed to writers yet
	w.refused(ReasonState, &wire.ArrayPurge{Array: a.ID})
	w.do(&wire.ArraySealing{Array: a.ID})
	w.do(&wire.ArraySealing{Array: a.ID}) // two clients seal it
	w.do(&wire.ArraySealed{Array: a.ID, Root: holo.Digest{5}})
	w.do(&wire.ArraySealed{Array: a.ID, Root: holo.Digest{5}})
	w.refused(ReasonState, &wire.ArraySealed{Array: a.ID, Root: holo.Digest{6}}) // one root for ever
	if r := w.do(&wire.ArraySealing{Array: a.ID}).(*wire.ArrayRecord); r.State != wire.ArrayFrozen || r.Root != (holo.Digest{5}) {
		t.Errorf("sealed again: %+v", r)
	}
	w.do(&wire.ArrayDelete{Array: a.ID})
	if _, ok := w.ArrayByName("a"); ok {
		t.Error("a deleted array is found by its name")
	}
	for _, m := range []wire.Message{&wire.ArraySealing{Array: a.ID}, &wire.ArrayDelete{Array: a.ID}} {
		if err := w.refused("", m); holo.KindOf(err) != holo.NotFound {
			t.Errorf("%T of a deleted array: %v", m, err)
		}
	}
	b := w.array("a", 1, 2) // the name is free
	if b.ID != 2 {
		t.Errorf("ID %d: IDs are never used again", b.ID)
	}
	w.do(&wire.ArrayPurge{Array: a.ID})
	if _, ok := w.ArrayByID(a.ID); ok {
		t.Error("purged and still there")
	}
	if c, ok := w.ArrayByName("a"); !ok || c.ID != b.ID {
		t.Error("the purge took the name of another")
	}
}

func TestArrayRefusals(t *testing.T) {
	w := settled(t, 2)
	w.array("a", 1, 2)
	for name, c := range map[string]struct {
		m      *wire.ArrayCreate
		kind   holo.Kind
		reason string
	}{
		"taken name":      {create("a", 1, 2), holo.Exists, ""},
		"empty name":      {create("", 1, 2), holo.Invalid, ""},
		"escape in name":  {create("a\x1b[31m", 1, 2), holo.Invalid, ""},
		"option as name":  {create("-rf", 1, 2), holo.Invalid, ""},
		"own affinity":    {&wire.ArrayCreate{Name: "b", Shape: bytesOf(1), Affinity: "#1"}, holo.Invalid, ""},
		"too many copies": {create("b", 1, 3), holo.Invalid, ReasonFewNodes},
	} {
		err := w.refused(c.reason, c.m)
		if holo.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.bury(2)
	w.refused(ReasonFewNodes, create("b", 1, 2)) // nobody could write to it
	w.array("b", 1, 1)
}

func TestFirstArrayOfAClassMakesItsShards(t *testing.T) {
	w := settled(t, 3)
	if w.Shards().HasClass(2) {
		t.Fatal("shards before the first array")
	}
	w.array("a", 1, 2)
	n := 0
	for c := range w.Shards().All() {
		if c.Shard.Class() != 2 || len(c.Members) != 2 {
			t.Fatalf("shard %d of class %d has %d members", c.Shard, c.Shard.Class(), len(c.Members))
		}
		n++
	}
	if n != holo.ShardCount || w.Shards().HasClass(1) {
		t.Errorf("%d shards", n)
	}
}

// A restarted sole holder is empty. What it held is lost and says so; new
// arrays can be made; the old ones never read as zeros, even though their
// shards work again.
func TestArraysOfLostShardsStayLost(t *testing.T) {
	w := settled(t, 1)
	old := w.array("old", 8, 1) // two extents
	gone := w.array("gone", 8, 1)
	w.do(&wire.ArrayDelete{Array: gone.ID})
	w.register(1, 77)
	first, last := placement.ShardOf(1, old.Affinity, 0), placement.ShardOf(1, old.Affinity, 1)
	other := placement.ShardOf(1, old.Affinity, 2)
	r, _ := w.ArrayByID(old.ID)
	if !r.LostIn(first) || !r.LostIn(last) || r.LostIn(other) {
		t.Fatalf("lost in %v %v %v, want in the two that hold it", r.LostIn(first), r.LostIn(last), r.LostIn(other))
	}
	if c, _ := w.Shards().Get(first); !c.Lost {
		t.Fatal("the shard is not lost")
	}
	fresh := wire.ArrayCreate{Name: "fresh", Shape: bytesOf(8), Class: 1, Affinity: "x"}
	w.do(&fresh)
	for e := range uint64(2) {
		if c, _ := w.Shards().Get(placement.ShardOf(1, "x", e)); c.Lost || len(c.Members) != 1 {
			t.Errorf("extent %d of the new array has no home", e)
		}
	}
	f, _ := w.ArrayByName("fresh")
	r, _ = w.ArrayByID(old.ID)
	if f.LostIn(placement.ShardOf(1, "x", 0)) || !r.LostIn(first) || !r.LostIn(last) {
		t.Error("the new array is marked, or the old one is not any more")
	}
}

func TestKernelsAreNamedModules(t *testing.T) {
	w := settled(t, 1)
	k := wire.KernelRecord{Name: "sum", Module: holo.ModuleID{1}, Size: 10}
	w.do(&wire.KernelPut{Kernel: k})
	k.Module = holo.ModuleID{2}
	w.do(&wire.KernelPut{Kernel: k})
	if got, ok := w.KernelByName("sum"); !ok || got.Module != k.Module || len(w.Kernels()) != 1 {
		t.Errorf("kernel %+v", got)
	}
	k.Size = 0
	w.refused("", &wire.KernelPut{Kernel: k})
}

// What is called like a standard kernel is refused by every voter, also when a
// member asks for it.
func TestNamesOfStandardKernelsAreNotGiven(t *testing.T) {
	w := settled(t, 1)
	for _, name := range []string{"std", "std/stats", "std/x/y"} {
		w.refused("", &wire.KernelPut{Kernel: wire.KernelRecord{Name: name, Module: holo.ModuleID{1}, Size: 10}})
	}
	w.do(&wire.KernelPut{Kernel: wire.KernelRecord{Name: "standard", Module: holo.ModuleID{1}, Size: 10}})
	if len(w.Kernels()) != 1 {
		t.Errorf("%d kernels", len(w.Kernels()))
	}
}

func TestJobHasOneCoordinatorPerEpoch(t *testing.T) {
	w := settled(t, 2)
	a := w.array("a", 1, 2)
	job := wire.JobRecord{Coordinator: node(1), Module: holo.ModuleID{1}, Kind: wire.TaskMap, Inputs: []holo.ArrayID{a.ID}}
	j := w.do(&wire.JobPut{Job: job}).(*wire.JobRecord)
	if j.ID != 1 || j.Epoch != 1 || j.End.Phase != wire.JobRunning || j.Created != now {
		t.Fatalf("job %+v", j)
	}
	w.refused(ReasonNotTheirs, &wire.JobTake{Job: j.ID, Epoch: 1, Coordinator: node(2)}) // its coordinator lives
	w.bury(1)
	w.do(&wire.JobTake{Job: j.ID, Epoch: 1, Coordinator: node(2)})
	w.bury(2)
	w.refused(ReasonStaleJob, &wire.JobTake{Job: j.ID, Epoch: 1, Coordinator: node(1)})
	done := wire.JobEnd{Phase: wire.JobDone, Result: []byte{1}}
	w.refused(ReasonStaleJob, &wire.JobState{Job: j.ID, Epoch: 1, End: done}) // the deposed coordinator
	w.refused("", &wire.JobState{Job: j.ID, Epoch: 2, End: wire.JobEnd{Phase: wire.JobRunning}})
	w.do(&wire.JobState{Job: j.ID, Epoch: 2, End: done})
	w.refused(ReasonState, &wire.JobState{Job: j.ID, Epoch: 2, End: wire.JobEnd{Phase: wire.JobFailed}})
	job.Inputs = []holo.ArrayID{99}
	w.refused("", &wire.JobPut{Job: job})
	job.Inputs, job.Coordinator = nil, node(5)
	w.refused("", &wire.JobPut{Job: job})
}

func TestEndedJobsGiveWayRunningOnesDoNot(t *testing.T) {
	w := settled(t, 1)
	put := &wire.JobPut{Job: wire.JobRecord{Coordinator: node(1), Module: holo.ModuleID{1}, Kind: wire.TaskMap}}
	for range MaxJobs {
		w.do(put)
	}
	w.refused(ReasonFull, put)
	w.do(&wire.JobState{Job: 5, Epoch: 1, End: wire.JobEnd{Phase: wire.JobCancelled}})
	w.do(put)
	if _, ok := w.JobByID(5); ok || len(w.Jobs()) != MaxJobs {
		t.Errorf("%d jobs", len(w.Jobs()))
	}
}
