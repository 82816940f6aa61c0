package jobs

import (
	"context"

	"github.com/holocompute/holocompute/internal/core/joblog"
	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Line is a line that a kernel logged.
type Line struct {
	joblog.Line
	Stage int // of its task
}

// Log is a part of a job's log.
type Log struct {
	Lines []Line
	Lost  uint64 // lines of the whole job that were not kept, so far
}

// Logs calls send with the log of a job that this node coordinates or remembers:
// the lines of the attempts that count, combining included, and of the attempt
// that ended the job if one did. With follow it goes on, with what comes, until
// the job has ended. It returns send's error when there is one.
func (r *Runner) Logs(ctx context.Context, id holo.JobID, follow bool, send func(Log) error) error {
	j, err := r.find(id)
	if err != nil {
		return err
	}
	for at := 0; ; {
		now, ended, changed := j.log(at)
		if err := send(now); err != nil || ended || !follow {
			return err
		}
		at += len(now.Lines)
		for more := false; !more; {
			select {
			case <-changed:
			case <-ctx.Done():
				return holo.Errorf(holo.Cancelled, "log of job %d: %w", id, context.Cause(ctx))
			}
			var next Log
			next, ended, changed = j.log(at)
			more = ended || len(next.Lines) > 0 || next.Lost > now.Lost
		}
	}
}

// log gives the lines from number first on, and a channel that is closed when
// there may be more.
func (j *job) log(first int) (now Log, ended bool, changed <-chan struct{}) {
	j.view.Lock()
	defer j.view.Unlock()
	for _, line := range j.view.log.Since(first) {
		now.Lines = append(now.Lines, Line{line, j.stageOf(line.Task).number})
	}
	now.Lost = j.view.log.Lost()
	return now, j.view.now.State.Final(), j.view.changed
}

// hear takes what an attempt that counts logged, or with Attempt 0 a
// combination.
func (j *job) hear(a sched.Assign, said *wire.Said) {
	j.view.Lock()
	defer j.view.Unlock()
	j.view.log.Add(joblog.From(a), said)
}

// hearFailed takes what a failed attempt logged, if it came to answer.
func (j *job) hearFailed(e event) {
	if e.result == nil {
		return
	}
	j.view.Lock()
	defer j.view.Unlock()
	j.view.log.Tried(joblog.From(e.Assign), &e.result.Said)
}

// hearEnd adds the lines of the attempt that ended the job.
func (j *job) hearEnd() {
	cause, isCause := j.sched.Cause()
	j.view.Lock()
	defer j.view.Unlock()
	j.view.log.Ended(cause, isCause)
}
