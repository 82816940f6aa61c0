package node

import (
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// suspendTolerance is how far the two clocks may drift apart between ticks
// before it counts as a suspension. Reading them one after the other is
// microseconds; a lease is 3 s.
const suspendTolerance = 100 * holo.Millisecond

// readTries bounds how often the two clocks are read until they are read close to
// each other.
const readTries = 8

// between gives by how much the boot clock is ahead of the monotonic one, of the
// reading that took the shortest. The system may give the processor to others
// between two readings: that is no suspension.
func between(read func() (before, boot, after holo.Duration)) (ahead holo.Duration) {
	shortest := holo.Duration(-1)
	for range readTries {
		before, boot, after := read()
		if took := after - before; shortest < 0 || took < shortest {
			shortest, ahead = took, boot-after
		}
		if shortest < suspendTolerance/10 {
			break
		}
	}
	return ahead
}

// standstill is for how long the loop must have been away that other nodes may
// have given up the sessions with this one: they do so after 5 s in which they
// hear nothing, and hear something every 1.7 s at least.
const standstill = 2 * holo.Second

// clock is the node's only clock: monotonic, counted from its making.
type clock struct {
	start time.Time
	slept holo.Duration
	seen  holo.Time // when the loop last looked
}

func newClock() *clock { return &clock{start: time.Now(), slept: asleep()} }

// now is the reading that machines are given.
func (c *clock) now() holo.Time { return holo.Time(time.Since(c.start)) }

// resumed reports whether the machine was suspended since it was last asked.
// Only the loop asks.
func (c *clock) resumed() bool {
	slept := asleep()
	jumped := slept-c.slept > suspendTolerance
	c.slept = slept
	return jumped
}

// stoodStill reports whether this process did nothing since it was last asked:
// it was stopped, or the machine was too busy to run it. Only the loop asks.
func (c *clock) stoodStill(now holo.Time) bool {
	before := c.seen
	c.seen = now
	return before != 0 && now.Sub(before) > standstill
}

// unixNow is the wall clock in seconds, for certificates and expiry only.
func unixNow() int64 { return time.Now().Unix() }
