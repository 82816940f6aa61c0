package jobs

import (
	"context"
	"sync"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// worker runs tasks: as many at once as it has slots, a bounded number waiting
// in the order of arrival, all others refused.
type worker struct {
	runner *Runner
	slots  chan struct{} // holds one token per running task

	mu struct {
		sync.Mutex
		closed  bool
		room    int // tasks that may still come in
		idle    sync.Cond
		tasks   map[*running]struct{}
		refused map[holo.JobID]holo.JobEpoch // told to abandon, up to that epoch
		order   []holo.JobID                 // of refused, the oldest first
	}
}

// running is a task that was taken in.
type running struct {
	job    holo.JobID
	epoch  holo.JobEpoch
	cancel context.CancelCauseFunc
}

// maxRefused bounds how many abandoned jobs are remembered: a task that comes
// later than a thousand other cancellations runs for nobody, and that is all.
const maxRefused = 1024

func newWorker(r *Runner) *worker {
	w := &worker{runner: r, slots: make(chan struct{}, r.opt.Slots)}
	w.mu.room = r.opt.Slots + r.opt.Queue
	w.mu.tasks = map[*running]struct{}{}
	w.mu.refused = map[holo.JobID]holo.JobEpoch{}
	w.mu.idle.L = &w.mu.Mutex
	return w
}

// run takes the task in, waits for a slot, runs it and answers.
func (w *worker) run(ctx context.Context, t *wire.RunTask) *wire.TaskResult {
	result := &wire.TaskResult{Job: t.Job, Epoch: t.Epoch, Task: t.Task, Attempt: t.Attempt}
	ctx, done, err := w.enter(ctx, t)
	if err == nil {
		err = w.runIn(ctx, t, result)
		done()
	}
	if err != nil {
		result.Partial, result.Failed = nil, true
		result.Failure = *wire.FailureOf(taskError(t, err))
	}
	return result
}

func (w *worker) runIn(ctx context.Context, t *wire.RunTask, result *wire.TaskResult) error {
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		return holo.Errorf(holo.Cancelled, "wait for a slot: %w", context.Cause(ctx))
	}
	m, release, err := w.runner.modules.get(ctx, t.Module)
	if err != nil {
		return err
	}
	defer release()
	return (&work{cluster: w.runner.cluster, workers: w.runner.workers, module: m, task: t, result: result}).do(ctx)
}

// enter takes a task in, or refuses it.
func (w *worker) enter(ctx context.Context, t *wire.RunTask) (context.Context, func(), error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch epoch, gone := w.mu.refused[t.Job]; {
	case w.mu.closed:
		return nil, nil, holo.Refuse(holo.Unavailable, "stopping", "the node is stopping")
	case gone && t.Epoch <= epoch:
		return nil, nil, holo.Errorf(holo.Cancelled, "the job was cancelled here")
	case w.mu.room == 0:
		return nil, nil, holo.Refuse(holo.Unavailable, "queue_full", "%d tasks run and wait, no more are taken", len(w.mu.tasks))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	r := &running{t.Job, t.Epoch, cancel}
	w.mu.tasks[r] = struct{}{}
	w.mu.room--
	return ctx, func() { w.leave(r) }, nil
}

func (w *worker) leave(r *running) {
	r.cancel(nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.mu.tasks, r)
	w.mu.room++
	w.mu.idle.Broadcast()
}

// cancelTasks abandons a job's tasks and remembers to refuse more of them.
func (w *worker) cancelTasks(c *wire.CancelTasks) (n uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if old, ok := w.mu.refused[c.Job]; !ok {
		w.mu.order = append(w.mu.order, c.Job)
		w.mu.refused[c.Job] = c.Epoch
	} else if c.Epoch > old {
		w.mu.refused[c.Job] = c.Epoch
	}
	if len(w.mu.order) > maxRefused {
		delete(w.mu.refused, w.mu.order[0])
		w.mu.order = w.mu.order[1:]
	}
	for r := range w.mu.tasks {
		if r.job == c.Job && r.epoch <= c.Epoch {
			r.cancel(holo.Errorf(holo.Cancelled, "the job was cancelled"))
			n++
		}
	}
	return n
}

// close refuses new tasks, abandons all others and waits for them.
func (w *worker) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.closed = true
	for r := range w.mu.tasks {
		r.cancel(holo.Errorf(holo.Cancelled, "the node is stopping"))
	}
	for len(w.mu.tasks) > 0 {
		w.mu.idle.Wait()
	}
}
