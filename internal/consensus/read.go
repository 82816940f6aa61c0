package consensus

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// Barrier returns when everything committed in earlier terms is applied here,
// which a new leader must wait for before it answers from its state. It costs
// an entry once per term and nothing afterwards.
func (g *Group) Barrier(ctx context.Context) error {
	term := g.Term()
	g.barrier.Lock()
	done := g.barrier.term == term
	g.barrier.Unlock()
	if done && g.IsLeader() {
		return nil
	}
	err := g.await(ctx, "barrier", func(timeout time.Duration) error { return g.raft.Barrier(timeout).Error() })
	if err != nil {
		return unread(err)
	}
	g.barrier.Lock()
	defer g.barrier.Unlock()
	if g.Term() == term {
		g.barrier.term = term
	}
	return nil
}

// VerifyLeader returns when a majority of the voters has confirmed, by answers
// to questions that were sent after the call, that this node still leads. A
// leader that was deposed without knowing it gets an error here and nowhere
// else, so no lease and no answer may go out without.
//
// Raft's own round sends the questions, and it is not enough: it counts an
// answer that was on its way already, which another leader may have outlived,
// and it counts nonvoters.
func (g *Group) VerifyLeader(ctx context.Context) error {
	term, round := g.Term(), g.link.beginRound()
	err := g.await(ctx, "verify leadership", func(time.Duration) error { return g.raft.VerifyLeader().Error() })
	if err != nil {
		return unread(err)
	}
	for {
		confirmed, changed := g.link.confirmed(g.Voters(), term, round)
		if !g.IsLeader() || g.Term() != term {
			return holo.Refuse(holo.Unavailable, ReasonNotLeader, "verify leadership: this node does not lead any more")
		}
		if confirmed {
			return nil
		}
		select {
		case <-changed:
		case <-time.After(commitTimeout): // look whether this node still leads
		case <-ctx.Done():
			return holo.Errorf(holo.Unavailable, "verify leadership: stopped waiting: %w", ctx.Err())
		}
	}
}

// unread is the error of a call that changes nothing: there is nothing about
// it that may have happened.
func unread(err error) error {
	if holo.KindOf(err) != holo.Indeterminate {
		return err
	}
	return holo.Refuse(holo.Unavailable, ReasonNotLeader, "%w", err)
}

// Read returns when the state machine here holds everything that was
// acknowledged anywhere before the call: what is read afterwards is
// linearizable.
func (g *Group) Read(ctx context.Context) error {
	for {
		term := g.Term()
		if err := g.Barrier(ctx); err != nil {
			return err
		}
		if err := g.VerifyLeader(ctx); err != nil {
			return err
		}
		if g.Term() == term { // else another leader came and went in between
			return nil
		}
	}
}
