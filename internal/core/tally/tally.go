// Package tally counts what happens too often to be recorded one by one, and
// says when its number is to be recorded.
//
// Its one idea: the first of a kind is due at once, and all that follow within
// the interval are due together at its end. So a flood neither fills a log nor
// hides in it, and nothing that was counted is ever left out. It records
// nothing itself, and is a machine: it is told the time.
package tally

import "github.com/holocompute/holocompute/internal/holo"

// Tally owes a record of each kind so often as add said. Its owner locks it.
// What it holds is bounded by the kinds of one interval.
type Tally[K comparable] struct {
	every holo.Duration
	owed  map[K]uint64
	paid  map[K]holo.Time // when a kind was last due, for one interval
}

// New gives a tally with at most one record of a kind for each interval.
func New[K comparable](every holo.Duration) *Tally[K] {
	return &Tally[K]{every: every, owed: map[K]uint64{}, paid: map[K]holo.Time{}}
}

// Owe adds to what is still to be recorded. What could not be recorded is owed
// again.
func (t *Tally[K]) Owe(kind K, count uint64) { t.owed[kind] += count }

// Due takes what is to be recorded now: of each kind that had no record within
// the interval, how often it happened since.
func (t *Tally[K]) Due(now holo.Time) map[K]uint64 {
	for kind, at := range t.paid {
		if now.Sub(at) >= t.every {
			delete(t.paid, kind)
		}
	}
	due := map[K]uint64{}
	for kind, count := range t.owed {
		if _, lately := t.paid[kind]; !lately {
			due[kind], t.paid[kind] = count, now
			delete(t.owed, kind)
		}
	}
	return due
}

// Rest takes all that is still to be recorded, for an end in order.
func (t *Tally[K]) Rest() map[K]uint64 {
	rest := t.owed
	t.owed = map[K]uint64{}
	return rest
}
