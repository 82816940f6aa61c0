package jobs

import (
	"os"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// atWork is what the workers of this process use: processor time in hundredths
// of a second, of those that live and of those that ended, memory in pages, how
// many they are, and how many of them run or want to.
type atWork struct{ ticks, resident, count, running int }

func lookAtWorkers(t *testing.T) (sum atWork) {
	t.Helper()
	self, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	fields := statFields(self)
	sum.ticks = number(fields[13]) + number(fields[14]) // fields 16 and 17, of children that were waited for
	for _, c := range children(t) {
		user, kernel := c.ticks()
		sum.ticks += user + kernel
		sum.resident += c.resident()
		sum.count++
		if c.runs() {
			sum.running++
		}
	}
	return sum
}

// K-07. A job of a minute is cancelled while it works. Its workers use
// no half second of processor time after that, and no memory is left behind.
func TestCancelledJobReleasesProcessorAndMemory(t *testing.T) {
	l := newLAN(t, 2, Options{})
	s := l.endless()
	s.Gas = 4e9 // about a second, of each of 60 tasks
	s.Inputs = []holo.ArrayID{l.longs("y", 1, ramp(0, 60*16384))}
	cancelled := func() (idle atWork) {
		before := lookAtWorkers(t)
		id, err := l.peers[0].runner.Submit(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		await(t, "the job works", func() bool { return lookAtWorkers(t).ticks > before.ticks+20 })
		if j, err := l.peers[0].runner.Cancel(t.Context(), id); err != nil || j.State != Cancelled {
			t.Fatalf("%+v, %v", j, err)
		}
		at, still := lookAtWorkers(t), 0
		await(t, "no worker runs", func() bool {
			now := lookAtWorkers(t)
			if still++; now.running > 0 || now.ticks != idle.ticks {
				still = 0
			}
			idle = now
			return still == 20
		})
		if used := idle.ticks - at.ticks; used > 50 {
			t.Errorf("%d hundredths of a second of processor time after the job was cancelled", used)
		}
		return idle
	}
	first := cancelled()
	each := first.resident / first.count // on a busy machine a later job may be the first to need a second worker
	for range 3 {
		if again := cancelled(); again.resident > (each+each/4)*again.count {
			t.Errorf("%d workers have %d pages after the first job, and %d have %d after another one", first.count, first.resident, again.count, again.resident)
		}
	}
}
