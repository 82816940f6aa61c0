package sim

import (
	"bytes"
	"flag"
	"fmt"
	"testing"
	"time"
)

var (
	first   = flag.Uint64("from", 1, "the first random seed")
	seeds   = flag.Int("n", 250, "random seeds that TestSeeds runs")
	oneSeed = flag.Uint64("seed", 0, "the only seed that TestSeeds runs, with its transcript")
	only    = flag.String("only", "", "run only the mutants whose names match")
	mutantN = flag.Int("mutants", 0, "random seeds that TestMutantsBySeeds runs on each mutant")
)

func TestSeeds(t *testing.T) {
	if *oneSeed != 0 {
		o := For(*oneSeed)
		o.Keep = true
		r := attempt(o)
		t.Logf("%s\nseed %d: %v of virtual time, %v", r.Transcript, *oneSeed, r.Virtual, r.Counts)
		if r.Failure != "" {
			t.Errorf("seed %d: %s", *oneSeed, r.Failure)
		}
		return
	}
	start, total, virtual := time.Now(), map[string]int{}, 0.0
	for seed := *first; seed < *first+uint64(*seeds); seed++ {
		r := attempt(For(seed))
		if r.Failure != "" {
			t.Errorf("seed %d: %s\nagain: make sim SEED=%d", seed, r.Failure, seed)
		}
		for k, n := range r.Counts {
			total[k] += n
		}
		virtual += float64(r.Virtual) / 1e9
	}
	t.Logf("%d seeds, %.0f virtual seconds in %v: %v", *seeds, virtual, time.Since(start).Round(time.Millisecond), total)
}

// attempt turns a panic into a failure of its seed.
func attempt(o Options) (r Result) {
	defer func() {
		if p := recover(); p != nil {
			r.Failure = fmt.Sprintf("panic: %v", p)
		}
	}()
	return Run(o)
}

func TestSameSeedSameRun(t *testing.T) {
	for seed := uint64(1); seed <= 6; seed++ {
		o := For(seed)
		o.Keep = true
		a, b := Run(o), Run(o)
		if a.Hash != b.Hash || !bytes.Equal(a.Transcript, b.Transcript) || len(a.Transcript) == 0 {
			t.Errorf("seed %d: two runs differ", seed)
		}
	}
}
