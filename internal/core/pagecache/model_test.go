package pagecache

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// world is the cache with a memory and a disk that are plain maps, and a model
// of what must be readable: the second, dumber computation.
type world struct {
	t       *testing.T
	r       *rand.Rand
	m       *Machine
	now     holo.Time
	seq     holo.Seq
	want    map[holo.PageID]holo.Version // what each page is
	memory  map[Page]bool                // bytes in memory: of live pages, and of uses
	disk    map[Ref]Page
	writes  []Page
	reads   []Page
	uses    map[uint64][]Page // under way
	granted map[uint64]bool
	nextUse uint64
	full    bool
	rot     bool
}

func newWorld(t *testing.T, seed uint64, l Limits) *world {
	return &world{
		t: t, r: rand.New(rand.NewPCG(seed, 1)), m: New(l), want: map[holo.PageID]holo.Version{}, memory: map[Page]bool{},
		disk: map[Ref]Page{}, uses: map[uint64][]Page{}, granted: map[uint64]bool{},
	}
}

func (w *world) id(n int) holo.PageID { return holo.PageID{Array: 1, Index: holo.PageIndex(n)} }

// put writes a page as a home does: with a reservation.
func (w *world) put(id holo.PageID) error {
	p, _, there := w.m.Has(id)
	fresh := 1
	if there {
		fresh = 0
	}
	if err := w.m.Reserve(1, fresh); err != nil {
		return err
	}
	w.m.Unreserve(1, fresh)
	w.seq++
	v := holo.Version{Epoch: 1, Seq: w.seq}
	if there {
		w.forget(p)
	}
	w.want[id] = v
	w.memory[Page{w.m.Put(id, v, 0), id, v, 0}] = true
	return nil
}

// forget drops the bytes of a version that nobody uses and nothing writes.
func (w *world) forget(p Page) {
	for _, pages := range w.uses {
		if slices.Contains(pages, p) {
			return
		}
	}
	if !slices.Contains(w.writes, p) {
		delete(w.memory, p)
	}
}

func (w *world) drop(id holo.PageID) {
	if p, _, there := w.m.Has(id); there {
		w.m.Drop(id)
		delete(w.want, id)
		w.forget(p)
	}
}

// use reads pages as a reader does, and says whether the cache took it.
func (w *world) use(ids ...holo.PageID) error {
	var pages []Page
	for _, id := range ids {
		if p, _, there := w.m.Has(id); there && !slices.Contains(pages, p) {
			pages = append(pages, p)
		}
	}
	w.nextUse++
	granted, err := w.m.Use(w.nextUse, pages)
	if err != nil {
		return err
	}
	w.uses[w.nextUse] = pages
	if granted {
		w.grant(w.nextUse)
	}
	return nil
}

// grant is where a reader gets its bytes: they must be there, of the version
// that it asked for.
func (w *world) grant(id uint64) {
	w.granted[id] = true
	for _, p := range w.uses[id] {
		if !w.memory[p] {
			w.t.Fatalf("use %d was granted %v without its bytes", id, p)
		}
	}
}

func (w *world) release(id uint64) {
	w.m.Release(id)
	pages := w.uses[id]
	delete(w.uses, id)
	delete(w.granted, id)
	for _, p := range pages {
		if q, memory, there := w.m.Has(p.ID); !there || q != p || !memory {
			w.forget(p)
		}
	}
}

// drive does what Ready says.
func (w *world) drive() {
	out := w.m.Ready(w.now)
	for _, p := range out.Evict {
		if w.disk[p.Ref] != p && w.want[p.ID] == p.Version {
			w.t.Fatalf("%v is to leave the memory and is not on disk", p)
		}
		w.forget(p)
	}
	for _, p := range out.Write {
		if !w.memory[p] {
			w.t.Fatalf("%v is to be written and is not in memory", p)
		}
		w.writes = append(w.writes, p)
	}
	for _, p := range out.Read {
		if w.disk[p.Ref] != p {
			w.t.Fatalf("%v is to be read and is not on disk", p)
		}
		w.reads = append(w.reads, p)
	}
	for _, p := range out.Forget {
		if w.disk[p.Ref] != p {
			w.t.Fatalf("%v is to be forgotten and is not on disk", p)
		}
		delete(w.disk, p.Ref)
	}
	for _, id := range out.Granted {
		w.grant(id)
	}
	for _, f := range out.Failed {
		pages := w.uses[f.Use]
		delete(w.uses, f.Use)
		for _, p := range pages {
			if q, memory, there := w.m.Has(p.ID); !there || q != p || !memory {
				w.forget(p)
			}
		}
	}
}

// finish ends a random write or read that is under way.
func (w *world) finish() {
	switch n := len(w.writes) + len(w.reads); {
	case n == 0:
	case w.r.IntN(n) < len(w.writes):
		i := w.r.IntN(len(w.writes))
		p := w.writes[i]
		w.writes = slices.Delete(w.writes, i, i+1)
		switch {
		case w.full:
			w.m.Wrote(w.now, p.Ref, NoSpace)
		default:
			w.disk[p.Ref] = p
			w.m.Wrote(w.now, p.Ref, Done)
		}
		if q, _, there := w.m.Has(p.ID); !there || q != p {
			w.forget(p)
		}
	default:
		i := w.r.IntN(len(w.reads))
		p := w.reads[i]
		w.reads = slices.Delete(w.reads, i, i+1)
		switch {
		case w.rot && w.r.IntN(4) == 0:
			w.m.Loaded(p.Ref, Damaged)
		case w.rot && w.r.IntN(4) == 0:
			w.m.Loaded(p.Ref, Broken)
		default:
			w.memory[p] = true
			w.m.Loaded(p.Ref, Done)
			if q, _, there := w.m.Has(p.ID); !there || q != p {
				w.forget(p)
			}
		}
	}
}

// check holds the cache against the model.
func (w *world) check() {
	l, u := w.m.limits, w.m.Usage()
	if u.Resident+u.Reserved > l.Memory+l.Reads {
		w.t.Fatalf("%d pages in memory and %d reserved, of %d and %d more", u.Resident, u.Reserved, l.Memory, l.Reads)
	}
	if u.Spilled > l.Disk || len(w.disk) > l.Disk {
		w.t.Fatalf("%d pages on disk (%d), of %d", u.Spilled, len(w.disk), l.Disk)
	}
	if u.Pages != len(w.want) {
		w.t.Fatalf("%d pages are kept, want %d", u.Pages, len(w.want))
	}
	for id, v := range w.want {
		p, memory, there := w.m.Has(id)
		if !there || p.Version != v {
			w.t.Fatalf("page %v is at %v, want %v", id, p.Version, v)
		}
		if w.memory[p] != memory && memory {
			w.t.Fatalf("page %v is said to be in memory", p)
		}
		if !w.memory[p] && w.disk[p.Ref] != p {
			w.t.Fatalf("page %v is in neither place", p)
		}
	}
	if bytes := len(w.memory); bytes > u.Resident {
		w.t.Fatalf("%d pages lie in memory, the cache counts %d", bytes, u.Resident)
	}
}

// drain lets everything under way end and gives all that is in use back.
func (w *world) drain() {
	w.full, w.rot = false, false
	for range 10_000 {
		w.now = w.now.Add(holo.Second)
		w.drive()
		for w.nextUse > 0 && len(w.granted) > 0 {
			for id := range w.granted {
				w.release(id)
			}
		}
		if len(w.writes)+len(w.reads) == 0 && len(w.uses) == 0 {
			w.drive()
			return
		}
		w.finish()
	}
	w.t.Fatal("what was under way did not end")
}

// fill writes so many pages and waits for the disk.
func (w *world) fill(pages int) {
	for i := 0; i < pages; {
		err := w.put(w.id(i))
		if err == nil {
			i++
		} else if holo.KindOf(err) != holo.Unavailable {
			w.t.Fatal(err)
		}
		w.drive()
		w.check()
		if err != nil {
			w.finish()
		}
	}
	w.drain()
	w.check()
}

// finishAll ends what is under way and what comes of it.
func (w *world) finishAll() {
	for len(w.writes)+len(w.reads) > 0 {
		w.finish()
		w.drive()
	}
}
