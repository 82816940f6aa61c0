// Package bench compares workloads with a baseline that runs between them, in
// the same process and the same minute: on shared machines a time says little,
// a ratio of two times measured in turns says much. Processor time is measured
// as well as wall time; the ratio of processor times is the one to read where
// the machine has other work.
//
// The workloads are Go benchmarks, here and, where they need a library that one
// package hides, beside that package. README.md says which and how to run them.
package bench

import (
	"slices"
	"testing"
	"time"
)

// sample is what one batch took.
type sample struct{ wall, cpu time.Duration }

// measure runs a batch. The processor time is that of the whole process: both
// ends of a link, the garbage collector.
func measure(run func(n int), n int, others func() time.Duration) sample {
	cpu, wall := ProcessorTime()+others(), time.Now()
	run(n)
	return sample{time.Since(wall), ProcessorTime() + others() - cpu}
}

// Compare runs ours and base in turns, n operations at a time, and reports the
// medians of the batches: nanoseconds of each per operation, and their ratios.
// A batch should take some ten milliseconds or more, because processor time is
// counted in ticks on some systems. size is the number of bytes of one
// operation, 0 for none.
func Compare(b *testing.B, n int, size int, base, ours func(n int)) Processor {
	b.Helper()
	return CompareWith(b, n, size, func() time.Duration { return 0 }, base, ours)
}

// CompareWith is Compare where other processes work too: others is the
// processor time that they have used so far.
func CompareWith(b *testing.B, n int, size int, others func() time.Duration, base, ours func(n int)) Processor {
	b.Helper()
	base(n) // warm up both
	ours(n)
	var bases, ourses []sample
	for b.Loop() {
		bases = append(bases, measure(base, n, others))
		ourses = append(ourses, measure(ours, n, others))
	}
	wall := func(s sample) float64 { return float64(s.wall) }
	cpu := func(s sample) float64 { return float64(s.cpu) }
	baseWall, ourWall := median(bases, wall)/float64(n), median(ourses, wall)/float64(n)
	baseCPU, ourCPU := median(bases, cpu)/float64(n), median(ourses, cpu)/float64(n)
	b.ReportMetric(0, "ns/op") // the sum of both means nothing
	b.ReportMetric(baseWall, "base-wall-ns")
	b.ReportMetric(ourWall, "ours-wall-ns")
	b.ReportMetric(baseCPU, "base-cpu-ns")
	b.ReportMetric(ourCPU, "ours-cpu-ns")
	b.ReportMetric(ourWall/baseWall, "wall-ratio")
	if baseCPU > 0 {
		b.ReportMetric(ourCPU/baseCPU, "cpu-ratio")
	}
	if size > 0 {
		b.ReportMetric(float64(size)/ourWall, "ours-GB/s")
	}
	return Processor{baseCPU, ourCPU}
}

// Processor is the processor time of one operation in nanoseconds; 0 where the
// system does not count it.
type Processor struct{ Base, Ours float64 }

// Ratio is ours by the baseline's.
func (p Processor) Ratio() float64 { return p.Ours / max(p.Base, 1) }

// Within fails a benchmark whose overhead, what ours takes beyond the baseline, is
// more than it may be. It is a bound on processor time: what else the machine does
// is not in it.
func (p Processor) Within(b testing.TB, overhead time.Duration) {
	b.Helper()
	if over := time.Duration(p.Ours - p.Base); over > overhead {
		b.Errorf("%s of processor time beyond the baseline's %s, at most %s", over, time.Duration(p.Base), overhead)
	}
}

func median(s []sample, of func(sample) float64) float64 {
	v := make([]float64, len(s))
	for i := range s {
		v[i] = of(s[i])
	}
	slices.Sort(v)
	return v[len(v)/2]
}
