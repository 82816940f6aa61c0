package node

import (
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// suspendTolerance is how far the two clocks may drift apart between ticks
// before it counts as a suspension. Reading them one after the other is
// microseconds; a lease is 3 s.
const suspendTolerance = 100 * holo.Millisecond

// clock is the node's only clock: monotonic, counted from its making.
type clock struct {
	start time.Time
	slept holo.Duration
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

// unixNow is the wall clock in seconds, for certificates and expiry only.
func unixNow() int64 { return time.Now().Unix() }
