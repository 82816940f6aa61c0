package sim

import (
	"fmt"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// judge decides whether the run kept every promise.
func (w *world) judge() {
	if w.failure != "" {
		return
	}
	if why := w.unrestored(); why != "" {
		w.fail(why)
	}
	w.readAll()
	for _, p := range w.pages() {
		if !w.linearizable(p) {
			w.fail(fmt.Sprintf("page %v is not linearizable", p.page))
			for _, line := range w.explain(p) {
				w.note(line)
			}
		}
		w.ledger(p)
	}
	w.tasksOnce()
	w.lanes()
	w.sealAll()
	w.copiesEqual()
}

// unrestored says what a healed cluster still lacks.
func (w *world) unrestored() string {
	for c := range w.control.table.All() {
		switch {
		case c.Lost:
			return fmt.Sprintf("shard %d is lost", c.Shard)
		case len(c.Members) != int(w.o.Copies) || c.Learner != wire.Member{}:
			return fmt.Sprintf("shard %d has %d copies of %d", c.Shard, len(c.Members), w.o.Copies)
		case len(w.control.table.Leaving(c)) > 0:
			return fmt.Sprintf("shard %d is held by a node that drains", c.Shard)
		}
		if st := w.nodes[addressOf(c.Primary)].machine.Status(c.Shard); st.State != shard.Active {
			return fmt.Sprintf("shard %d: its primary is %v", c.Shard, st.State)
		}
	}
	return ""
}

// do has a client do one more operation, with nothing failing any more.
func (w *world) do(o operation) (outcome, bool) {
	c := w.clients[0]
	c.left = 0
	before := len(w.history)
	o.id = c.opID()
	c.start(o)
	for i := 0; i < 400 && c.op != nil; i++ {
		w.run(5 * ms)
	}
	if len(w.history) == before || w.history[before].unknown {
		return outcome{unknown: true}, false
	}
	return w.history[before].outcome, true
}

// readAll reads every page once more: what was acknowledged must be there.
func (w *world) readAll() {
	for _, p := range w.pages() {
		if _, ok := w.do(operation{kind: readOp, shard: p.shard, page: p.page}); !ok {
			w.fail(fmt.Sprintf("page %v cannot be read after everything healed", p.page))
		}
	}
}

// ledger is a second and much dumber check that no acknowledged write is
// missing: the last version read is not older than any that was acknowledged.
func (w *world) ledger(p pageIn) {
	var last *record
	for i := range w.history {
		if r := &w.history[i]; r.kind == readOp && r.about(p) && !r.unknown {
			last = r
		}
	}
	for i := range w.history {
		r := &w.history[i]
		wrote := r.kind == writeOp || r.kind == taskOp || r.kind == foldOp || r.kind == swapOp && r.applied
		if last != nil && !last.dropped && wrote && r.about(p) && !r.unknown && !r.dropped && last.version.Before(r.version) {
			w.fail(fmt.Sprintf("page %v: the write of version %v was acknowledged, and %v is there", p.page, r.version, last.version))
		}
	}
}

// tasksOnce checks that everybody who was told that a task is done was told
// the same version.
func (w *world) tasksOnce() {
	first := map[holo.PageID]holo.Version{}
	for i := range w.history {
		r := &w.history[i]
		if r.kind != taskOp || r.unknown {
			continue
		}
		if v, ok := first[r.page]; ok && v != r.version {
			w.fail(fmt.Sprintf("task of page %v took effect as %v and as %v", r.page, v, r.version))
		}
		first[r.page] = r.version
	}
}

// sealAll makes the arrays immutable, and lets the members learn it.
func (w *world) sealAll() {
	if w.failure != "" {
		return
	}
	for s := range w.o.Shards {
		for _, a := range []holo.ArrayID{freeArray, taskArray, laneArray} {
			id := holo.MakeShardID(w.o.Copies, uint64(s))
			if _, ok := w.do(operation{kind: sealOp, shard: id, page: holo.PageID{Array: a}}); !ok {
				w.fail(fmt.Sprintf("array %d cannot be sealed in shard %d", a, id))
			}
		}
	}
	w.run(300 * ms)
}

// copiesEqual compares what every member holds: as the hash of the pages of
// each array, which any member shows once the array is sealed.
func (w *world) copiesEqual() {
	if w.failure != "" {
		return
	}
	for c := range w.control.table.All() {
		for _, a := range []holo.ArrayID{freeArray, taskArray, laneArray} {
			want, _ := w.root(c, 0, a)
			for i := range c.Members {
				got, err := w.root(c, i, a)
				if err != nil || got != want {
					w.fail(fmt.Sprintf("shard %d: the copies of array %d differ: %v", c.Shard, a, err))
				}
			}
		}
	}
}

func (w *world) root(c *wire.ShardConfig, member int, a holo.ArrayID) (holo.Digest, error) {
	n := w.nodes[addressOf(c.Members[member].Node)]
	views, err := n.machine.Digests(n.now(), a, c.Shard)
	if err != nil {
		return holo.Digest{}, err
	}
	var leaves []holo.Digest
	for i := range views {
		v := &views[i]
		leaves = append(leaves, digest.Of(fmt.Appendf(nil, "%v %v %v", v.Page, v.Version, v.Content())))
	}
	return digest.Root(leaves), nil
}
