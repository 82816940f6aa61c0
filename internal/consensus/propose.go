package consensus

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"

	"github.com/holocompute/holocompute/internal/holo"
)

// MaxCommand bounds a command. The log is for decisions; data has its own ways.
const MaxCommand = 512 << 10

// enqueueTimeout is how long a call waits for Raft to look at it, where its
// context says nothing shorter.
const enqueueTimeout = 5 * time.Second

// Propose has a command committed and applied, and gives what Apply returned.
//
// Unavailable: it was not applied and never will be; with ReasonNotLeader
// another node leads. Indeterminate: it may have been applied or may be yet,
// because leadership was lost or ctx ended on the way; the command must carry
// an ID by which Apply knows it again.
func (g *Group) Propose(ctx context.Context, cmd []byte) (any, error) {
	if len(cmd) == 0 || len(cmd) > MaxCommand {
		return nil, holo.Errorf(holo.Invalid, "propose: a command of %d bytes, at most %d", len(cmd), MaxCommand)
	}
	var result any
	err := g.await(ctx, "propose", func(timeout time.Duration) error {
		future := g.raft.Apply(cmd, timeout)
		if err := future.Error(); err != nil {
			return err
		}
		result = future.Response()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// await runs a call of Raft's that cannot be interrupted and stops waiting
// when ctx ends. Raft ends the call soon after in any case: a leader without a
// majority steps down.
func (g *Group) await(ctx context.Context, what string, call func(timeout time.Duration) error) error {
	timeout := enqueueTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	if ctx.Err() != nil || timeout <= 0 {
		return holo.Errorf(holo.Cancelled, "%s: %w", what, cmp.Or(context.Cause(ctx), context.DeadlineExceeded))
	}
	ended := make(chan error, 1)
	if !g.calls.run(func(context.Context) { ended <- call(timeout) }) {
		return holo.Refuse(holo.Unavailable, ReasonClosed, "%s: group is closed", what)
	}
	select {
	case err := <-ended:
		return outcome(what, err)
	case <-ctx.Done():
		return holo.Errorf(holo.Indeterminate, "%s: stopped waiting: %w", what, ctx.Err())
	}
}

// outcome gives Raft's errors the kind that says what may have happened.
func outcome(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return holo.Refuse(holo.Unavailable, ReasonNotLeader, "%s: %w", what, err)
	case errors.Is(err, raft.ErrEnqueueTimeout), errors.Is(err, raft.ErrNotVoter), errors.Is(err, raft.ErrNothingNewToSnapshot):
		return holo.Errorf(holo.Unavailable, "%s: %w", what, err)
	}
	// Leadership lost, a restored snapshot, a shutdown, a disk that failed: the
	// entry may be on a majority all the same.
	return holo.Errorf(holo.Indeterminate, "%s: %w", what, err)
}
