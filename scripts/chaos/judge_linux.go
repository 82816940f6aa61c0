package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/history"
)

// kind is what an operation does to a register.
type kind byte

const (
	reading  kind = 'r'
	writing  kind = 'w'
	swapping kind = 'c'
)

var kinds = []kind{reading, reading, writing, swapping}

// op is an operation on a register, and what was answered.
type op struct {
	element    int
	kind       kind
	value      uint64 // to write
	expect     uint64 // swap: the value that was there when it was looked at
	got        uint64 // read or met
	swapped    bool
	call, done int64 // done: history.Never if not answered
}

// Span and Step make it an operation of a history.
func (o op) Span() (call, done int64) { return o.call, o.done }

func (o op) Step(s uint64) (uint64, bool) {
	unknown := o.done == history.Never
	switch o.kind {
	case writing:
		return o.value, true
	case swapping:
		if s == o.expect {
			return o.value, unknown || o.swapped && o.got == s
		}
		return s, unknown || !o.swapped && o.got == s
	}
	return s, unknown || o.got == s
}

// run does it. A swap first looks what is there, so that it may succeed.
func (o *op) run(ctx context.Context, k *client) (err error) {
	at := uint64(o.element) * extent
	var there [1]uint64
	switch o.kind {
	case writing:
		return k.regs.Write(ctx, at, []uint64{o.value})
	case reading:
		err = k.regs.Read(ctx, at, there[:])
		o.got = there[0]
		return err
	}
	if err := k.regs.Read(ctx, at, there[:]); err != nil {
		o.kind = reading
		return err
	}
	o.expect = there[0]
	o.got, o.swapped, err = k.regs.CompareAndSwap(ctx, at, o.expect, o.value)
	return err
}

// judge reads everything once more, and looks for an order of each register's
// history and at each counter's sum.
func (u *users) judge(ctx context.Context) error {
	ops, added, open := 0, 0, 0
	for i := range elements {
		last := op{element: i, kind: reading}
		if err := insist(func() error { last.call = u.now(); return last.run(ctx, u.clients[i%size]) }); err != nil {
			return fmt.Errorf("the last look at register %d: %w", i, err)
		}
		last.done = u.now()
		u.ops[i] = append(u.ops[i], last)
		ops += len(u.ops[i])
		if !history.Linearizable(0, u.ops[i]) {
			return fmt.Errorf("no order explains the %d answers about register %d", len(u.ops[i]), i)
		}
		var sum [1]uint64
		if err := insist(func() error { return u.clients[i%size].counters.Read(ctx, uint64(i)*extent, sum[:]) }); err != nil {
			return fmt.Errorf("the last look at counter %d: %w", i, err)
		}
		t := &u.counts[i]
		if n := len(t.before); sum[0] < uint64(n) || sum[0] > uint64(n+t.unknown) {
			return fmt.Errorf("counter %d is at %d after %d additions that were acknowledged and %d that were not answered", i, sum[0], n, t.unknown)
		}
		added += len(t.before)
		open += t.unknown
	}
	if err := u.loader.judge(ctx); err != nil {
		return err
	}
	var result []byte
	err := insist(func() (err error) { result, err = u.clients[0].sum(ctx); return err })
	if err != nil || !bytes.Equal(result, u.result) {
		return fmt.Errorf("the last job: %x, want %x: %w", result, u.result, err)
	}
	fmt.Printf("chaos: %d answers about %d registers have an order; %d additions, %d unanswered, each made once; %d jobs gave the same bytes\n", ops, elements, added, open, u.jobs+2)
	if ops < 100 || added < 100 || u.jobs == 0 {
		return fmt.Errorf("control: too little was done to show anything")
	}
	return nil
}

// insist repeats what is refused for the moment, until patience ends.
func insist(do func() error) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(pause) {
		err := do()
		if holocompute.KindOf(err) != holocompute.Unavailable || err == nil || time.Now().After(deadline) {
			return err
		}
	}
}
