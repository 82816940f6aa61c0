package jobs

import (
	"context"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Cluster is what the runner needs of the node it runs on. Every method may be
// called from several goroutines. Errors are *holo.Error; their kinds decide
// whether a task is tried again (package sched).
type Cluster interface {
	// Self is this node.
	Self() holo.NodeID
	// Now is this node's monotonic clock.
	Now() holo.Time

	// Array finds an array in the catalogue.
	Array(ctx context.Context, id holo.ArrayID) (Array, error)
	// Shard is the shard that an extent of the array lies in.
	Shard(a Array, extent uint64) holo.ShardID
	// Home is the shard's primary, as far as this node knows now. False while
	// there is none.
	Home(shard holo.ShardID) (holo.NodeID, bool)

	// Module fetches a module's bytes, from this node or another. The runner
	// verifies their hash.
	Module(ctx context.Context, id holo.ModuleID) ([]byte, error)

	// RecordJob writes the job into the catalogue, running, and gives it its
	// ID and epoch. This node is its coordinator.
	RecordJob(ctx context.Context, s *Spec) (holo.JobID, holo.JobEpoch, error)
	// RecordEnd writes how the job ended, with its last progress (Progress.
	// Report). It is called once per job, and again after an error of kind
	// Unavailable, Indeterminate, Exhausted or Cancelled.
	RecordEnd(ctx context.Context, j Job) error

	// RunTask sends the task to another node and waits for its answer. An
	// error of kind Unavailable says that the node certainly did not get it;
	// one of kind Indeterminate that the connection ended before the answer.
	// When ctx ends the stream is reset, which abandons the task over there.
	RunTask(ctx context.Context, node holo.NodeID, t *wire.RunTask) (*wire.TaskResult, error)
	// CancelTasks tells another node to abandon a job's tasks.
	CancelTasks(ctx context.Context, node holo.NodeID, c *wire.CancelTasks) error

	// Date is the time of day by this node's clock, in seconds since 1970.
	Date() int64
	// SignReceipt signs the receipt of a task that ran here, which names this
	// node and the time.
	SignReceipt(t *wire.RunTask, r *wire.Receipt)
	// SignStep signs the receipt of a step that was done here.
	SignStep(*wire.StepReceipt)
	// CheckReceipt reports whether the receipt of a task is signed by the node
	// that it names.
	CheckReceipt(t *wire.RunTask, r *wire.Receipt) bool

	// ReadPages reads count pages of one extent, as they are at some moment
	// between call and return: from this node's memory where it is the
	// extent's home (or, for a sealed array, any member), without a copy;
	// otherwise from the home, verified. It gives exactly count pages. Their
	// buffers are immutable.
	ReadPages(ctx context.Context, array holo.ArrayID, shard holo.ShardID, first holo.PageIndex, count uint32) (Pages, error)
	// CommitTask makes the output of a task visible: one mutation of kind
	// TaskCommit in the output's shard, applied at most once per (job, task)
	// whatever is sent again. It returns when it is durable to the array's
	// promise (minAck) or was so before, and reports whether it was. Where this
	// node is not the shard's home it goes to the home. It owns the pages from
	// the call on.
	CommitTask(ctx context.Context, c *TaskCommit) (again bool, err error)
}

// Array is what a job needs to know of an array.
type Array struct {
	ID       holo.ArrayID
	Name     string
	Shape    holo.Shape
	Class    holo.Class
	Affinity string // as recorded: never empty, arrays of one affinity are co-located
	Sealed   bool
}

// Pages are pages of one extent, in order.
type Pages struct {
	Pages []Page
	Moved bool // they came from another node
}

// Page is one page's content.
type Page struct {
	Kind wire.PageKind
	Data []byte // wire.PageData: the page; wire.PageFill: the pattern; else nil

	Digest holo.Digest // of Data, when Hashed
	Hashed bool
}

// TaskCommit is the output of one task: whole pages of one extent.
type TaskCommit struct {
	Job   holo.JobID
	Epoch holo.JobEpoch
	Task  holo.TaskID
	Array holo.ArrayID
	Shard holo.ShardID
	First holo.PageIndex
	Pages [][]byte      // of holo.PageSize each
	Sums  []holo.Digest // of each page
}
