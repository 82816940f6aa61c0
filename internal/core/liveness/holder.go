package liveness

import (
	"math"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Holder keeps this process's node lease. It belongs to the node's loop and
// lives as long as the process: a restart is a new incarnation.
type Holder struct {
	incarnation holo.Incarnation
	timing      Timing
	next        holo.Time // when the next heartbeat is due
	again       holo.Time // when it is due if the last one is not answered
	sent        holo.Time // the last one
	until       holo.Time // end of the lease
	answered    holo.Time // Sent of the newest heartbeat that was answered
	since       holo.Time // heartbeats sent before count for nothing
	lastGrant   uint64
	version     uint64
	access      uint64
}

// NewHolder makes a holder without a lease. Its first heartbeat is due at once.
func NewHolder(inc holo.Incarnation, timing Timing) *Holder {
	return &Holder{incarnation: inc, timing: timing, next: math.MinInt64, sent: math.MinInt64, until: math.MinInt64, answered: math.MinInt64, since: math.MinInt64}
}

// Due gives the heartbeat that is to be sent to the Raft leader now, if any. After
// one without an answer the next is due four times as soon: where one message in
// five is lost, five in a row are, and twenty are not.
func (h *Holder) Due(now holo.Time) (*wire.Heartbeat, bool) {
	lost := h.sent > h.answered && now >= h.again
	if now < h.next && !lost {
		return nil, false
	}
	h.sent, h.next, h.again = now, now.Add(h.timing.Beat), now.Add(h.timing.Beat/4)
	return &wire.Heartbeat{Incarnation: h.incarnation, Sent: now, LastGrant: h.lastGrant, ConfigVersion: h.version}, true
}

// Hurry makes the next heartbeat due at once: a new leader is known.
func (h *Holder) Hurry() { h.next = math.MinInt64 }

// Granted takes an answer. When ok, the caller MUST apply the grant's
// configurations together with the lease that ends at until; a grant for
// another incarnation, or for a heartbeat not sent yet, is for somebody else.
// The lease may be over on arrival: its configurations are news all the same.
func (h *Holder) Granted(now holo.Time, g *wire.Grant) (until holo.Time, ok bool) {
	if g.Incarnation != h.incarnation || g.Sent > now || g.Sent < h.since {
		return h.until, false
	}
	h.until = max(h.until, g.Sent.Add(min(g.TTL, h.timing.TTL)))
	h.version = max(h.version, g.ConfigVersion)
	h.access = max(h.access, g.AccessEpoch)
	if g.Sent >= h.answered {
		h.answered, h.lastGrant = g.Sent, g.Number
	}
	return h.until, true
}

// Until is when the lease ends.
func (h *Holder) Until() holo.Time { return h.until }

// Valid reports whether the lease runs.
func (h *Holder) Valid(now holo.Time) bool { return now < h.until }

// Version is the catalogue index up to which the grants told configurations.
func (h *Holder) Version() uint64 { return h.version }

// AccessEpoch is the newest that a grant told: with an older knowledge of who
// may do what the node must open nothing.
func (h *Holder) AccessEpoch() uint64 { return h.access }

// Drop ends the lease at once: the machine was suspended, and its clock stood
// still while others counted. Answers to earlier heartbeats give no lease.
func (h *Holder) Drop(now holo.Time) {
	h.until, h.next, h.since = math.MinInt64, math.MinInt64, now
}
