package bench_test

import (
	"testing"
	"time"

	"github.com/holocompute/holocompute/bench"
)

// failures counts what a benchmark would have failed for.
type failures struct {
	testing.TB
	count int
}

func (f *failures) Helper()               {}
func (f *failures) Errorf(string, ...any) { f.count++ }

func TestOverheadBeyondItsBoundFailsTheBenchmark(t *testing.T) {
	for _, s := range []struct {
		cost bench.Processor
		want int
	}{{bench.Processor{Base: 5e3, Ours: 1.004e6}, 0}, {bench.Processor{Base: 5e3, Ours: 1.006e6}, 1}, {bench.Processor{Base: 2e6, Ours: 1e6}, 0}, {bench.Processor{}, 0}} {
		f := &failures{TB: t}
		if s.cost.Within(f, time.Millisecond); f.count != s.want {
			t.Errorf("%+v fails %d times, want %d", s.cost, f.count, s.want)
		}
	}
}
