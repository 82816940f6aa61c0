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
		at map[holo.ArrayID]cached
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

func (r *records) put(asked holo.Time, record *wire.ArrayRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.mu.at) >= maxRecords {
		clear(r.mu.at)
	}
	r.mu.at[record.ID] = cached{record, asked}
}

// forget drops what is remembered of an array; of all, for 0.
func (r *records) forget(id holo.ArrayID) {
	r.mu.Lock()
	defer r.mu.Unlock()
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
	digits, byID := strings.CutPrefix(name, "#")
	if !byID {
		return n.freshArray(ctx, wire.CatalogQuery{What: wire.QueryArrayByName, Name: name})
	}
	id, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return nil, holo.Errorf(holo.Invalid, "array %q: after # comes the number of an array", name)
	}
	return n.freshArray(ctx, wire.CatalogQuery{What: wire.QueryArrayByID, Number: id})
}

func (n *Node) freshArray(ctx context.Context, q wire.CatalogQuery) (*wire.ArrayRecord, error) {
	asked := n.now()
	rec, err := n.links.Record(ctx, q)
	if err != nil {
		return nil, err
	}
	n.records.put(asked, rec)
	return rec, nil
}
