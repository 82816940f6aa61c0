package holocompute

import "iter"

// plan is which elements of a grid are picked, by dimension, the slowest first.
type plan struct {
	dims   [MaxDims]uint64
	slices [MaxDims]Slice
	n      int
}

// run is elements that lie side by side.
type run struct{ first, count uint64 }

// span is elements that are read at once, and which of them are wanted.
type span struct {
	run
	runs   []run
	picked uint64
}

// add adds a dimension. One of which everything is wanted is one with the dimension
// before it, so that whole rows that follow one another are one run.
func (p *plan) add(dim uint64, s Slice) {
	if p.n > 0 && s == (Slice{Count: dim, Step: 1}) && p.slices[p.n-1].Step == 1 {
		last := &p.slices[p.n-1]
		p.dims[p.n-1] *= dim
		last.First *= dim
		last.Count *= dim
		return
	}
	p.dims[p.n], p.slices[p.n] = dim, s
	p.n++
}

// runs are the runs in the order of the elements.
func (p *plan) runs() iter.Seq[run] {
	return func(yield func(run) bool) { p.from(0, 0, yield) }
}

// from goes through a dimension and those in it; before is the index in those around
// it. It is false when whoever looks has seen enough.
func (p *plan) from(dim int, before uint64, yield func(run) bool) bool {
	s := p.slices[dim]
	first := before*p.dims[dim] + s.First
	if dim == p.n-1 && s.Step == 1 {
		return s.Count == 0 || yield(run{first, s.Count})
	}
	for i := range s.Count {
		at := first + i*s.Step
		if dim < p.n-1 && !p.from(dim+1, at, yield) || dim == p.n-1 && !yield(run{at, 1}) {
			return false
		}
	}
	return true
}

// spans puts runs together that have at most gap elements between them, while that
// is not longer than most. A run that is longer is a span of its own.
func (p *plan) spans(most, gap uint64) iter.Seq[span] {
	return func(yield func(span) bool) {
		var s span
		for r := range p.runs() {
			if s.picked > 0 && !s.takes(r, most, gap) {
				if !yield(s) {
					return
				}
				s = span{}
			}
			s.add(r)
		}
		if s.picked > 0 {
			yield(s)
		}
	}
}

func (s *span) takes(r run, most, gap uint64) bool {
	return r.first-(s.first+s.count) <= gap && r.first+r.count-s.first <= most && len(s.runs) < gridRuns
}

func (s *span) add(r run) {
	if s.picked == 0 {
		s.first = r.first
	}
	s.count = r.first + r.count - s.first
	s.runs = append(s.runs, r)
	s.picked += r.count
}
