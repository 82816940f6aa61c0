package attack

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/core/liveness"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	inputQueue = 256
	tickEvery  = 10 * time.Millisecond
	// readyTurns bounds how often the machine is asked in one turn what it
	// wants done.
	readyTurns = 64
)

// driver is the goroutine that owns the liar's machines, which are those of an
// honest node. Everybody else posts to it.
type driver struct {
	liar    *Liar
	life    wire.Member
	start   time.Time
	inputs  chan func(holo.Time)
	machine *shard.Machine
	holder  *liveness.Holder
	leader  holo.NodeID // who granted last
	answers map[uint64]func(shard.Answer)
	next    uint64
	leased  chan struct{} // closed with the first lease
	held    bool
}

func newDriver(l *Liar) *driver {
	life := newMember(l.self)
	limits := shard.DefaultLimits()
	limits.Capacity = liarMemory
	return &driver{
		liar: l, life: life, start: time.Now(), inputs: make(chan func(holo.Time), inputQueue),
		machine: shard.New(shard.Options{Self: life, Timing: shard.DefaultTiming(), Limits: limits}),
		holder:  liveness.NewHolder(life.Incarnation, liveness.DefaultTiming()),
		answers: map[uint64]func(shard.Answer){}, leased: make(chan struct{}),
	}
}

func (d *driver) now() holo.Time { return holo.Time(time.Since(d.start)) }

// run drives the machines until ctx is done.
func (d *driver) run(ctx context.Context) {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-d.inputs:
			f(d.now())
		case <-ticker.C:
			d.tick()
		}
		d.flush()
	}
}

func (d *driver) tick() {
	now := d.now()
	d.machine.Tick(now)
	if beat, due := d.holder.Due(now); due {
		d.toLeader(now, beat)
	}
}

// flush does what the machine asks for until it asks for nothing more.
func (d *driver) flush() {
	for range readyTurns {
		r := d.machine.Ready(d.now())
		for _, m := range r.Propose {
			d.toLeader(d.now(), m)
		}
		for _, e := range r.Send {
			d.liar.peers.Send(e.To, transport.Data, e.Msg)
		}
		for _, a := range r.Answers {
			if answer, ok := d.answers[a.ID]; ok {
				delete(d.answers, a.ID)
				answer(a)
			}
		}
		if len(r.Propose)+len(r.Send)+len(r.Answers) == 0 {
			return
		}
	}
}

// toLeader sends to whoever grants the leases; without a lease to everybody,
// because whoever leads answers and nobody else does.
func (d *driver) toLeader(now holo.Time, msg wire.Message) {
	if d.holder.Valid(now) {
		d.liar.peers.Send(d.leader, transport.Control, msg)
		return
	}
	for id := range d.liar.contacts {
		d.liar.peers.Send(id, transport.Control, msg)
	}
}

// receive is the input of protocol messages.
func (d *driver) receive(now holo.Time, from holo.NodeID, msg wire.Message) {
	switch m := msg.(type) {
	case *wire.Grant:
		d.granted(now, from, m)
	case *wire.ConfigPush:
		d.machine.Configure(now, m.Configs)
	case *wire.Handoff:
		d.machine.Handoff(now, m.Shard, m.To)
	case *wire.ShrinkHint:
		d.machine.ShrinkHint(now, m)
	default:
		d.machine.Step(now, from, m)
	}
}

// granted applies a lease and the configurations that go with it, together.
func (d *driver) granted(now holo.Time, from holo.NodeID, g *wire.Grant) {
	until, ok := d.holder.Granted(now, g)
	if !ok {
		return
	}
	d.leader = from
	d.machine.Grant(now, until, g.Configs)
	if !d.held && now < until {
		d.held = true
		close(d.leased)
	}
}

// awaitLease waits for the first lease.
func (d *driver) awaitLease(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseDeadline)
	defer cancel()
	select {
	case <-d.leased:
		return nil
	case <-ctx.Done():
		return holo.Errorf(holo.Unavailable, "join as liar: it was granted no lease: %w", ctx.Err())
	}
}

// post hands f to the driver. False means that it has ended.
func (d *driver) post(ctx context.Context, f func(now holo.Time)) bool {
	select {
	case d.inputs <- f:
		return true
	case <-ctx.Done():
		return false
	}
}

// do runs f on the driver's goroutine and waits until it has run.
func (d *driver) do(ctx context.Context, f func(now holo.Time)) error {
	done := make(chan struct{})
	if d.post(ctx, func(now holo.Time) { f(now); close(done) }) {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
		}
	}
	return holo.Errorf(holo.Unavailable, "ask the liar: %w", ctx.Err())
}

// submit gives a mutation to the machine and waits for its outcome.
func (d *driver) submit(ctx context.Context, s holo.ShardID, mu *wire.Mutation) (shard.Answer, error) {
	outcome := make(chan shard.Answer, 1)
	posted := d.post(ctx, func(now holo.Time) {
		d.next++
		d.answers[d.next] = func(a shard.Answer) { outcome <- a }
		d.machine.Submit(now, d.next, s, *mu)
	})
	if posted {
		select {
		case a := <-outcome:
			return a, a.Err
		case <-ctx.Done():
		}
	}
	return shard.Answer{}, holo.Refuse(holo.Indeterminate, "slow", "write to shard %d: %w", s, ctx.Err())
}

// read takes pages from the liar's own replica, as they are.
func (d *driver) read(ctx context.Context, array holo.ArrayID, sealed bool, run wire.PageRun) ([]shard.View, error) {
	req := shard.ReadRequest{Shard: run.Shard, Sealed: sealed, Pages: make([]holo.PageID, run.Count)}
	for i := range req.Pages {
		req.Pages[i] = holo.PageID{Array: array, Index: run.First + holo.PageIndex(i)}
	}
	var (
		read *shard.Read
		err  error
	)
	if gone := d.do(ctx, func(now holo.Time) {
		if read, err = d.machine.BeginRead(now, req); err == nil {
			err = d.machine.FinishRead(d.now(), read)
		}
	}); gone != nil {
		return nil, gone
	}
	if err != nil {
		return nil, err
	}
	return read.Pages, nil
}
