package memory

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// recordLife is how long an array's record is used before the catalogue is
// asked again. What must be fresh (that an array is sealed, dropped or lost in
// a shard) is decided by the shards or clears this cache.
const recordLife = holo.Second

// maxRecords bounds the cache; it starts anew when it is full.
const maxRecords = 4096

// records remembers arrays' records for a moment, so that a run of reads and
// writes asks the catalogue once.
type records struct {
	mu struct {
		sync.Mutex
		at        map[holo.ArrayID]cached
		forgotten uint64 // times that something was
	}
}

type cached struct {
	record *wire.ArrayRecord
	read   holo.Time
}

func newRecords() *records {
	r := &records{}
	r.mu.at = make(map[holo.ArrayID]cached)
	return r
}

func (r *records) get(now holo.Time, id holo.ArrayID) (*wire.ArrayRecord, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.mu.at[id]
	return c.record, ok && now.Sub(c.read) < recordLife
}

// question is when the catalogue was asked, and what was forgotten by then.
type question struct {
	at        holo.Time
	forgotten uint64
}

func (r *records) ask(now holo.Time) question {
	r.mu.Lock()
	defer r.mu.Unlock()
	return question{now, r.mu.forgotten}
}

// put remembers an answer, unless something was forgotten since the question: it
// may be of before.
func (r *records) put(asked question, record *wire.ArrayRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if asked.forgotten != r.mu.forgotten {
		return
	}
	if len(r.mu.at) >= maxRecords {
		clear(r.mu.at)
	}
	r.mu.at[record.ID] = cached{record, asked.at}
}

// forget drops what is remembered of an array; of all, for 0.
func (r *records) forget(id holo.ArrayID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.forgotten++
	if id == 0 {
		clear(r.mu.at)
		return
	}
	delete(r.mu.at, id)
}

// Forget drops what is remembered of an array's record; of all, for 0.
func (n *Node) Forget(id holo.ArrayID) { n.records.forget(id) }

// Array is an array's record, at most recordLife old. The caller must not
// change it.
func (n *Node) Array(ctx context.Context, id holo.ArrayID) (*wire.ArrayRecord, error) {
	now := n.now()
	if rec, ok := n.records.get(now, id); ok {
		return rec, nil
	}
	return n.freshArray(ctx, wire.CatalogQuery{What: wire.QueryArrayByID, Number: uint64(id)})
}

// ArrayNamed is the array of a name, or of "#" and an ID, as the catalogue has
// it now.
func (n *Node) ArrayNamed(ctx context.Context, name string) (*wire.ArrayRecord, error) {
	id, byID, err := numbered(name)
	switch {
	case err != nil:
		return nil, err
	case byID:
		return n.freshArray(ctx, wire.CatalogQuery{What: wire.QueryArrayByID, Number: uint64(id)})
	}
	return n.freshArray(ctx, wire.CatalogQuery{What: wire.QueryArrayByName, Name: name})
}

// ArrayKnown is ArrayNamed for what never changes, such as the name of an ID: where
// there is an ID, the record is at most recordLife old.
func (n *Node) ArrayKnown(ctx context.Context, name string) (*wire.ArrayRecord, error) {
	if id, byID, err := numbered(name); byID && err == nil {
		return n.Array(ctx, id)
	}
	return n.ArrayNamed(ctx, name)
}

// numbered takes apart "#" and an ID.
func numbered(name string) (id holo.ArrayID, byID bool, err error) {
	digits, byID := strings.CutPrefix(name, "#")
	if !byID {
		return 0, false, nil
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0, true, holo.Errorf(holo.Invalid, "array %q: after # comes the number of an array", name)
	}
	return holo.ArrayID(number), true, nil
}

func (n *Node) freshArray(ctx context.Context, q wire.CatalogQuery) (*wire.ArrayRecord, error) {
	asked := n.records.ask(n.now())
	rec, err := n.links.Record(ctx, q)
	if err != nil {
		return nil, err
	}
	n.records.put(asked, rec)
	return rec, nil
}
