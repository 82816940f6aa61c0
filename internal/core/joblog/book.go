package joblog

import (
	"math"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Limits of a job's log.
const (
	// MaxBytes bounds the lines of a job, each with lineCost for what is beside
	// its text: a node that remembers 72 jobs holds 18 MiB of logs.
	MaxBytes = 256 << 10
	lineCost = 64
	// maxTried bounds the failed attempts whose lines wait for what becomes of
	// their task.
	maxTried = 8
)

// From tells who said something: an attempt at a task. Attempt 0 is the
// combining of a partial result into that of the task.
type From struct {
	Task    holo.TaskID
	Attempt holo.Attempt
	Node    holo.NodeID
}

// Line is one line of a job's log.
type Line struct {
	From
	Text string
}

// Book is the log of a job: the lines of each attempt that counts, in the order
// in which they came to count. An attempt that does not count leaves none,
// except the one that ended the job: its lines say why. Its owner locks it.
type Book struct {
	lines []Line
	size  int
	lost  uint64
	tried []attempt
}

type attempt struct {
	From
	said wire.Said
}

// Add takes what an attempt that counts said. Lines beyond MaxBytes are lost.
func (b *Book) Add(from From, said *wire.Said) {
	b.lost += min(uint64(said.Lost), math.MaxUint64-b.lost)
	for _, text := range said.Lines {
		text = Clean(text)
		if b.size+len(text)+lineCost > MaxBytes {
			b.lost++
			continue
		}
		b.size += len(text) + lineCost
		b.lines = append(b.lines, Line{from, text})
	}
}

// Tried takes what a failed attempt said, in the place of what an earlier one
// at the task did: of the last maxTried tasks.
func (b *Book) Tried(from From, said *wire.Said) {
	b.tried = slices.DeleteFunc(b.tried, func(a attempt) bool { return a.Task == from.Task })
	if len(b.tried) == maxTried {
		b.tried = slices.Delete(b.tried, 0, 1)
	}
	b.tried = append(b.tried, attempt{from, *said})
}

// Ended takes the task that ended the job, if one did: the lines of its last
// attempt are added. Nothing is tried any more.
func (b *Book) Ended(cause holo.TaskID, isCause bool) {
	for i := range b.tried {
		if isCause && b.tried[i].Task == cause {
			b.Add(b.tried[i].From, &b.tried[i].said)
		}
	}
	b.tried = nil
}

// Since gives the lines from number first on. They do not change.
func (b *Book) Since(first int) []Line { return b.lines[min(first, len(b.lines)):] }

// Lost is how many lines were logged and not kept.
func (b *Book) Lost() uint64 { return b.lost }
