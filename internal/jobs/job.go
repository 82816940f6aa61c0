package jobs

import (
	"context"
	"sync"
	"time"

	"github.com/holocompute/holocompute/internal/core/joblog"
	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// eventBuffer lets answers of attempts come in while the coordinator hands
// out others; its size is no limit on anything.
const eventBuffer = 16

// job is one job at its coordinator. The goroutine of run owns everything but
// view; others reach it by events, wake, stop and view. It ends in a final
// state and is then only looked at.
type job struct {
	runner *Runner
	id     holo.JobID
	epoch  holo.JobEpoch
	spec   Spec
	stages []*stage // of one stage, if it is no graph

	sched     *sched.Job
	partials  map[holo.TaskID]*partial // not yet combined
	held      uint64                   // bytes of partials
	steps     []sched.Step             // possible, not yet begun
	weight    uint64                   // of steps
	urgent    bool                     // a stage waits for nothing but steps
	combining bool
	combined  holo.Gas             // used for combining
	failure   error                // of combining
	out       map[sched.Assign]out // the attempts that are out

	began     holo.Time // on this node's clock
	spans     []Span    // of attempts that ended or were out at the end, the first maxSpans
	dropped   uint64    // of those after them
	questions chan asking
	ended     chan struct{} // closed when nothing is scheduled any more
	after     sync.Mutex    // held by who asks after that
	signing   sync.Mutex    // held by who signs what view.receipts point to

	events chan []event  // each of one trip
	wake   chan struct{} // something in view.lost, or other homes
	stop   chan struct{} // closed by cancel

	view struct {
		sync.Mutex
		stopped  bool
		lost     []holo.NodeID // told by nodeLost, not yet told to sched
		now      Job
		receipts shelf // of tasks that count, and of steps
		log      joblog.Book
		changed  chan struct{} // closed when now changes
	}
}

// event is the answer to an attempt, or with steps the end of combining.
type event struct {
	sched.Assign
	result *wire.TaskResult
	err    error
	steps  []sched.Step
	said   []wire.Said // of steps
	gas    holo.Gas

	receipts []*wire.StepReceipt // of the steps that were done

	start, end time.Duration // of the attempt, since the job began
}

// run coordinates the job until it ends. Attempts live in a group of their
// own, so that none outlives the job. A goroutine of it that is done with one
// takes the next: a new one for each task would grow its stack each time.
func (j *job) run(ctx context.Context) {
	defer j.release()
	attempts, idle := newGroup(ctx), make(chan sent) // nobody waits in idle: who takes from it has nothing to do
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for !j.over() {
		for _, trip := range j.trips(j.next()) {
			j.send(attempts, idle, trip)
		}
		j.combine(attempts)
		if j.over() {
			break
		}
		j.publish(End{State: Running})
		j.arm(timer)
		j.wait(ctx, timer)
	}
	j.finish(ctx, attempts)
}

// out is an attempt that has not ended: how it is recalled, and when it was sent.
type out struct {
	recall context.CancelFunc
	since  time.Duration
}

// sent is a trip on its way to a goroutine. Its context ends when all its attempts
// are recalled.
type sent struct {
	trip []sched.Assign
	ctx  context.Context
}

// send starts the attempts of a trip.
func (j *job) send(attempts *group, idle chan sent, trip []sched.Assign) {
	ctx, end := context.WithCancel(attempts.ctx)
	since := j.age()
	for i, recall := range recalls(len(trip), end) {
		j.out[trip[i]] = out{recall, since}
	}
	select {
	case idle <- sent{trip, ctx}:
	default:
		attempts.Go(func(whole context.Context) { j.attempts(whole, sent{trip, ctx}, idle) })
	}
}

// recall abandons the attempts that run for nothing: their streams are reset.
func (j *job) recall() {
	for _, a := range j.sched.Recalls() {
		j.out[a].recall()
	}
}

// over reports whether nothing is left to do.
func (j *job) over() bool {
	state, _ := j.sched.State()
	switch {
	case j.failure != nil, state == sched.Failed, state == sched.Cancelled:
		return true
	default:
		return state == sched.Complete && !j.combining && len(j.steps) == 0
	}
}

// maxHeld bounds the partial results that wait to be combined. Beyond it no
// task is handed out until combining has caught up.
const maxHeld = 256 << 20

func (j *job) next() []sched.Assign {
	if j.combining && j.held > maxHeld {
		return nil
	}
	return j.sched.Next(j.runner.cluster.Now(), j.runner.cluster.Home)
}

// arm sets the timer to when the schedule wants to be asked again.
func (j *job) arm(timer *time.Timer) {
	now := j.runner.cluster.Now()
	wait := time.Hour
	if at, ok := j.sched.Wake(now); ok {
		wait = max(time.Duration(at.Sub(now)), time.Millisecond)
	}
	timer.Reset(wait)
}

// wait takes in whatever happens next.
func (j *job) wait(ctx context.Context, timer *time.Timer) {
	select {
	case trip := <-j.events:
		j.takeTrip(trip)
		for range len(j.events) {
			j.takeTrip(<-j.events)
		}
	case <-j.wake:
		j.sched.HomesChanged()
		j.takeLost()
	case <-timer.C:
	case q := <-j.questions:
		q.answer()
		close(q.done)
	case <-j.stop:
		j.sched.Cancel()
	case <-ctx.Done():
		j.sched.Cancel()
	}
}

// takeTrip takes in what came at once.
func (j *job) takeTrip(trip []event) {
	now := j.runner.cluster.Now()
	for _, e := range trip {
		j.take(now, e)
	}
}

func (j *job) take(now holo.Time, e event) {
	if o, is := j.out[e.Assign]; is {
		o.recall()
		delete(j.out, e.Assign)
	}
	switch {
	case e.Attempt == 0:
		j.takeCombined(e)
	case e.err != nil:
		j.span(e, false)
		j.hearFailed(e)
		j.sched.Failed(now, e.Assign, e.err)
		j.tellRetries()
	default:
		j.takeResult(now, e)
	}
}

func (j *job) takeResult(now holo.Time, e event) {
	r := sched.Result{Gas: e.result.Gas, BytesLocal: e.result.BytesLocal, BytesMoved: e.result.BytesMoved}
	if e.Node != j.runner.cluster.Self() {
		r.Sent = uint64(len(e.result.Partial))
	}
	counts := j.sched.Done(now, e.Assign, r)
	j.recall()
	j.span(e, counts)
	if !counts {
		return
	}
	j.keepTask(e.Assign, &e.result.Receipt)
	j.hear(e.Assign, &e.result.Said)
	j.stageOf(e.Task).took(j, e.Task, e.result)
}

// attempts makes the attempts of a trip, and of those after it that it is given.
func (j *job) attempts(ctx context.Context, s sent, more <-chan sent) {
	for {
		j.post(ctx, j.timed(s.ctx, s.trip)...)
		select {
		case s = <-more:
		case <-ctx.Done():
			return
		}
	}
}

// post hands events to the coordinator unless the job is over.
func (j *job) post(ctx context.Context, trip ...event) {
	select {
	case j.events <- trip:
	case <-ctx.Done():
	}
}

// cancel asks the coordinator to end the job.
func (j *job) cancel() {
	j.view.Lock()
	defer j.view.Unlock()
	if !j.view.stopped {
		j.view.stopped = true
		close(j.stop)
	}
}

func (j *job) nodeLost(node holo.NodeID) {
	j.view.Lock()
	j.view.lost = append(j.view.lost, node)
	j.view.Unlock()
	j.nudge()
}

func (j *job) nudge() {
	select {
	case j.wake <- struct{}{}:
	default: // already nudged
	}
}

func (j *job) takeLost() {
	j.view.Lock()
	lost := j.view.lost
	j.view.lost = nil
	j.view.Unlock()
	for _, node := range lost {
		j.sched.NodeLost(j.runner.cluster.Now(), node)
	}
	j.tellRetries()
}

func (j *job) tellRetries() {
	for reason, tasks := range j.sched.Retries() {
		j.runner.opt.Retried(j.id, reason.String(), tasks)
	}
}
