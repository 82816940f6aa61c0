// Package sched is the coordinator of one job: it hands each task to the node
// where its pages lie, counts every task's result once, decides which failures
// are worth another attempt, and fixes the order in which partial results are
// combined.
//
// The one idea is that nothing waits at the workers. A node gets as many tasks
// as keep its slots busy and as many again (the window); all others wait here,
// where they can still go anywhere when a node dies or a shard moves. Of light
// tasks, which are over before that could happen, the coordinator's own node gets
// more (light.go). Task
// state lives only in this machine. What makes a result count once is not the
// care with which tasks are handed out but the rule at the end: the first
// result of a task is taken, whichever attempt it comes from, and all others
// are dropped; and the shard that holds a map's output does the same with its
// TaskCommit.
//
// The package knows nothing of kernels, arrays or partial results: it says
// which, and its caller (internal/jobs) does. It follows
// research/control-plane-dsm section 4; how nodes help each other is in help.go.
package sched

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
)

// Options are the limits of one job's scheduling. The zero value of each means
// its default.
type Options struct {
	Slots      int           // tasks that a node runs at once; the window is twice that. Default 1
	Self       holo.NodeID   // the coordinator's node, to which a task takes no message
	Together   int           // tasks that go to a worker of Self in one trip if they are light. Default 1
	Budget     int           // charged failures that one task may have. Default 4
	MinBackoff holo.Duration // before the second attempt after a refusal or failure. Default 25 ms
	MaxBackoff holo.Duration // the back-off doubles up to this. Default 1 s
	// Patience is how long a job goes on while tasks are refused and none is
	// committed. Default 60 s: a failover takes up to 12 s, a repair longer.
	Patience holo.Duration
	// Overhead is what a node that helps another must save besides twice its
	// own time: what a task costs that is no work, and what estimates are wrong
	// by. Default 200 ms: a job that is over sooner stays where its pages lie.
	Overhead holo.Duration
	// Start is what a node's first answer may take longer than the others.
	// Default 2 s.
	Start holo.Duration
	// Bandwidth is what a node that helps is taken to get of another's pages, in
	// bytes a second. Default 64 MiB, half of what gigabit Ethernet carries.
	Bandwidth uint64
	// Speeds are what earlier jobs found out: a node's as a share of the fastest
	// one's. Of nodes that are not in it nothing is known. It is not changed.
	Speeds map[holo.NodeID]float64
}

func (o Options) withDefaults() Options {
	if o.Slots <= 0 {
		o.Slots = 1
	}
	if o.Together <= 0 {
		o.Together = 1
	}
	if o.Budget <= 0 {
		o.Budget = 4
	}
	if o.MinBackoff <= 0 {
		o.MinBackoff = 25 * holo.Millisecond
	}
	if o.MaxBackoff <= 0 {
		o.MaxBackoff = holo.Second
	}
	if o.Patience <= 0 {
		o.Patience = 60 * holo.Second
	}
	if o.Overhead <= 0 {
		o.Overhead = 200 * holo.Millisecond
	}
	if o.Start <= 0 {
		o.Start = 2 * holo.Second
	}
	if o.Bandwidth == 0 {
		o.Bandwidth = 64 << 20
	}
	return o
}

// State is where the job stands.
type State uint8

// The states. Complete says that every task's result has been taken; combining
// them is the caller's business.
const (
	Running State = iota
	Complete
	Failed
	Cancelled
)

// Assign is one attempt: the task goes to the node, now.
type Assign struct {
	Task    holo.TaskID
	Attempt holo.Attempt
	Node    holo.NodeID
}

// Result is what an attempt that succeeded reports of its work.
type Result struct {
	Gas        holo.Gas
	BytesLocal uint64 // element bytes processed where they lay
	BytesMoved uint64 // element bytes processed that crossed between nodes
	Sent       uint64 // bytes of the partial result, if it crossed between nodes
}

// task is kept small: a job may have a million. Two attempts at most are out
// that the machine has not given up; older ones may still answer.
type task struct {
	attempts holo.Attempt // started so far
	charged  uint8        // failures charged to the budget
	refused  uint8        // refusals and failures in a row, for the back-off
	needs    uint16       // what must be done before it can start
	node     uint16       // of the last attempt, in Job.nodes
	reason   Reason       // why that one was where it was
	out      uint8        // attempts that are out and not given up: two where another node helps
	helped   uint8        // how often another node ran it although it was out
	stolen   bool         // its first attempt was not at its home
	done     bool
	delayed  bool // waits for its back-off to end
}

// Job is the coordinator of one job. One goroutine may call it. It ends by
// being dropped once State is final.
type Job struct {
	opt    Options
	stages []stage
	shards []holo.ShardID // of each task
	tasks  []task
	queues []*queue // by shard, in order of their first task
	byID   map[holo.ShardID]*queue
	strays []holo.TaskID // trapped once: these go anywhere but there
	traps  map[holo.TaskID]trap
	later  delays
	lull   lull
	nodes  []*node // in the order in which they first were a home
	known  map[holo.NodeID]*node

	state        State
	err          error
	refusedSince holo.Time // of the first refusal after the last commit
	refusal      error     // the last one, nil: none since the last commit
	cause        holo.TaskID
	isCause      bool                  // cause ended the job
	proofs       map[holo.TaskID]error // the last failures
	recalls      []Assign              // not yet told
	retries      map[Reason]uint64     // not yet told
	look         holo.Time             // when help may have become worth it, with looks
	looks        bool
	noted        []holo.TaskID // of proofs, the oldest first

	started, committed   uint32
	stolen, seconded     uint32
	assigned             uint64
	gas                  holo.Gas
	processed, movedByte uint64
}

type trap struct {
	node holo.NodeID
	err  error
}

// New makes the coordinator of a job with one task per element of shards: the
// shard that the task's home is the home of. Task IDs are the indices.
func New(shards []holo.ShardID, o Options) *Job { return NewGraph([]Stage{{Shards: shards}}, o) }

// State tells where the job stands, and for Failed and Cancelled why.
func (j *Job) State() (State, error) { return j.state, j.err }

// Cause is the task whose failure ended the job, if one did.
func (j *Job) Cause() (holo.TaskID, bool) { return j.cause, j.isCause }

// Cancel ends the job unless it has ended.
func (j *Job) Cancel() {
	j.end(Cancelled, holo.Errorf(holo.Cancelled, "cancelled with %d of %d tasks done", j.committed, len(j.tasks)))
}

func (j *Job) end(s State, err error) {
	if j.state == Running {
		j.state, j.err = s, err
	}
}

// fail ends the job for what became of one of its tasks.
func (j *Job) fail(id holo.TaskID, err error) {
	if j.state == Running {
		j.cause, j.isCause = id, true
	}
	j.end(Failed, err)
}

func (j *Job) task(id holo.TaskID) *task {
	invariant.Check(int(id) < len(j.tasks), "task %d of %d", id, len(j.tasks))
	return &j.tasks[id]
}
