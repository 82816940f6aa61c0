package sim

import (
	"fmt"
	"slices"

	"github.com/holocompute/holocompute/internal/history"
)

// explain prints the history of a page up to the first answer that no order of
// its operations gives.
func (w *world) explain(p pageIn) (lines []string) {
	var all []*record
	for i := range w.history {
		if r := &w.history[i]; r.about(p) {
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b *record) int { return int(a.ends() - b.ends()) })
	for n := range all {
		if all[n].unknown || legal(all, n) {
			continue
		}
		for _, r := range all {
			if r.call <= all[n].done {
				lines = append(lines, fmt.Sprintf("%c %v..%v value %x expect %x: %x %v applied %v dropped %v unknown %v by %v",
					r.kind, r.call, r.done, r.operation.value, r.expect, r.outcome.value, r.version, r.applied, r.dropped, r.unknown, r.id))
			}
		}
		return lines
	}
	return nil
}

func (r *record) ends() int64 {
	_, done := r.Span()
	return done
}

// legal reports whether the answers given up to that of all[n] have an order;
// what was not answered by then may or may not have happened.
func legal(all []*record, n int) bool {
	var ops []*record
	for i, r := range all {
		if r.call > all[n].done {
			continue
		}
		in := r
		if i > n {
			if r.kind == readOp {
				continue
			}
			open := *r
			open.unknown = true
			in = &open
		}
		ops = append(ops, in)
	}
	return history.Linearizable(state{}, ops)
}
