package pagecache

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func limits(memory, disk int) Limits {
	return Limits{Memory: memory, Disk: disk, Lead: 4, Writes: 4, Reads: 8, Waiting: 16, Retry: holo.Second}
}

// step does something at random.
func (w *world) step(pages int) {
	switch k := w.r.IntN(100); {
	case k < 30:
		w.put(w.id(w.r.IntN(pages)))
	case k < 33:
		w.drop(w.id(w.r.IntN(pages)))
	case k < 50:
		ids := []holo.PageID{}
		for range 1 + w.r.IntN(4) {
			ids = append(ids, w.id(w.r.IntN(pages)))
		}
		w.use(ids...)
	case k < 60:
		for id := uint64(1); id <= w.nextUse; id++ {
			if _, under := w.uses[id]; under && w.r.IntN(2) == 0 {
				w.release(id)
				break
			}
		}
	case k < 65:
		w.m.Touch(w.id(w.r.IntN(pages)))
	case k < 67:
		w.full = w.r.IntN(3) == 0
	case k < 69:
		w.rot = w.r.IntN(3) == 0
	case k < 75:
		w.now = w.now.Add(holo.Duration(w.r.Int64N(int64(holo.Second))))
	default:
		w.finish()
	}
	w.drive()
}

// TestNoPageIsEverInNeitherPlace drives the cache at random beside a model:
// each page is in memory or on disk at its newest version, each use gets the
// version that it asked for, and no limit is exceeded by more than its slack.
func TestNoPageIsEverInNeitherPlace(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed, limits(16+int(seed%5)*8, 24+int(seed%7)*16))
			for range 2500 {
				w.step(16 + int(seed%11)*12)
				w.check()
			}
			w.drain()
			w.check()
			w.readAll()
			for id := range w.want {
				w.drop(id)
			}
			w.drain()
			if u := w.m.Usage(); u != (Usage{Failing: u.Failing}) || len(w.m.busy)+len(w.m.uses)+len(w.m.awaited)+w.m.small.len+w.m.main.len+w.m.clean.len > 0 {
				t.Errorf("after everything was dropped: %+v", u)
			}
			if len(w.disk)+len(w.memory) > 0 {
				t.Errorf("%d pages are left on disk, %d in memory", len(w.disk), len(w.memory))
			}
		})
	}
}

// readAll reads every page that is not damaged, one after the other.
func (w *world) readAll() {
	for id := range w.want {
		p, memory, _ := w.m.Has(id)
		if f := w.m.current[id]; f.damaged && !memory {
			if err := w.use(id); holo.ReasonOf(err) != ReasonDamaged {
				w.t.Fatalf("use of the damaged page %v: %v", p, err)
			}
			continue
		}
		if err := w.use(id); err != nil {
			w.t.Fatal(err)
		}
		n := w.nextUse
		for !w.granted[n] {
			w.drive()
			w.finish()
		}
		w.release(n)
	}
}

// transcript is all that a run asks for.
func transcript(t *testing.T, seed uint64) (all []Ready) {
	w := newWorld(t, seed, limits(24, 64))
	for range 1500 {
		w.step(100)
		r := w.m.Ready(w.now)
		w.m.out = r // and again
		w.drive()
		all = append(all, r)
	}
	return all
}

func TestTheSameInputsGiveTheSameOutputs(t *testing.T) {
	for seed := range uint64(5) {
		a, b := transcript(t, seed), transcript(t, seed)
		if !reflect.DeepEqual(a, b) {
			t.Errorf("seed %d: two runs differ", seed)
		}
	}
}

// TestPagesBeyondMemoryGoToDisk writes four times the memory.
func TestPagesBeyondMemoryGoToDisk(t *testing.T) {
	w := newWorld(t, 1, limits(32, 200))
	w.fill(128)
	if u := w.m.Usage(); u.Pages != 128 || u.Spilled < 96 || u.Resident > 32 {
		t.Errorf("usage %+v", u)
	}
	w.readAll()
}

// TestFullDiskRefusesAndRecovers: the writer is told, nothing is lost, and one
// event says so however often it is tried.
func TestFullDiskRefusesAndRecovers(t *testing.T) {
	w := newWorld(t, 1, limits(32, 1000))
	w.full = true
	events := map[EventKind]int{}
	see := func() {
		r := w.m.Ready(w.now)
		for _, e := range r.Events {
			events[e.Kind]++
		}
		w.m.out = r
		w.drive()
	}
	refused, tries := 0, 0
	for i := range 2000 {
		w.now = w.now.Add(holo.Second / 10)
		if err := w.put(w.id(i)); holo.ReasonOf(err) == ReasonFull && holo.KindOf(err) == holo.Exhausted {
			refused++
		}
		see()
		tries += len(w.writes)
		for len(w.writes) > 0 {
			w.finish()
		}
		w.check()
	}
	if refused < 1900 || len(w.want) > 32 {
		t.Errorf("%d writes refused, %d pages kept", refused, len(w.want))
	}
	if tries > 40 || events[DiskFull] != 1 {
		t.Errorf("in 200 s the full disk was tried %d times and told of %d times", tries, events[DiskFull])
	}
	w.full = false
	w.now = w.now.Add(16 * holo.Second)
	for range 10 {
		see()
		w.finish()
	}
	see()
	if err := w.put(w.id(5000)); err != nil || events[DiskWorks] != 1 {
		t.Errorf("after room was made: %v, told of %d times", err, events[DiskWorks])
	}
	w.check()
}

// TestDiskIsFoundToWorkAgainWithoutNeed: what filled the memory is deleted, so
// that nothing has to be written, and yet the next writer is not refused.
func TestDiskIsFoundToWorkAgainWithoutNeed(t *testing.T) {
	for _, left := range []int{28, 5, 0} {
		w := newWorld(t, 1, limits(32, 1000))
		w.full = true
		for i := range 40 {
			w.put(w.id(i))
			w.drive()
			w.finishAll()
		}
		for i := left; i < 40; i++ {
			w.drop(w.id(i))
		}
		if !w.m.Usage().Failing {
			t.Fatal("the disk is not known to be full")
		}
		w.full = false
		w.now = w.now.Add(16 * holo.Second)
		w.drive()
		w.finishAll()
		if w.m.Usage().Failing {
			t.Errorf("with %d pages left the disk is still taken for full", left)
		}
		for i := 100; i < 110; i++ {
			if err := w.put(w.id(i)); err != nil && holo.KindOf(err) != holo.Unavailable {
				t.Fatalf("with %d pages left: %v", left, err)
			}
			w.drive()
			w.finishAll()
		}
		w.check()
	}
}

// TestWritesThatBeganBeforeAFailureProveNothing: some of those under way may still
// have found room.
func TestWritesThatBeganBeforeAFailureProveNothing(t *testing.T) {
	w := newWorld(t, 1, limits(32, 1000))
	for i := range 31 {
		w.put(w.id(i))
	}
	w.drive()
	if len(w.writes) < 3 {
		t.Fatalf("%d writes under way", len(w.writes))
	}
	for i, p := range w.writes {
		o := Done
		if i == 0 {
			o = NoSpace
		}
		w.m.Wrote(w.now, p.Ref, o)
	}
	if u := w.m.Usage(); !u.Failing {
		t.Error("the disk is taken for working")
	}
	n := 0
	for _, e := range w.m.Ready(w.now).Events {
		n++
		if e.Kind != DiskFull {
			t.Errorf("event %v", e.Kind)
		}
	}
	if n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestLimitIsRefusedWithItsArithmetic(t *testing.T) {
	w := newWorld(t, 1, limits(16, 16))
	w.fill(28)
	err := w.put(w.id(28))
	if want := "1 more pages: 28 are kept, memory has room for 12 and the disk for 16"; err == nil || err.Error() != want || holo.ReasonOf(err) != ReasonRoom {
		t.Errorf("page 29: %v, want %q", err, want)
	}
	for i := range 28 {
		if err := w.put(w.id(i)); err != nil {
			t.Errorf("page %d is there already and is refused: %v", i, err)
		}
		w.drain()
		w.check()
	}
}

func TestOnePageIsReadOnceForAllWhoWait(t *testing.T) {
	w := newWorld(t, 1, limits(16, 64))
	w.fill(48)
	for range 5 {
		if err := w.use(w.id(0)); err != nil {
			t.Fatal(err)
		}
	}
	w.drive()
	if len(w.reads) != 1 {
		t.Fatalf("%d reads for one page", len(w.reads))
	}
	w.finishAll()
	if len(w.granted) != 5 {
		t.Errorf("%d of 5 uses granted", len(w.granted))
	}
}

// TestUsesOfAChangedPageKeepTheirVersion: a reader that began before a write
// gets what it began with, and its bytes on disk stay until then.
func TestUsesOfAChangedPageKeepTheirVersion(t *testing.T) {
	w := newWorld(t, 1, limits(16, 64))
	w.fill(48)
	before, _, _ := w.m.Has(w.id(0))
	if err := w.use(w.id(0)); err != nil {
		t.Fatal(err)
	}
	if err := w.put(w.id(0)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.m.Use(1000, []Page{before}); holo.ReasonOf(err) != ReasonChanged {
		t.Errorf("a use of the old version begins: %v", err)
	}
	w.drive()
	if w.disk[before.Ref] != before {
		t.Fatal("the version in use was forgotten")
	}
	w.finishAll()
	if !w.granted[w.nextUse] {
		t.Fatal("the use was not granted")
	}
	w.release(w.nextUse)
	w.drive()
	if _, there := w.disk[before.Ref]; there {
		t.Error("the old version stays on disk")
	}
	w.check()
}

// atOnce has a disk that takes no time do all that the cache asks for.
func atOnce(m *Machine) {
	for {
		out := m.Ready(0)
		if len(out.Write)+len(out.Read) == 0 {
			return
		}
		for _, p := range out.Write {
			m.Wrote(0, p.Ref, Done)
		}
		for _, p := range out.Read {
			m.Loaded(p.Ref, Done)
		}
	}
}

// misses uses pages one after another and counts those that were not in memory.
func misses(t *testing.T, m *Machine, ids []holo.PageID) (n int) {
	for i, id := range ids {
		p, memory, _ := m.Has(id)
		if !memory {
			n++
		}
		if _, err := m.Use(uint64(i), []Page{p}); err != nil {
			t.Fatal(err)
		}
		atOnce(m)
		m.Release(uint64(i))
		atOnce(m)
	}
	return n
}

// lruMisses is what a cache that keeps the pages used last would miss.
func lruMisses(memory int, ids []holo.PageID) (hot, n int) {
	last := map[holo.PageID]int{}
	for i, id := range ids {
		if _, there := last[id]; !there {
			n++
			if id.Index < hotPages {
				hot++
			}
			if len(last) == memory {
				oldest := id
				at := i
				for p, k := range last {
					if k < at {
						oldest, at = p, k
					}
				}
				delete(last, oldest)
			}
		}
		last[id] = i
	}
	return hot, n
}

// hotPages is the size of the hot set of scanned.
const hotPages = 60

// scanned makes a cache of 3,000 pages on disk and 100 in memory and a trace: a
// hot set, used at random, with a scan of all pages every 5,000 uses.
func scanned(r *rand.Rand) (m *Machine, trace []holo.PageID) {
	l := limits(100, 4000)
	m = New(l)
	for i := range 3000 {
		m.Put(holo.PageID{Array: 1, Index: holo.PageIndex(i)}, holo.Version{Epoch: 1, Seq: 1}, 0)
		atOnce(m)
	}
	for round := range 6 {
		for range 5000 {
			trace = append(trace, holo.PageID{Array: 1, Index: holo.PageIndex(r.IntN(hotPages))})
		}
		for i := 0; i < 3000 && round < 5; i++ {
			trace = append(trace, holo.PageID{Array: 1, Index: holo.PageIndex(i)})
			if i%3 == 0 { // the hot set is used during the scan as well
				trace = append(trace, holo.PageID{Array: 1, Index: holo.PageIndex(r.IntN(hotPages))})
			}
		}
	}
	return m, trace
}

// hotMisses counts the misses of the hot set only.
func hotMisses(t *testing.T, m *Machine, trace []holo.PageID) (hot, all int) {
	for i := range trace {
		n := misses(t, m, trace[i:i+1])
		all += n
		if trace[i].Index < hotPages {
			hot += n
		}
	}
	return hot, all
}

// TestScanDoesNotEvictTheHotSet compares with a cache that keeps the pages
// used last, on the same trace.
func TestScanDoesNotEvictTheHotSet(t *testing.T) {
	m, trace := scanned(rand.New(rand.NewPCG(7, 7)))
	hot, all := hotMisses(t, m, trace)
	lruHot, lru := lruMisses(100-m.limits.Lead, trace)
	t.Logf("%d uses: %d misses, %d of them of the hot set; least recently used: %d and %d", len(trace), all, hot, lru, lruHot)
	if hot > 2*hotPages || lruHot < 10*hot || all > lru {
		t.Errorf("the hot set of %d pages misses %d times, %d in all; least recently used: %d and %d", hotPages, hot, all, lruHot, lru)
	}
}

// TestAHotSetThatChangesIsLearned: what was hot and is no more leaves, though
// each page of the new set comes again only when it has left the small queue.
func TestAHotSetThatChangesIsLearned(t *testing.T) {
	m, _ := scanned(rand.New(rand.NewPCG(9, 9)))
	for _, base := range []int{0, 500, 1000} {
		trace := make([]holo.PageID, 10*hotPages)
		for i := range trace {
			trace[i] = holo.PageID{Array: 1, Index: holo.PageIndex(base + i%hotPages)}
		}
		if n := misses(t, m, trace); n > 3*hotPages {
			t.Errorf("hot set at %d: %d misses in 10 rounds of %d", base, n, hotPages)
		}
	}
}

// TestReadsWaitTheirTurnAndNoMore: a use of more pages than may be read at
// once is refused, and so is one more than may wait.
func TestReadsWaitTheirTurnAndNoMore(t *testing.T) {
	w := newWorld(t, 1, limits(16, 200))
	w.fill(100)
	var first []Page
	for i := range 9 {
		p, _, _ := w.m.Has(w.id(i))
		first = append(first, p)
	}
	if _, err := w.m.Use(9999, first); holo.KindOf(err) != holo.Invalid {
		t.Errorf("9 pages at once: %v", err)
	}
	for i := range 16 {
		if err := w.use(w.id(i*4%60), w.id(i*4%60+1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.use(w.id(70)); holo.ReasonOf(err) != ReasonBusy {
		t.Errorf("use 17: %v", err)
	}
	w.drive()
	if len(w.reads) > 8 {
		t.Errorf("%d reads at once", len(w.reads))
	}
	w.drain()
	w.check()
}
