package jobs

import (
	"cmp"
	"context"
	"sync"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// worker runs tasks: as many at once as it has slots, a bounded number waiting
// for their user's turn (sched.Fair), all others refused.
type worker struct {
	runner *Runner

	mu struct {
		sync.Mutex
		closed  bool
		queue   *sched.Fair
		turns   map[uint64]*running // those that wait, by ticket
		free    int                 // slots
		idle    sync.Cond
		tasks   map[*running]struct{}
		refused map[holo.JobID]holo.JobEpoch // told to abandon, up to that epoch
		order   []holo.JobID                 // of refused, the oldest first
	}
}

// running is a task that was taken in, or several of one job that go together.
type running struct {
	job    holo.JobID
	epoch  holo.JobEpoch
	owner  holo.PrincipalID
	cancel context.CancelCauseFunc
	ticket uint64
	turn   chan struct{} // closed when it has a slot
	slot   bool          // it has one
}

// maxRefused bounds how many abandoned jobs are remembered: a task that comes
// later than a thousand other cancellations runs for nobody, and that is all.
const maxRefused = 1024

func newWorker(r *Runner) *worker {
	w := &worker{runner: r}
	w.mu.queue, w.mu.free = sched.NewFair(r.opt.Slots+r.opt.Queue), r.opt.Slots
	w.mu.turns = map[uint64]*running{}
	w.mu.tasks = map[*running]struct{}{}
	w.mu.refused = map[holo.JobID]holo.JobEpoch{}
	w.mu.idle.L = &w.mu.Mutex
	return w
}

// run takes a task in, or the light ones of one stage that have one turn, waits for
// a slot, runs them and answers. The receipts are not signed.
func (w *worker) run(ctx context.Context, tasks ...*wire.RunTask) []*wire.TaskResult {
	list, results := make([]*work, len(tasks)), make([]*wire.TaskResult, len(tasks))
	for i, t := range tasks {
		results[i] = &wire.TaskResult{Job: t.Job, Epoch: t.Epoch, Task: t.Task, Attempt: t.Attempt}
		list[i] = &work{cluster: w.runner.cluster, workers: w.runner.workers, task: t, result: results[i]}
	}
	ctx, r, err := w.enter(ctx, tasks[0])
	if err == nil {
		err = w.runIn(ctx, r, list)
		w.leave(r, used(list))
	}
	for _, k := range list {
		k.fail(cmp.Or(err, k.err))
	}
	return results
}

func (w *worker) runIn(ctx context.Context, r *running, list []*work) error {
	select {
	case <-r.turn:
	case <-ctx.Done():
		return holo.Errorf(holo.Cancelled, "wait for a slot: %w", context.Cause(ctx))
	}
	m, release, err := w.runner.modules.get(ctx, list[0].task.Module)
	if err != nil {
		return err
	}
	defer release()
	for _, k := range list {
		k.module = m
	}
	doAll(ctx, list)
	return nil
}

// enter takes a task in, or refuses it.
func (w *worker) enter(ctx context.Context, t *wire.RunTask) (context.Context, *running, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch epoch, gone := w.mu.refused[t.Job]; {
	case w.mu.closed:
		return nil, nil, holo.Refuse(holo.Unavailable, "stopping", "the node is stopping")
	case gone && t.Epoch <= epoch:
		return nil, nil, holo.Errorf(holo.Cancelled, "the job was cancelled here")
	}
	ticket, ok := w.mu.queue.Enter(t.Owner)
	if !ok {
		return nil, nil, holo.Refuse(holo.Unavailable, "queue_full", "%d tasks run and wait, no more of this user are taken", w.mu.queue.Taken())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	r := &running{job: t.Job, epoch: t.Epoch, owner: t.Owner, cancel: cancel, ticket: ticket, turn: make(chan struct{})}
	w.mu.tasks[r] = struct{}{}
	w.mu.turns[ticket] = r
	w.serve()
	return ctx, r, nil
}

// serve gives the free slots to those whose turn it is.
func (w *worker) serve() {
	for w.mu.free > 0 {
		ticket, ok := w.mu.queue.Next()
		if !ok {
			return
		}
		r := w.mu.turns[ticket]
		delete(w.mu.turns, ticket)
		w.mu.free--
		r.slot = true
		close(r.turn)
	}
}

// leave ends a task that used some gas, whether it came to its turn or not.
func (w *worker) leave(r *running, used holo.Gas) {
	r.cancel(nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.mu.tasks, r)
	delete(w.mu.turns, r.ticket)
	w.mu.queue.Leave(r.owner, r.ticket, used)
	if r.slot {
		w.mu.free++
	}
	w.serve()
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
