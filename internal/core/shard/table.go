package shard

import (
	"cmp"
	"maps"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// maxRecords is the number of outcomes remembered per shard, of operations and of
// tasks, which do not push each other out.
//
// A client retries an operation for at most 15 s, so a duplicate could slip through
// only above 500 writes a second to one of the 256 shards for all that time: 128,000
// a second. A task may come again hours later, when another node goes on with its
// job, and must still be known where it writes what it read. A job's 2^20 tasks are
// at most 4,096 to a shard: those of a job that goes on are forgotten when as many
// again, of later jobs whose arrays are still open, were committed since.
const maxRecords = 8192

// maxDropped is the number of deleted arrays remembered per shard. An ID is
// never used again, so all that a mark older than that many deletions would
// refuse is a write delayed for as long.
const maxDropped = 4096

// opKey names a mutation for exactly-once effect: its operation ID, or the job
// and task whose output it is, whichever attempt sends it (I10).
type opKey struct {
	op     holo.OpID
	byTask bool
	job    holo.JobID
	task   holo.TaskID
}

func keyOf(mu *wire.Mutation) opKey {
	if mu.Kind == wire.MutateTask {
		return opKey{byTask: true, job: mu.Job, task: mu.Task}
	}
	return opKey{op: mu.Op}
}

func recordKey(r *wire.OpRecord) opKey {
	if r.ByTask {
		return opKey{byTask: true, job: r.Job, task: r.Task}
	}
	return opKey{op: r.Op}
}

// table is the committed state of one shard. Everything in it has a version
// whose sequence number is at or below the replica's commit watermark.
type table struct {
	pages   map[holo.PageID]stored
	marks   map[holo.ArrayID]wire.ArrayMark
	records map[opKey]wire.OpRecord
	ops     []opKey        // of records, oldest first
	tasks   []opKey        // and those of tasks
	dropped []holo.ArrayID // of marks, oldest first
	bytes   int            // of page data
	away    int            // of them on disk

	shard holo.ShardID
	log   *[]PageChange // where what comes and goes is told; nil: to nobody
}

func newTable(s holo.ShardID, log *[]PageChange) table {
	return table{
		shard: s, log: log,
		pages: map[holo.PageID]stored{}, marks: map[holo.ArrayID]wire.ArrayMark{}, records: map[opKey]wire.OpRecord{},
	}
}

// get is the committed page; one never written is zero at the zero version.
func (t *table) get(id holo.PageID) stored {
	if s, ok := t.pages[id]; ok {
		return s
	}
	return stored{page: zeroPage}
}

func (t *table) set(id holo.PageID, s stored) {
	if t.marks[id.Array].State == wire.MarkDropped {
		return
	}
	t.leave(id)
	t.bytes += len(s.data)
	t.pages[id] = s
	t.tell(id, s, false)
}

// leave takes a page out of the table's books.
func (t *table) leave(id holo.PageID) {
	s := t.get(id)
	t.bytes -= s.size()
	if s.away {
		t.away -= holo.PageSize
		s.gone = true
	}
	t.tell(id, s, true)
}

// tell says that a page of 64 KiB came or went.
func (t *table) tell(id holo.PageID, s stored, gone bool) {
	if t.log != nil && s.kind == wire.PageData {
		*t.log = append(*t.log, PageChange{Shard: t.shard, Page: id, Version: s.version, Gone: gone})
	}
}

// mark seals or drops an array. Either way its tasks are over, and their
// records with them: a late attempt meets the mark.
func (t *table) mark(a wire.ArrayMark) {
	if t.marks[a.Array].State == wire.MarkDropped {
		return
	}
	t.marks[a.Array] = a
	t.tasks = slices.DeleteFunc(t.tasks, func(k opKey) bool {
		gone := t.records[k].Array == a.Array
		if gone {
			delete(t.records, k)
		}
		return gone
	})
	if a.State == wire.MarkDropped {
		t.drop(a.Array)
	}
}

func (t *table) drop(array holo.ArrayID) {
	if t.dropped = append(t.dropped, array); len(t.dropped) > maxDropped {
		delete(t.marks, t.dropped[0])
		t.dropped = t.dropped[1:]
	}
	for _, id := range t.sorted() {
		if id.Array == array {
			t.leave(id)
			delete(t.pages, id)
		}
	}
}

// emptied is a table with nothing in it, in place of this one.
func (t *table) emptied() table {
	for _, id := range t.sorted() {
		t.leave(id)
	}
	return newTable(t.shard, t.log)
}

// sorted are the pages, in order if anybody is told of them.
func (t *table) sorted() []holo.PageID {
	ids := slices.Collect(maps.Keys(t.pages))
	if t.log != nil {
		sortPages(ids)
	}
	return ids
}

func (t *table) record(r wire.OpRecord) {
	k, order := recordKey(&r), &t.ops
	if k.byTask {
		order = &t.tasks
	}
	if _, known := t.records[k]; !known {
		*order = append(*order, k)
	}
	t.records[k] = r
	for len(*order) > maxRecords {
		delete(t.records, (*order)[0])
		*order = (*order)[1:]
	}
}

// apply makes an item of the tail part of the table.
func (t *table) apply(it *item) {
	for _, a := range it.marks {
		t.mark(a)
	}
	for _, e := range it.effects {
		t.set(e.id, e.stored)
	}
	for _, r := range it.records {
		t.record(r)
	}
}

// above collects what lies above a watermark, each list in a fixed order.
func (t *table) above(w holo.Seq) (effects []effect, marks []wire.ArrayMark, records []wire.OpRecord) {
	for id, s := range t.pages {
		if s.version.Seq > w {
			effects = append(effects, effect{id, s})
		}
	}
	sortEffects(effects)
	for _, a := range t.marks {
		if a.Version.Seq > w {
			marks = append(marks, a)
		}
	}
	slices.SortFunc(marks, func(a, b wire.ArrayMark) int { return cmp.Compare(a.Array, b.Array) })
	for _, k := range slices.Concat(t.ops, t.tasks) {
		if r := t.records[k]; r.Version.Seq > w {
			records = append(records, r)
		}
	}
	return effects, marks, records
}

func sortEffects(effects []effect) {
	slices.SortFunc(effects, func(a, b effect) int {
		return cmp.Or(cmp.Compare(a.id.Array, b.id.Array), cmp.Compare(a.id.Index, b.id.Index))
	})
}
