// Package jobs runs jobs: a kernel over every extent of some arrays, each on
// the node where the extent lies.
//
// A Runner has two halves that know each other only by messages. The
// coordinator (job.go) checks a job, hands its tasks out as the machine in
// core/sched says, combines partial results in the fixed tree and tells those
// who watch. The worker (worker.go) runs tasks that this or another node's
// coordinator sent: it feeds pages into a kernel in a process of its own
// (package workers) and either answers with the accumulator or commits the
// output pages as one mutation.
//
// A job that reads an array while others write it reads each page as it is at
// some moment; seal the inputs for more. A map may read the array that it
// writes: a task's commit takes effect once whatever is retried, so each
// element is read before, and written by, exactly one effective attempt.
//
// What it needs of the cluster comes through the interface Cluster; it knows
// no shards, links or catalogue. It follows research/control-plane-dsm
// section 4.
package jobs

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/holocompute/holocompute/internal/code"
	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/internal/workers"
)

// Options are a runner's limits. The zero value of each means its default.
type Options struct {
	// Slots is the number of tasks that this node runs at once. Default 1: in
	// first light a cluster's nodes often share a machine, and a task keeps
	// one core busy.
	Slots int
	// Queue is the number of tasks that may wait for a slot; more are refused
	// and tried again by their coordinator. Default 64: the windows of some
	// thirty jobs.
	Queue int
	// MaxRunning is the number of jobs that this node coordinates at once.
	// Default 8.
	MaxRunning int
	// MaxFinished is the number of finished jobs that are remembered, each
	// with up to 1 MiB of result. Default 64.
	MaxFinished int
	// JobReceipts and NodeReceipts bound the receipts that are kept of one job
	// and on this node, in bytes. Default 16 MiB, which is some 20,000 tasks of a
	// reduce or 40,000 of a map, and 64 MiB.
	JobReceipts, NodeReceipts uint64
	// Strict has no kernel run in a worker that is less than fully isolated.
	Strict bool
	// Logger is told of workers that end badly, Count the reasons, and Retried the
	// tasks that had to be tried again. Default: nobody.
	Logger  *slog.Logger
	Count   func(reason string)
	Retried func(job holo.JobID, reason string, tasks uint64)
	// Code keeps machine code between workers. The runner does not close it.
	Code *code.Store
	// Schedule are the limits of each job's scheduling. Its Slots are those of
	// every node, and so the same as Slots above.
	Schedule sched.Options
}

func (o Options) withDefaults() Options {
	o.Slots = cmp.Or(o.Slots, 1)
	o.Queue = cmp.Or(o.Queue, 64)
	o.MaxRunning = cmp.Or(o.MaxRunning, 8)
	o.MaxFinished = cmp.Or(o.MaxFinished, 64)
	o.JobReceipts = cmp.Or(o.JobReceipts, 16<<20)
	o.NodeReceipts = cmp.Or(o.NodeReceipts, 64<<20)
	o.Schedule.Slots, o.Schedule.Together = o.Slots, tripTasks
	if o.Count == nil {
		o.Count = func(string) {}
	}
	if o.Retried == nil {
		o.Retried = func(holo.JobID, string, uint64) {}
	}
	return o
}

// Runner is a node's part in jobs. It is safe for concurrent use; Close ends
// it and everything it runs.
type Runner struct {
	cluster Cluster
	opt     Options
	workers *workers.Pool
	modules *modules
	worker  *worker
	group   *group

	mu struct {
		sync.Mutex
		closed   bool
		starting map[holo.PrincipalID]int // jobs accepted and not yet in jobs
		jobs     map[holo.JobID]*job
		finished []holo.JobID            // in the order in which they ended
		receipts uint64                  // bytes of those that are kept, of all jobs
		speeds   map[holo.NodeID]float64 // of each node, as a share of the fastest one's; replaced, never changed
	}
}

// New starts a runner on a node.
func New(ctx context.Context, c Cluster, o Options) *Runner {
	r := &Runner{cluster: c, opt: o.withDefaults(), modules: newModules(c.Module), group: newGroup(ctx)}
	r.workers = workers.New(workers.Options{Max: r.opt.Slots + combiners, Strict: o.Strict, Logger: o.Logger, Count: o.Count, Code: o.Code})
	r.worker = newWorker(r)
	r.mu.jobs = map[holo.JobID]*job{}
	r.mu.starting = map[holo.PrincipalID]int{}
	return r
}

// ReasonTooManyJobs is why a job is not taken, and RetryAfter when to ask again.
const (
	ReasonTooManyJobs = "too_many_jobs"
	RetryAfter        = time.Second
)

// memoryPages is the most linear memory that a task may have. All nodes have
// the same, so that a kernel that runs out does so everywhere.
const memoryPages = sandbox.DefaultMemoryPages

// combiners is the number of processes, beside one for each slot, in which a
// node combines the partial results of the jobs that it coordinates.
const combiners = 1

// Close cancels all jobs that this node coordinates and all tasks that it runs,
// and waits for them.
func (r *Runner) Close() {
	r.mu.Lock()
	r.mu.closed = true
	r.mu.Unlock()
	r.group.Close()
	r.worker.close()
	r.workers.Close()
}

// Workers tells how this node's kernels are isolated, and starts a worker to
// find out if none has run. With Options.Strict it is an error when that is not
// all that a system can give.
func (r *Runner) Workers(ctx context.Context) (workers.State, error) { return r.workers.State(ctx) }

// RunTask runs a task for the coordinator of another node. It always answers; a
// failure is in the answer, and of a success the signed receipt. When ctx ends
// the task is abandoned.
func (r *Runner) RunTask(ctx context.Context, t *wire.RunTask) *wire.TaskResult {
	result := r.worker.run(ctx, t)[0]
	if !result.Failed {
		r.cluster.SignReceipt(t, &result.Receipt)
	}
	return result
}

// CancelTasks abandons the tasks of a job.
func (r *Runner) CancelTasks(c *wire.CancelTasks) *wire.TasksGone {
	return &wire.TasksGone{Tasks: r.worker.cancelTasks(c)}
}

// NodeLost tells that the cluster declared a node dead: what it was running is
// tried again at once.
func (r *Runner) NodeLost(node holo.NodeID) {
	for _, j := range r.all() {
		j.nodeLost(node)
	}
}

// HomesChanged tells that shards have other homes than before.
func (r *Runner) HomesChanged() {
	for _, j := range r.all() {
		j.nudge()
	}
}

// Job finds a job that this node coordinates or remembers.
func (r *Runner) Job(id holo.JobID) (Job, error) {
	j, err := r.find(id)
	if err != nil {
		return Job{}, err
	}
	now, _ := j.look()
	return now, nil
}

// Jobs are the jobs that this node coordinates or remembers, in order of ID.
func (r *Runner) Jobs() []Job {
	js := r.all()
	list := make([]Job, len(js))
	for i, j := range js {
		list[i], _ = j.look()
	}
	return list
}

// Watch calls send with the progress now, with each change after it (perhaps
// several in one), and with the final one; then it returns nil. It returns
// send's error when there is one.
func (r *Runner) Watch(ctx context.Context, id holo.JobID, send func(Progress) error) error {
	j, err := r.find(id)
	if err != nil {
		return err
	}
	for {
		now, changed := j.look()
		if err := send(now.Progress); err != nil || now.State.Final() {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return holo.Errorf(holo.Cancelled, "watch job %d: %w", id, context.Cause(ctx))
		}
	}
}

// Cancel ends a job unless it has ended, and answers with what it then is. It
// waits for the coordinator, not for the nodes, whose kernels stop at their
// next yield.
func (r *Runner) Cancel(ctx context.Context, id holo.JobID) (Job, error) {
	j, err := r.find(id)
	if err != nil {
		return Job{}, err
	}
	j.cancel()
	for {
		now, changed := j.look()
		if now.State.Final() {
			return now, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Job{}, holo.Errorf(holo.Cancelled, "cancel job %d: %w", id, context.Cause(ctx))
		}
	}
}

func (r *Runner) find(id holo.JobID) (*job, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if j, ok := r.mu.jobs[id]; ok {
		return j, nil
	}
	return nil, holo.Errorf(holo.NotFound, "job %d: not coordinated by this node, or forgotten", id)
}

func (r *Runner) all() []*job {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.mu.jobs), func(a, b *job) int { return cmp.Compare(a.id, b.id) })
}
