package holocompute

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// What is read at once is bounded, holds all that is wanted in its order, and begins
// anew where too much would be read that is not.
func TestSpansOfAGridAreBoundedAndHoldItsRuns(t *testing.T) {
	const most, gap = 40, 7
	rng := rand.New(rand.NewPCG(1, 1))
	several := 0
	for range 500 {
		p := plan{}
		for range 1 + rng.IntN(MaxDims) {
			dim := 1 + rng.Uint64N(30)
			s := Slice{First: rng.Uint64N(dim), Step: 1 + rng.Uint64N(12)}
			s.Count = rng.Uint64N((dim-s.First-1)/s.Step + 2)
			p.add(dim, s)
		}
		want := slices.Collect(p.runs())
		var got []run
		for s := range p.spans(most, gap) {
			picked, end := uint64(0), s.first
			for _, r := range s.runs {
				if r.first < end || r.first-end > gap {
					t.Fatalf("%+v: runs %v that are not in order, or too far apart", p, s.runs)
				}
				picked, end = picked+r.count, r.first+r.count
			}
			if picked != s.picked || s.count != end-s.first || s.count > most && len(s.runs) > 1 {
				t.Fatalf("%+v: span %+v", p, s)
			}
			if len(s.runs) > 1 {
				several++
			}
			got = append(got, s.runs...)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%+v: spans hold %v, want %v", p, got, want)
		}
	}
	if several == 0 {
		t.Error("no span held several runs")
	}
}

// Rows that are wanted whole and follow one another are one run.
func TestWholeRowsAreOneRun(t *testing.T) {
	p := plan{}
	for _, s := range []struct {
		dim uint64
		Slice
	}{{5, Slice{First: 1, Count: 3, Step: 1}}, {4, Slice{Count: 4, Step: 1}}, {6, Slice{Count: 6, Step: 1}}} {
		p.add(s.dim, s.Slice)
	}
	if got := slices.Collect(p.runs()); !slices.Equal(got, []run{{24, 72}}) {
		t.Errorf("runs %v, want one of 72 elements from 24 on", got)
	}
}
