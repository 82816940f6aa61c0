package jobs

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Spec says what a job shall do. Who submits it was authorised before: RUN on
// the module and READ on each input.
type Spec struct {
	Owner    holo.PrincipalID // whose job it is: kernels of two owners never share a process
	Module   holo.ModuleID
	Kernel   string // the module's name, for people and messages
	Kind     wire.TaskKind
	Function string         // without its prefix: by_hour
	Inputs   []holo.ArrayID // of one affinity, length and extent; the first one's home runs a reduce
	Output   holo.ArrayID   // for a map: same length and extent; its home runs the task
	Params   []byte         // opaque to all but the kernel, at most wire.MaxParams
	AccBytes uint64         // size of the accumulator of a reduce, at most wire.MaxAcc
	Gas      holo.Gas       // for each task, 0: DefaultGas
	Halo     wire.Halo      // of a map: how far around each element it sees its inputs

	Then    []Spec // of a graph, the stages after this one; those have none
	Results []int  // of a stage: reduces before it, by number, whose results follow Params
}

// Limits of a job.
const (
	// DefaultGas is a task's gas unless the job says otherwise: about ten
	// seconds of a kernel at ten gas a nanosecond, some thousand times what a
	// plain pass over an extent takes.
	DefaultGas = holo.Gas(100e9)
	// MaxGas bounds what a job may ask for a task: about an hour.
	MaxGas = holo.Gas(40e12)
	// MaxTasks bounds a job. The coordinator keeps some 100 bytes for each.
	MaxTasks = 1 << 20
)

// State is what has become of a job.
type State uint8

// The states. The last three are final.
const (
	Running State = iota
	Done
	Failed
	Cancelled
)

// String is the state's name in the API.
func (s State) String() string {
	return [...]string{"running", "done", "failed", "cancelled"}[min(s, Cancelled)]
}

// Final reports whether the job has ended.
func (s State) Final() bool { return s != Running }

// End is how a job ended.
type End struct {
	State  State
	Result []byte // Done: the combined accumulator of a reduce
	Err    error  // Failed, Cancelled
}

// Job is a job as its coordinator knows it. The Result of a reduce belongs to
// the reader only to read.
type Job struct {
	ID    holo.JobID
	Epoch holo.JobEpoch
	Spec  Spec
	End
	Progress Progress
}

// Progress counts what a job has done so far.
type Progress struct {
	Job            holo.JobID
	State          State
	Tasks          uint32
	Committed      uint32
	Running        uint32
	Retried        uint32     // attempts beyond each task's first
	Stolen         uint32     // attempts on a node that had nothing to do, not on the home
	Speculated     uint32     // attempts while another of the same task was out
	Nodes          []NodeWork // in order of node ID
	Gas            holo.Gas   // of committed tasks and of combining
	BytesProcessed uint64     // element bytes of inputs and outputs of committed tasks
	BytesMoved     uint64     // of those, the ones that crossed between nodes, and partial results that did
	Waiting        string     // why tasks wait, while nodes refuse them; for people
}

// NodeWork counts what one node has done for a job.
type NodeWork struct {
	Node       holo.NodeID
	Committed  uint32
	Running    uint32 // handed out and not answered, at most the window
	Failed     uint32 // attempts that ended without a commit
	Gas        holo.Gas
	BytesLocal uint64
	BytesMoved uint64
}

// Report is the progress as the catalogue keeps it with a job that has ended.
func (p *Progress) Report() *wire.JobReport {
	r := &wire.JobReport{
		Tasks: p.Tasks, Committed: p.Committed, Retried: p.Retried,
		Stolen: p.Stolen, Speculated: p.Speculated, Gas: p.Gas, BytesProcessed: p.BytesProcessed, BytesMoved: p.BytesMoved,
	}
	for _, n := range p.Nodes[:min(len(p.Nodes), wire.MaxReportNodes)] {
		r.Nodes = append(r.Nodes, wire.NodeReport{
			Node: n.Node, Committed: n.Committed, Failed: n.Failed, Gas: n.Gas, BytesLocal: n.BytesLocal, BytesMoved: n.BytesMoved,
		})
	}
	return r
}

// ProgressOf is the progress of a job that ended, from its report.
func ProgressOf(id holo.JobID, s State, r *wire.JobReport) Progress {
	p := Progress{
		Job: id, State: s, Tasks: r.Tasks, Committed: r.Committed, Retried: r.Retried,
		Stolen: r.Stolen, Speculated: r.Speculated, Gas: r.Gas, BytesProcessed: r.BytesProcessed, BytesMoved: r.BytesMoved,
	}
	for _, n := range r.Nodes {
		p.Nodes = append(p.Nodes, NodeWork{
			Node: n.Node, Committed: n.Committed, Failed: n.Failed, Gas: n.Gas, BytesLocal: n.BytesLocal, BytesMoved: n.BytesMoved,
		})
	}
	return p
}
