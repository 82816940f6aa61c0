package wait

import (
	"context"

	"github.com/holocompute/holocompute/internal/holo"
)

const (
	// inputQueue is how many inputs may wait for a turn: each is one message
	// or request, so the queue holds less than a second's worth of small ones
	// and blocks whoever brings more.
	inputQueue = 256
	// inputBatch is how many inputs are taken before what they caused is done.
	inputBatch = 64
)

// Turns hands functions to the one goroutine that owns some values, which takes
// them in turn. Everybody else posts and waits. Posting is safe for concurrent
// use; Take is for the owner.
type Turns struct {
	inputs  chan func(holo.Time)
	now     func() holo.Time
	closing <-chan struct{}
	who     string
}

// ReasonClosing is why what comes too late is refused.
const ReasonClosing = "closing"

// NewTurns makes a queue of inputs for an owner that ends when closing is
// closed; who is what errors call it.
func NewTurns(who string, now func() holo.Time, closing <-chan struct{}) *Turns {
	return &Turns{inputs: make(chan func(holo.Time), inputQueue), now: now, closing: closing, who: who}
}

// Inputs is what the owner waits for; what it gets goes to Take.
func (t *Turns) Inputs() <-chan func(holo.Time) { return t.inputs }

// Waiting is how many inputs wait.
func (t *Turns) Waiting() int { return len(t.inputs) }

// Take runs an input and those that are already waiting, up to a batch.
func (t *Turns) Take(f func(holo.Time)) {
	f(t.now())
	for range inputBatch {
		select {
		case f := <-t.inputs:
			f(t.now())
		default:
			return
		}
	}
}

// Post hands f to the owner, waiting while its queue is full. False means that
// ctx ended or the owner is closing and f will not run.
func (t *Turns) Post(ctx context.Context, f func(now holo.Time)) bool {
	select {
	case t.inputs <- f:
		return true
	case <-ctx.Done():
	case <-t.closing:
	}
	return false
}

// Do has the owner run f and waits until it has run. After an error f may yet run.
func (t *Turns) Do(ctx context.Context, f func(now holo.Time)) error {
	done := make(chan struct{})
	if t.Post(ctx, func(now holo.Time) { f(now); close(done) }) {
		select {
		case <-done:
			return nil
		case <-t.closing:
		}
	}
	return t.Gone(ctx)
}

// Gone is why a post was not taken up.
func (t *Turns) Gone(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return holo.Errorf(holo.Cancelled, "ask %s: %w", t.who, err)
	}
	return holo.Refuse(holo.Unavailable, ReasonClosing, "%s is closing", t.who)
}
