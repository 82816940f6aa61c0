package jobs

import (
	"context"
	"slices"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/internal/wire"
)

// Submit checks a job, records it and starts it. This node coordinates it.
func (r *Runner) Submit(ctx context.Context, s Spec) (holo.JobID, error) {
	if err := r.reserve(s.Owner, r.opt.MaxRunning/4); err != nil {
		return 0, err
	}
	j, err := r.prepare(ctx, s)
	if err != nil {
		r.unreserve(s.Owner)
		return 0, err
	}
	if j.id, j.epoch, err = r.cluster.RecordJob(ctx, &j.spec); err != nil {
		j.release()
		r.unreserve(s.Owner)
		return 0, err
	}
	return j.id, r.start(j)
}

// reserve takes the place of a running job. Some of them are spare, for users
// who have no job here: whoever submits without end is refused, and others are
// not. Nothing waits, so there is no queue to fill.
func (r *Runner) reserve(owner holo.PrincipalID, spare int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	all, own := 0, r.mu.starting[owner]
	for _, n := range r.mu.starting {
		all += n
	}
	for _, j := range r.mu.jobs {
		if j.isEnded() {
			continue
		}
		all++
		if j.spec.Owner == owner {
			own++
		}
	}
	if limit := r.opt.MaxRunning; all >= limit || own > 0 && all >= limit-spare {
		return holo.Refuse(holo.Exhausted, ReasonTooManyJobs, "submit job: this node coordinates %d jobs, %d of them yours, at most %d and %d of them are for users who have one: try again when one has ended, or after %s", all, own, limit, limit-spare, RetryAfter)
	}
	r.mu.starting[owner]++
	return nil
}

func (r *Runner) unreserve(owner holo.PrincipalID) {
	r.mu.Lock()
	r.started(owner)
	r.mu.Unlock()
}

// started gives a reservation up, with the runner's lock held.
func (r *Runner) started(owner holo.PrincipalID) {
	if r.mu.starting[owner]--; r.mu.starting[owner] == 0 {
		delete(r.mu.starting, owner)
	}
}

// start turns the reservation into a job. A runner that was closed meanwhile
// leaves the job recorded and not running, as a crash here would.
func (r *Runner) start(j *job) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started(j.spec.Owner)
	if _, here := r.mu.jobs[j.id]; r.mu.closed || here {
		j.release()
		return holo.Errorf(holo.Unavailable, "start job %d: the node is stopping, or coordinates it already", j.id)
	}
	j.publish(End{State: Running})
	r.mu.jobs[j.id] = j
	r.group.Go(j.run)
	return nil
}

// ended moves a job to the finished ones and forgets the oldest of too many.
func (r *Runner) ended(id holo.JobID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.finished = append(r.mu.finished, id)
	if len(r.mu.finished) > r.opt.MaxFinished {
		r.mu.receipts -= r.mu.jobs[r.mu.finished[0]].clearReceipts()
		delete(r.mu.jobs, r.mu.finished[0])
		r.mu.finished = r.mu.finished[1:]
	}
}

// prepare checks everything about a job that can be known before it runs, and
// cuts it into tasks.
func (r *Runner) prepare(ctx context.Context, s Spec) (*job, error) {
	specs, flow, err := s.graph()
	if err != nil {
		return nil, err
	}
	j := &job{runner: r, spec: s}
	for i := range specs {
		st, err := r.stage(ctx, specs[i])
		if err != nil {
			j.release()
			return nil, inStage(i, len(specs), err)
		}
		j.stages = append(j.stages, st)
	}
	if n := j.count(); n > MaxTasks {
		j.release()
		return nil, s.bad("its stages have %d extents in all, at most %d: choose larger ones", n, MaxTasks)
	}
	j.cut(flow, r.schedule())
	return j, nil
}

// check refuses a job for what it says of itself.
func (s *Spec) check() error {
	views, writes := len(s.Inputs), s.Kind.Writes()
	if writes {
		views++
	}
	switch {
	case !s.Kind.Valid():
		return s.bad("kind %d is not known", s.Kind)
	case s.Function == "" || len(s.Function) > wire.MaxFunctionName || len(s.Kernel) > wire.MaxFunctionName:
		return s.bad("the function's name has %d characters, want 1 to %d", len(s.Function), wire.MaxFunctionName)
	case len(s.Inputs) == 0:
		return s.bad("no input array")
	case views > sandbox.MaxViews:
		return s.bad("%d arrays, at most %d", views, sandbox.MaxViews)
	case len(s.Params) > wire.MaxParams:
		return s.bad("%d bytes of parameters, at most %d", len(s.Params), wire.MaxParams)
	case writes != (s.AccBytes == 0) || s.AccBytes > wire.MaxAcc:
		return s.bad("an accumulator of %d bytes: a reduce wants 1 to %d, a map or a task none", s.AccBytes, wire.MaxAcc)
	case writes != (s.Output != 0):
		return s.bad("output array %d: a map or a task has one, a reduce none", s.Output)
	case !s.Halo.Valid(wire.MaxHalo) || s.Halo.Width > 0 && s.Kind != wire.TaskMap:
		return s.bad("a halo of %d elements with the edge %s: a map may have one of at most %d, with an edge", s.Halo.Width, s.Halo.Edge, wire.MaxHalo)
	case s.Halo.Width > 0 && slices.Contains(s.Inputs, s.Output):
		return s.bad("it writes array a%d, which other tasks read around their extents: write another array", uint64(s.Output))
	case s.Kind == wire.TaskGeneral && slices.Contains(s.Inputs, s.Output):
		return s.bad("it writes array a%d, which its tasks read: write another array", uint64(s.Output))
	}
	return s.fitsATask(nil)
}

// checkFunctions looks for the kernels that the job will need. A reduce over
// one extent has nothing to combine.
func (s *Spec) checkFunctions(m *module.Module, extents uint64) error {
	kinds := []module.Kind{module.Map}
	switch s.Kind {
	case wire.TaskGeneral:
		kinds[0] = module.Task
	case wire.TaskReduce:
		kinds = []module.Kind{module.Reduce, module.Combine}[:min(extents, 2)]
	}
	for _, k := range kinds {
		if !m.Has(k, s.Function) {
			return s.bad("module %s does not export %s", m.ID, module.Function{Kind: k, Name: s.Function}.Export())
		}
	}
	return nil
}

func (s *Spec) bad(format string, args ...any) error {
	return holo.Errorf(holo.Invalid, "job %s %s/%s: "+format, append([]any{s.Kind, s.Kernel, s.Function}, args...)...)
}

// fits compares an array with the first input. Inputs are of one affinity, so
// that they lie together; an output may lie elsewhere, and then the inputs
// travel to it.
func (s *stage) fits(a Array, input bool) error {
	first := s.inputs[0]
	if s.spec.Kind == wire.TaskGeneral {
		first = a
	}
	switch {
	case a.Shape.Check() != nil:
		return a.Shape.Check()
	case !s.spec.Halo.Valid(a.Shape.Length):
		return s.spec.bad("a halo of %d elements wraps around %s more than once, which has %d", s.spec.Halo.Width, a.Name, a.Shape.Length)
	case a.Shape.Length != first.Shape.Length:
		return s.spec.bad("%s has %d elements, %s has %d", a.Name, a.Shape.Length, first.Name, first.Shape.Length)
	case a.Shape.Extent != first.Shape.Extent:
		return s.spec.bad("%s has extents of %d elements, %s of %d", a.Name, a.Shape.Extent, first.Name, first.Shape.Extent)
	case input && a.Affinity != first.Affinity:
		return s.spec.bad("%s is not of the affinity of %s: their elements do not lie together", a.Name, first.Name)
	case a.Shape.Extents() > MaxTasks:
		return s.spec.bad("%s has %d extents, at most %d: choose larger ones", a.Name, a.Shape.Extents(), MaxTasks)
	}
	return nil
}

// asked refuses an input that a general task may not ask for.
func (s *stage) asked(a Array) error {
	if !a.Sealed {
		return s.spec.bad("%s is not sealed, and a task that is tried again must read the same: seal it first", a.Name)
	}
	return a.Shape.Check()
}

// cut makes a task of each extent of each stage, at home where the output or
// the first input lies.
func (j *job) cut(flow []sched.Stage, o sched.Options) {
	next := holo.TaskID(0)
	for i, s := range j.stages {
		at := s.inputs[0]
		if s.spec.Kind.Writes() {
			at = s.output
		}
		shards := make([]holo.ShardID, at.Shape.Extents())
		for e := range shards {
			shards[e] = j.runner.cluster.Shard(at, uint64(e))
		}
		flow[i].Shards = shards
		flow[i].Moves, flow[i].Once = s.moves(), slices.Contains(s.spec.Inputs, s.spec.Output)
		flow[i].Joins = s.spec.Kind != wire.TaskGeneral
		s.begin(i, next, len(shards))
		next += holo.TaskID(len(shards))
	}
	j.partials = map[holo.TaskID]*partial{}
	j.out = map[sched.Assign]out{}
	j.sched = sched.NewGraph(flow, o)
	j.settleEmpty()
	j.events = make(chan []event, eventBuffer)
	j.wake = make(chan struct{}, 1)
	j.stop = make(chan struct{})
	j.questions = make(chan asking)
	j.ended = make(chan struct{})
	j.began = j.runner.cluster.Now()
	j.view.changed = make(chan struct{})
}
