package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/lab"
)

const (
	slots     = 64   // of the ledger, each in an extent of its own
	extent    = 8192 // elements of eight bytes: one page
	readEach  = 300 * time.Millisecond
	writeEach = 500 * time.Millisecond
	scanned   = 64 << 10 // bytes of the full array that are read at once
	scans     = 20 * time.Millisecond
)

// load is readers and writers at the nodes that are to live: some 430 operations a
// second, each on a page of 64 KiB. Each slot has one writer, which counts up, so
// that what may be read is between the last value that was acknowledged and the
// last that was tried.
type load struct {
	clients       []*node
	read, written lab.Meter
	stop          context.CancelFunc
	work          sync.WaitGroup
	acked, tried  [slots]atomic.Uint64
	reads, writes atomic.Uint64

	mu  sync.Mutex
	why error // the first thing that must not be
}

func newLoad(ctx context.Context, clients []*node) (*load, error) {
	l := &load{clients: clients}
	_, err := holocompute.Create[uint64](ctx, clients[0].Cluster, "ledger", slots*extent, holocompute.ArrayOptions{Copies: 2, Extent: extent})
	return l, err
}

func (l *load) begin(ctx context.Context) {
	ctx, l.stop = context.WithCancel(ctx)
	l.read.Reset(slots)
	l.written.Reset(slots)
	for i := range slots {
		l.run(ctx, i, writeEach, func(ctx context.Context, a *ledger) error { return l.write(ctx, a, i) })
		l.run(ctx, i+1, readEach, func(ctx context.Context, a *ledger) error { return l.look(ctx, a, i) })
	}
	for i := range l.clients {
		l.work.Go(func() { l.scan(ctx, l.clients[i]) })
	}
}

type ledger = holocompute.Array[uint64]

// run has one client do something to the ledger again and again. Nothing may be
// refused for good: the SDK and the nodes try for longer than a failover takes.
func (l *load) run(ctx context.Context, client int, pause time.Duration, do func(context.Context, *ledger) error) {
	l.work.Go(func() {
		a, err := holocompute.Open[uint64](ctx, l.clients[client%len(l.clients)].Cluster, "ledger")
		for ; err == nil && ctx.Err() == nil; time.Sleep(pause) {
			err = do(ctx, a)
		}
		l.fail(ctx, err)
	})
}

func (l *load) fail(ctx context.Context, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && ctx.Err() == nil && l.why == nil {
		l.why = err
	}
}

// write counts a slot up. Where it was refused, or nobody knows, the same value is
// tried again.
func (l *load) write(ctx context.Context, a *ledger, i int) error {
	v := l.acked[i].Load() + 1
	l.tried[i].Store(v)
	err := a.Write(ctx, uint64(i)*extent, []uint64{v})
	switch {
	case err == nil:
		l.acked[i].Store(v)
		l.written.Tick(i)
		l.writes.Add(1)
	case holocompute.KindOf(err) == holocompute.Indeterminate, holocompute.KindOf(err) == holocompute.Unavailable:
		return nil
	}
	return err
}

func (l *load) look(ctx context.Context, a *ledger, i int) error {
	var got [1]uint64
	least := l.acked[i].Load()
	if err := a.Read(ctx, uint64(i)*extent, got[:]); err != nil {
		return fmt.Errorf("a read failed: %w", err)
	}
	l.read.Tick(i)
	l.reads.Add(1)
	if most := l.tried[i].Load(); got[0] < least || got[0] > most {
		return fmt.Errorf("slot %d reads %d: %d was acknowledged before, and %d was tried", i, got[0], least, most)
	}
	return nil
}

// scan reads pieces of the full array by chance.
func (l *load) scan(ctx context.Context, n *node) {
	a, err := holocompute.Open[uint8](ctx, n.Cluster, "full")
	for buf := make([]byte, scanned); err == nil && ctx.Err() == nil; time.Sleep(scans) {
		err = a.Read(ctx, rand.Uint64N(a.Len()/scanned)*scanned, buf)
		l.reads.Add(1)
	}
	l.fail(ctx, err)
}

// operations is how many were done.
func (l *load) operations() uint64 { return l.reads.Load() + l.writes.Load() }

func (l *load) end() error {
	l.stop()
	l.work.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.why
}

// judge reads each slot once more, at each node.
func (l *load) judge(ctx context.Context) error {
	for _, n := range l.clients {
		a, err := holocompute.Open[uint64](ctx, n.Cluster, "ledger")
		if err != nil {
			return err
		}
		for i := range slots {
			if err := l.look(ctx, a, i); err != nil {
				return err
			}
		}
	}
	fmt.Printf("capacity: %d reads and %d acknowledged writes meanwhile: no read failed, no write is lost\n", l.reads.Load(), l.writes.Load())
	if l.writes.Load() < slots {
		return fmt.Errorf("control: too little was written to show anything")
	}
	return nil
}
