package shard

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
	"github.com/holocompute/holocompute/internal/wire"
)

// effect is a page's new value.
type effect struct {
	id holo.PageID
	stored
}

// item is an uncommitted step of a shard's history: one entry, or the batch of
// several that came in a transfer and can only be committed together.
type item struct {
	seq     holo.Seq
	entry   *wire.Entry // nil for a batch
	effects []effect
	marks   []wire.ArrayMark
	records []wire.OpRecord
	waiters []waiter // at the primary
	size    int      // bytes of the entry, about
	end     int      // of all entries of this activation up to this one
}

// waiter is who waits for the outcome of one of an item's records.
type waiter struct {
	id     uint64
	record int
}

// await makes somebody wait for the outcome of an operation in this item.
func (it *item) await(id uint64, k opKey) {
	for i := range it.records {
		if recordKey(&it.records[i]) == k {
			it.waiters = append(it.waiters, waiter{id, i})
		}
	}
}

// tail is the history above the commit watermark, with the latest value of all
// that it touches.
type tail struct {
	items   []*item
	pages   map[holo.PageID]stored
	marks   map[holo.ArrayID]wire.MarkState
	pending map[opKey]*item
}

func newTail() tail {
	return tail{pages: map[holo.PageID]stored{}, marks: map[holo.ArrayID]wire.MarkState{}, pending: map[opKey]*item{}}
}

func (t *tail) push(it *item) {
	t.items = append(t.items, it)
	for _, e := range it.effects {
		t.pages[e.id] = e.stored
	}
	for _, a := range it.marks {
		t.marks[a.Array] = a.State
	}
	for i := range it.records {
		t.pending[recordKey(&it.records[i])] = it
	}
}

// pop removes the oldest item, and each latest value that is still its own.
func (t *tail) pop() *item {
	it := t.items[0]
	t.items[0] = nil
	t.items = t.items[1:]
	for _, e := range it.effects {
		if t.pages[e.id].version.Seq <= it.seq {
			delete(t.pages, e.id)
		}
	}
	for i := range it.records {
		if k := recordKey(&it.records[i]); t.pending[k] == it {
			delete(t.pending, k)
		}
	}
	if len(it.marks) > 0 {
		t.remark()
	}
	return it
}

func (t *tail) remark() {
	clear(t.marks)
	for _, it := range t.items {
		for _, a := range it.marks {
			t.marks[a.Array] = a.State
		}
	}
}

// latest is a page as the newest entry leaves it, committed or not.
func (r *replica) latest(id holo.PageID) stored {
	if s, ok := r.tail.pages[id]; ok {
		return s
	}
	return r.table.get(id)
}

// state is an array's mark as the newest entry leaves it; 0 is none.
func (r *replica) state(array holo.ArrayID) wire.MarkState {
	if s, ok := r.tail.marks[array]; ok {
		return s
	}
	return r.table.marks[array].State
}

// append makes an entry part of the tail. The pages that it makes are new
// buffers; whoever reads the old ones goes on reading them. own: see SubmitOwn.
func (r *replica) append(n *wire.Entry, own bool) *item {
	invariant.Check(n.Seq == r.seq+1, "shard %d: entry %d after %d", r.shard, n.Seq, r.seq)
	v := holo.Version{Epoch: n.Epoch, Seq: n.Seq}
	it := &item{seq: n.Seq, entry: n, size: entrySize(n)}
	it.records = []wire.OpRecord{{
		Op: n.Op, ByTask: n.Kind == wire.MutateTask, Job: n.Job, Task: n.Task, Array: n.Array, Version: v, Applied: n.Applied, Old: n.Old,
	}}
	switch n.Kind {
	case wire.MutateSeal:
		it.marks = []wire.ArrayMark{{Array: n.Array, State: wire.MarkSealed, Version: v}}
	case wire.MutateDrop:
		it.marks = []wire.ArrayMark{{Array: n.Array, State: wire.MarkDropped, Version: v}}
	}
	if n.Applied {
		it.effects = r.effects(n, v, own)
	}
	r.seq = n.Seq
	r.tail.push(it)
	return it
}

func (r *replica) effects(n *wire.Entry, v holo.Version, own bool) []effect {
	es := make([]effect, 0, len(n.Changes))
	for i := range n.Changes {
		c := &n.Changes[i]
		id := holo.PageID{Array: n.Array, Index: c.Page}
		base := r.latest(id)
		for _, e := range es { // a page changed twice in one entry
			if e.id == id {
				base = e.stored
			}
		}
		es = append(es, effect{id, stored{base.changed(c, own), v}})
	}
	return es
}

// commitTo commits all items up to a watermark, in order. A batch that the
// watermark cuts stays uncommitted: nothing says which part of it counts.
func (r *replica) commitTo(w holo.Seq) (done []*item) {
	for len(r.tail.items) > 0 && r.tail.items[0].seq <= w {
		it := r.tail.pop()
		invariant.Check(it.seq > r.commit, "shard %d: commit %d after %d", r.shard, it.seq, r.commit)
		r.table.apply(it)
		r.commit = it.seq
		it.effects = nil // the table holds them; a resend needs only the entry
		done = append(done, it)
	}
	return done
}

// entrySize is about the bytes that an entry takes on the wire.
func entrySize(n *wire.Entry) int {
	size := 64 + len(n.Expect)
	for i := range n.Changes {
		size += 48 + len(n.Changes[i].Data)
	}
	return size
}
