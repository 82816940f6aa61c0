package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/history"
	"github.com/holocompute/holocompute/internal/lab"
)

const (
	elements   = 24   // registers, and as many counters, each in an extent of its own
	extent     = 8192 // elements of eight bytes: one page
	pause      = 15 * time.Millisecond
	opLimit    = 20 * time.Second // more than a call is tried for
	probeLimit = 500 * time.Millisecond
	probePause = 200 * time.Millisecond
	table      = 1 << 20 // elements of the sealed array
)

// users are clients, one at each node, that work until they are told to end.
type users struct {
	start   time.Time
	clients []*client
	read    lab.Meter
	written lab.Meter
	stop    context.CancelFunc
	work    sync.WaitGroup

	failed chan struct{} // closed at the first answer that must not be
	mu     sync.Mutex
	why    error
	ops    [elements][]op
	counts [elements]tally
	loader *loader
	result []byte // of the job, when nothing was broken
	jobs   int
}

// client is a user at one node.
type client struct {
	cluster                *holocompute.Cluster
	regs, counters, probes *holocompute.Array[uint64]
	sealed                 *holocompute.Array[int64]
}

// tally is what was said of additions of one to a counter.
type tally struct {
	before  map[uint64]bool // each addition met another value
	unknown int             // not answered
}

func newUsers(ctx context.Context, c *cluster) (*users, error) {
	u := &users{start: time.Now(), failed: make(chan struct{})}
	if _, err := c.nodes[0].Query("holo kernel push sample:basic"); err != nil {
		return nil, err
	}
	for i := range u.counts {
		u.counts[i].before = map[uint64]bool{}
	}
	for i, n := range c.nodes {
		h, err := holocompute.Connect(ctx, holocompute.Options{Socket: n.socket(), Config: n.config()})
		if err != nil {
			return nil, err
		}
		if i == 0 {
			if err := furnish(ctx, h); err != nil {
				return nil, err
			}
		}
		k := &client{cluster: h}
		var errs [4]error
		k.regs, errs[0] = holocompute.Open[uint64](ctx, h, "registers")
		k.counters, errs[1] = holocompute.Open[uint64](ctx, h, "counters")
		k.probes, errs[3] = holocompute.Open[uint64](ctx, h, "probes")
		k.sealed, errs[2] = holocompute.Open[int64](ctx, h, "sealed")
		if err := errors.Join(errs[:]...); err != nil {
			return nil, err
		}
		u.clients = append(u.clients, k)
	}
	var err error
	if u.loader, err = newLoader(ctx, u.clients[0].cluster); err != nil {
		return nil, err
	}
	u.result, err = u.clients[0].sum(ctx)
	return u, err
}

// furnish makes the arrays.
func furnish(ctx context.Context, h *holocompute.Cluster) error {
	o := holocompute.ArrayOptions{Copies: 2, Extent: extent}
	for _, name := range []string{"registers", "counters", "probes"} {
		if _, err := holocompute.Create[uint64](ctx, h, name, elements*extent, o); err != nil {
			return err
		}
	}
	a, err := holocompute.Create[int64](ctx, h, "sealed", table, o)
	if err != nil {
		return err
	}
	values, rng := make([]int64, table), rand.New(rand.NewPCG(1, 2))
	for i := range values {
		values[i] = rng.Int64N(1 << 40)
	}
	if err := a.Write(ctx, 0, values); err != nil {
		return err
	}
	return a.Seal(ctx)
}

// sum is the result of a job over the sealed array.
func (k *client) sum(ctx context.Context) ([]byte, error) {
	job, err := k.cluster.Reduce(ctx, holocompute.Call{Kernel: "basic", Function: "stats", Inputs: []*holocompute.Raw{k.sealed.Raw()}}, 120)
	if err != nil {
		return nil, err
	}
	return job.Wait(ctx)
}

// begin sets everybody to work: two at each node read and write, one counts, one
// probes, and one in all runs jobs and another keeps the disks busy.
func (u *users) begin(ctx context.Context) {
	ctx, u.stop = context.WithCancel(ctx)
	u.read.Reset(elements)
	u.written.Reset(elements)
	for i, k := range u.clients {
		for j := range 2 {
			u.work.Go(func() { u.use(ctx, k, uint64(2*i+j+1)) })
		}
		u.work.Go(func() { u.count(ctx, k) })
		for j := range elements {
			u.work.Go(func() { u.probe(ctx, k, j) })
		}
	}
	u.work.Go(func() { u.compute(ctx) })
	u.work.Go(func() { u.load(ctx) })
}

// use reads, writes and swaps registers by chance. Each value is written once.
func (u *users) use(ctx context.Context, k *client, who uint64) {
	for next := who << 32; ctx.Err() == nil; time.Sleep(pause) {
		next++
		o := op{element: rand.IntN(elements), kind: kinds[rand.IntN(len(kinds))], value: next, call: u.now()}
		limited, cancel := context.WithTimeout(ctx, opLimit)
		err := o.run(limited, k)
		cancel()
		o.done = u.now()
		u.record(o, err)
	}
}

// record notes what was said. What was refused did not happen, says the node; if
// it did, no order explains what others read.
func (u *users) record(o op, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	v := u.verdict(err)
	if v == open {
		o.done = history.Never
	}
	if v == happened || v == open && o.kind != reading {
		u.ops[o.element] = append(u.ops[o.element], o)
	}
}

// probe looks all the time whether a register can be read and a probe written,
// and gives up soon, so that a node that is cut off hides nothing. Each has its
// own, or one that does not answer would hide what the others do.
func (u *users) probe(ctx context.Context, k *client, i int) {
	for ; ctx.Err() == nil; time.Sleep(probePause) {
		var v [1]uint64
		u.try(ctx, &u.read, i, func(ctx context.Context) error { return k.regs.Read(ctx, uint64(i)*extent, v[:]) })
		u.try(ctx, &u.written, i, func(ctx context.Context) error { return k.probes.Write(ctx, uint64(i)*extent, v[:]) })
	}
}

func (u *users) try(ctx context.Context, m *lab.Meter, i int, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	if do(ctx) == nil {
		m.Tick(i)
	}
}

// verdict is what an error says about whether the thing happened.
type verdict int

const (
	happened verdict = iota
	refused
	open
)

// verdict sorts an answer. What must never be said ends the run.
func (u *users) verdict(err error) verdict {
	switch kind := holocompute.KindOf(err); {
	case err == nil:
		return happened
	case kind == holocompute.Unavailable || kind == holocompute.Exhausted: // memory and disk are full
		return refused
	case kind == holocompute.Indeterminate || kind == holocompute.Cancelled:
		return open
	}
	if u.why == nil {
		u.why = fmt.Errorf("an answer that must not be: %w", err)
		close(u.failed)
	}
	return open
}

// count adds one to counters by chance.
func (u *users) count(ctx context.Context, k *client) {
	for ctx.Err() == nil {
		i := rand.IntN(elements)
		limited, cancel := context.WithTimeout(ctx, opLimit)
		before, err := k.counters.Add(limited, uint64(i)*extent, 1)
		cancel()
		u.mu.Lock()
		t := &u.counts[i]
		switch u.verdict(err) {
		case happened:
			if t.before[before] && u.why == nil {
				u.why = fmt.Errorf("two additions to counter %d both met %d", i, before)
				close(u.failed)
			}
			t.before[before] = true
		case open:
			t.unknown++
		}
		u.mu.Unlock()
		time.Sleep(pause)
	}
}

// compute runs the job again and again, each time at another node.
func (u *users) compute(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		limited, cancel := context.WithTimeout(ctx, 3*opLimit)
		result, err := u.clients[i%size].sum(limited)
		cancel()
		u.mu.Lock()
		if u.verdict(err) == happened {
			u.jobs++
			if !bytes.Equal(result, u.result) && u.why == nil {
				u.why = fmt.Errorf("job %d gives other bytes than the first: %x, want %x", i, result, u.result)
				close(u.failed)
			}
		}
		u.mu.Unlock()
		time.Sleep(10 * pause)
	}
}

func (u *users) now() int64 { return int64(time.Since(u.start)) }

func (u *users) trouble() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.why
}

func (u *users) end() error {
	u.stop()
	u.work.Wait()
	return u.trouble()
}
