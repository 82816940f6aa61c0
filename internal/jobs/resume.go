package jobs

import (
	"context"

	"github.com/holocompute/holocompute/internal/holo"
)

// Take makes this node the coordinator of a job, in the catalogue, and gives the
// epoch under which it is.
type Take func(context.Context) (holo.JobEpoch, error)

// Resume runs a job whose coordinator died. All tasks run again; of a map's,
// those that had committed change nothing.
//
// The job is taken only when there is a place for it and it can run here: who
// takes it and cannot run it keeps it from everybody else. A job that can run
// nowhere any more, because an array or its kernel is gone, is taken and ended.
func (r *Runner) Resume(ctx context.Context, id holo.JobID, s Spec, take Take) error {
	if err := r.reserve(s.Owner, 0); err != nil { // it was let in already
		return err
	}
	j, err := r.prepare(ctx, s)
	if err != nil {
		r.unreserve(s.Owner)
		return r.giveUp(ctx, id, s, take, err)
	}
	if j.epoch, err = take(ctx); err != nil {
		j.release()
		r.unreserve(s.Owner)
		return err
	}
	j.id = id
	return r.start(j)
}

// Left reports whether nobody here runs a job that this node is recorded to
// coordinate. Ask after the record was read: while a job is being submitted or
// taken up, it may be this one.
func (r *Runner) Left(id holo.JobID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.jobs[id] == nil && len(r.mu.starting) == 0
}

// giveUp ends a job that can run nowhere, and gives the reason.
func (r *Runner) giveUp(ctx context.Context, id holo.JobID, s Spec, take Take, cause error) error {
	switch holo.KindOf(cause) {
	case holo.Invalid, holo.NotFound, holo.Denied, holo.DataLost:
	default:
		return cause // not now
	}
	epoch, err := take(ctx)
	if err != nil {
		return err
	}
	end := End{State: Failed, Err: cause}
	if err := r.cluster.RecordEnd(ctx, Job{ID: id, Epoch: epoch, Spec: s, End: end}); err != nil {
		return err
	}
	return cause
}
