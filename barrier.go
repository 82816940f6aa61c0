package holocompute

import (
	"context"
	"fmt"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// MaxParties is the most parties that one barrier has.
const MaxParties = 1<<15 - 1

const (
	// firstLook and lastLook are how long a party waits between two looks at the
	// barrier, the first and the longest. Between them nothing travels: the node
	// keeps the page until somebody arrives.
	firstLook = time.Millisecond
	lastLook  = 50 * time.Millisecond
	// breakWithin bounds telling the others that this party gave up.
	breakWithin = 5 * time.Second
)

// meeting is the state of a barrier, the one element of its array: which
// meeting it is, of how many parties, how many have arrived, and whether one
// gave up. All changes are compare and swap, so it is as safe as the array.
type meeting struct {
	number           uint32
	parties, arrived uint16
	broken           bool
}

func meetingOf(v uint64) meeting {
	return meeting{number: uint32(v >> 32), parties: uint16(v>>16) &^ (1 << 15), arrived: uint16(v) &^ (1 << 15), broken: v&(1<<31) != 0}
}

func (m meeting) value() uint64 {
	v := uint64(m.number)<<32 | uint64(m.parties)<<16 | uint64(m.arrived)
	if m.broken {
		v |= 1 << 31
	}
	return v
}

// after is the meeting when one more has arrived.
func (m meeting) after(parties uint16) meeting {
	m.parties, m.arrived = parties, m.arrived+1
	if m.arrived == parties {
		m.number, m.arrived = m.number+1, 0
	}
	return m
}

// Barrier waits until so many parties have called it with this name, and then
// returns to all of them; the next that call it meet anew. Where not all come
// within the time that one of them waits, or one is cancelled, every one of them
// gets ErrBarrierBroken, and so does whoever comes later, until ResetBarrier. It
// lies in an array of its name, which the first party makes, and so outlives
// nodes as arrays do.
func (c *Cluster) Barrier(ctx context.Context, name string, parties int, wait time.Duration) error {
	if parties < 1 || parties > MaxParties || wait <= 0 {
		return holo.Errorf(Invalid, "barrier %s: %d parties within %s, want 1 to %d and a time", name, parties, wait, MaxParties)
	}
	a, err := c.barrier(ctx, name)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	b := barrier{a, name, uint16(parties)}
	m, err := b.meeting(waiting)
	if err != nil {
		return err // nobody counts on this party
	}
	for {
		next := m.after(b.parties)
		v, done, err := a.CompareAndSwap(waiting, 0, m.value(), next.value())
		switch {
		case err != nil:
			return b.giveUp(ctx, m.number, err) // it may have been counted
		case done && next.number != m.number:
			return nil
		case done:
			return b.await(ctx, waiting, m.number)
		}
		if m, err = b.open(v); err != nil {
			return err
		}
	}
}

// ResetBarrier makes a barrier that broke, or has parties waiting, one at which
// nobody has arrived. Those who wait get ErrBarrierBroken.
func (c *Cluster) ResetBarrier(ctx context.Context, name string) error {
	a, err := c.barrier(ctx, name)
	if err != nil {
		return err
	}
	for {
		v, err := look(ctx, a)
		if err != nil {
			return err
		}
		// Two meetings on: to those who wait, one that was met is the next.
		if _, done, err := a.CompareAndSwap(ctx, 0, v, meeting{number: meetingOf(v).number + 2}.value()); done || err != nil {
			return err
		}
	}
}

// barrier finds or makes the array of a barrier.
func (c *Cluster) barrier(ctx context.Context, name string) (*Array[uint64], error) {
	a, err := Open[uint64](ctx, c, name)
	if KindOf(err) != NotFound {
		return a, err
	}
	if a, err = Create[uint64](ctx, c, name, 1, ArrayOptions{}); KindOf(err) == Exists {
		return Open[uint64](ctx, c, name)
	}
	return a, err
}

type barrier struct {
	a       *Array[uint64]
	name    string
	parties uint16
}

func look(ctx context.Context, a *Array[uint64]) (uint64, error) {
	var v [1]uint64
	err := a.Read(ctx, 0, v[:])
	return v[0], err
}

// meeting finds the meeting that is open.
func (b *barrier) meeting(ctx context.Context) (meeting, error) {
	v, err := look(ctx, b.a)
	if err != nil {
		return meeting{}, err
	}
	return b.open(v)
}

// open refuses a meeting that this party cannot come to.
func (b *barrier) open(v uint64) (meeting, error) {
	m := meetingOf(v)
	switch {
	case m.broken:
		return m, b.brokenBy("a party gave up before")
	case m.arrived > 0 && m.parties != b.parties:
		return m, holo.Refuse(Conflict, reasonParties, "barrier %s: the others say %d parties, this one %d", b.name, m.parties, b.parties)
	}
	return m, nil
}

// await waits for the others, and tells them when it gives up.
func (b *barrier) await(ctx, waiting context.Context, mine uint32) error {
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		v, err := look(waiting, b.a)
		if err != nil {
			return b.giveUp(ctx, mine, err)
		}
		switch m := meetingOf(v); {
		case m.number == mine+1:
			return nil
		case m.number != mine:
			return b.overtaken(m, mine)
		case m.broken:
			return b.brokenBy("a party gave up")
		}
		if err := sleep(waiting, pause); err != nil {
			return b.giveUp(ctx, mine, err)
		}
	}
}

// overtaken tells what became of a meeting that this party did not see end: the
// others may have met again, or somebody has reset the barrier.
func (b *barrier) overtaken(m meeting, mine uint32) error {
	return b.brokenBy(fmt.Sprintf("meeting %d is over, and %d is held", mine, m.number))
}

// giveUp has everybody know that this party does not wait any more, unless all
// have met meanwhile.
func (b *barrier) giveUp(ctx context.Context, mine uint32, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), breakWithin)
	defer cancel()
	for {
		v, err := look(ctx, b.a)
		m := meetingOf(v)
		switch {
		case err != nil:
			return b.brokenBy(fmt.Sprintf("%v; and the others cannot be told: %v", why, err))
		case m.number == mine+1:
			return nil
		case m.number != mine || m.broken:
			return b.brokenBy(why.Error())
		}
		m.broken = true
		if _, done, err := b.a.CompareAndSwap(ctx, 0, v, m.value()); done || err != nil {
			return b.brokenBy(why.Error())
		}
	}
}

func (b *barrier) brokenBy(why string) error {
	return holo.Refuse(Conflict, reasonBroken, "barrier %s is broken: %s", b.name, why)
}
