package wire

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/protocol"
)

// Limits of a job's messages. MaxParams and MaxAcc equal those of the client
// API.
const (
	MaxParams       = 64 << 10
	MaxAcc          = 1 << 20
	MaxTaskInputs   = 16
	MaxFunctionName = 128

	typeRunTask     = Type(0x0380)
	typeTaskResult  = Type(0x0381)
	typeCancelTasks = Type(0x0382)
	typeTasksGone   = Type(0x0383)
	typeJobReport   = Type(0x038f) // 0x0384 did not count help
)

// TaskKind says what a task does with its extent.
type TaskKind uint8

// The kinds of tasks.
const (
	TaskMap     TaskKind = iota + 1 // writes one extent of the output
	TaskReduce                      // answers with its partial result
	TaskGeneral                     // asks for elements of its inputs, and writes one extent of the output
	taskKinds
)

// String is "map", "reduce" or "task".
func (k TaskKind) String() string {
	switch k {
	case TaskMap:
		return "map"
	case TaskReduce:
		return "reduce"
	case TaskGeneral:
		return "task"
	}
	return "invalid"
}

// Valid reports whether k is one of the kinds above.
func (k TaskKind) Valid() bool { return k > 0 && k < taskKinds }

// Since is the version of the protocol from which on there are tasks of the kind.
func (k TaskKind) Since() protocol.Version {
	if k == TaskGeneral {
		return 2
	}
	return protocol.First
}

// Writes reports whether a task of the kind has an output.
func (k TaskKind) Writes() bool { return k == TaskMap || k == TaskGeneral }

// ParseTaskKind reads "map", "reduce" or "task".
func ParseTaskKind(s string) (TaskKind, bool) {
	for k := TaskMap; k < taskKinds; k++ {
		if k.String() == s {
			return k, true
		}
	}
	return 0, false
}

// TaskArray is an array as a task sees it: where the task's extent of it lies
// and what its elements are.
type TaskArray struct {
	Array holo.ArrayID
	Type  holo.ElementType
	Shard holo.ShardID // that the task's extent lies in
}

// RunTask asks a node to run one attempt at a task: one kernel over one extent.
// All arrays share Length and Extent. The answer is a TaskResult on the same
// stream, also when the task fails; an attempt whose stream closes is
// abandoned by who asked for it.
type RunTask struct {
	Job         holo.JobID
	Epoch       holo.JobEpoch
	Task        holo.TaskID
	Attempt     holo.Attempt
	Owner       holo.PrincipalID // whose job it is: kernels of two owners never share a process
	Module      holo.ModuleID
	Kernel      string // the module's name, for messages
	Kind        TaskKind
	Function    string // without its prefix: by_hour
	Params      []byte
	AccBytes    uint32 // size of the accumulator, for TaskReduce
	Gas         holo.Gas
	MemoryPages uint32 // most pages of linear memory, 0: the node's own limit
	Length      uint64 // elements in each array
	Extent      uint64 // elements in an extent
	First       uint64 // the task's first element, a multiple of Extent
	Count       uint64 // its number of elements, less than Extent only at the end
	Inputs      []TaskArray
	Output      TaskArray // zero for TaskReduce
	Halo        Halo      // of all inputs, for TaskMap
}

// TaskResult answers a RunTask.
type TaskResult struct {
	Job        holo.JobID
	Epoch      holo.JobEpoch
	Task       holo.TaskID
	Attempt    holo.Attempt
	Gas        holo.Gas
	BytesLocal uint64  // element bytes of inputs and output that lay on the node
	BytesMoved uint64  // element bytes that came from, or went to, another node's shard
	Partial    []byte  // the accumulator of a TaskReduce
	Said       Said    // what the kernel logged, also when Failed
	Receipt    Receipt // unless Failed
	Failed     bool
	Failure    Failure // when Failed
}

// CancelTasks tells a node to abandon whatever it runs or has queued for a job
// up to an epoch, and to refuse what it is still asked to. The answer is
// TasksGone.
type CancelTasks struct {
	Job   holo.JobID
	Epoch holo.JobEpoch
}

// TasksGone answers CancelTasks: no further instruction of those tasks runs
// after the next yield of the kernels.
type TasksGone struct{ Tasks uint32 }

// JobReport is the last progress of a job, as the catalogue keeps it
// (JobEnd.Report).
type JobReport struct {
	Tasks, Committed, Retried  uint32
	Stolen, Speculated         uint32 // attempts on nodes that had nothing to do
	Gas                        holo.Gas
	BytesProcessed, BytesMoved uint64
	Nodes                      []NodeReport
}

// NodeReport is one node's part in a JobReport.
type NodeReport struct {
	Node                   holo.NodeID
	Committed, Failed      uint32
	Gas                    holo.Gas
	BytesLocal, BytesMoved uint64
}

// MaxReportNodes bounds a report: 200 nodes are 12.8 KB.
const MaxReportNodes = 200

// Type is the number on the wire.
func (*RunTask) Type() Type     { return typeRunTask }
func (*TaskResult) Type() Type  { return typeTaskResult }
func (*CancelTasks) Type() Type { return typeCancelTasks }
func (*TasksGone) Type() Type   { return typeTasksGone }
func (*JobReport) Type() Type   { return typeJobReport }

var _ = []struct{}{
	register[RunTask](), register[TaskResult](), register[CancelTasks](), register[TasksGone](), register[JobReport](),
}

func (a *TaskArray) encode(e *Encoder) {
	e.U64(uint64(a.Array))
	e.U8(uint8(a.Type))
	e.U16(uint16(a.Shard))
}

func (a *TaskArray) decode(d *Decoder) {
	a.Array = holo.ArrayID(d.U64())
	a.Type = holo.ElementType(d.U8())
	d.Valid(a.Type.Valid(), "element type")
	a.Shard = d.shard()
}

func (m *RunTask) encode(e *Encoder) {
	e.U64(uint64(m.Job))
	e.U64(uint64(m.Epoch))
	e.U32(uint32(m.Task))
	e.U32(uint32(m.Attempt))
	e.Fixed(m.Owner[:])
	e.Fixed(m.Module[:])
	e.String(m.Kernel)
	e.U8(uint8(m.Kind))
	e.String(m.Function)
	e.Bytes(m.Params)
	e.U32(m.AccBytes)
	e.U64(uint64(m.Gas))
	e.U32(m.MemoryPages)
	e.U64(m.Length)
	e.U64(m.Extent)
	e.U64(m.First)
	e.U64(m.Count)
	e.Count(len(m.Inputs))
	for i := range m.Inputs {
		m.Inputs[i].encode(e)
	}
	if m.Kind.Writes() {
		m.Output.encode(e)
		m.Halo.encode(e)
	}
}

func (m *RunTask) decode(d *Decoder) {
	m.Job = holo.JobID(d.U64())
	m.Epoch = holo.JobEpoch(d.U64())
	m.Task = holo.TaskID(d.U32())
	m.Attempt = holo.Attempt(d.U32())
	d.Fixed(m.Owner[:])
	d.Fixed(m.Module[:])
	m.Kernel = d.String(MaxFunctionName)
	m.Kind = TaskKind(d.U8())
	d.Valid(m.Kind.Valid(), "kind of task")
	m.Function = d.String(MaxFunctionName)
	m.Params = d.Bytes(MaxParams)
	m.AccBytes = d.U32()
	d.Valid(m.AccBytes <= MaxAcc, "accumulator size")
	m.Gas = holo.Gas(d.U64())
	m.MemoryPages = d.U32()
	m.Length = d.U64()
	m.Extent = d.U64()
	m.First = d.U64()
	m.Count = d.U64()
	m.decodeArrays(d)
	d.Valid(m.shaped(), "range of elements")
}

func (m *RunTask) decodeArrays(d *Decoder) {
	n := d.Count(MaxTaskInputs, 11)
	d.Valid(n > 0, "number of inputs")
	m.Inputs = make([]TaskArray, n)
	for i := range m.Inputs {
		m.Inputs[i].decode(d)
	}
	if m.Kind.Writes() {
		m.Output.decode(d)
		m.Halo = decodeHalo(d)
	}
}

// shaped reports whether the range is one extent of arrays that can be: so a
// node that decoded the message needs no further check of its arithmetic.
func (m *RunTask) shaped() bool {
	for _, a := range m.Inputs { // those of a general task have a geometry of their own
		if m.Kind != TaskGeneral && (holo.Shape{Type: a.Type, Length: m.Length, Extent: m.Extent}).Check() != nil || !a.Type.Valid() {
			return false
		}
	}
	if m.Kind.Writes() && (holo.Shape{Type: m.Output.Type, Length: m.Length, Extent: m.Extent}).Check() != nil {
		return false
	}
	return m.Halo.Valid(m.Length) && (m.Halo.Width == 0 || m.Kind == TaskMap) && m.Extent > 0 && m.First < m.Length && m.First%m.Extent == 0 && m.Count == min(m.Extent, m.Length-m.First)
}

func (m *TaskResult) encode(e *Encoder) {
	e.U64(uint64(m.Job))
	e.U64(uint64(m.Epoch))
	e.U32(uint32(m.Task))
	e.U32(uint32(m.Attempt))
	e.U64(uint64(m.Gas))
	e.U64(m.BytesLocal)
	e.U64(m.BytesMoved)
	e.Bytes(m.Partial)
	m.Said.encode(e)
	e.Bool(m.Failed)
	if m.Failed {
		m.Failure.encode(e)
		return
	}
	m.Receipt.encode(e)
}

func (m *TaskResult) decode(d *Decoder) {
	m.Job = holo.JobID(d.U64())
	m.Epoch = holo.JobEpoch(d.U64())
	m.Task = holo.TaskID(d.U32())
	m.Attempt = holo.Attempt(d.U32())
	m.Gas = holo.Gas(d.U64())
	m.BytesLocal = d.U64()
	m.BytesMoved = d.U64()
	m.Partial = d.Bytes(MaxAcc)
	m.Said.decode(d)
	m.Failed = d.Bool()
	if m.Failed {
		m.Failure.decode(d)
		return
	}
	m.Receipt.decode(d)
}

func (m *CancelTasks) encode(e *Encoder) {
	e.U64(uint64(m.Job))
	e.U64(uint64(m.Epoch))
}

func (m *CancelTasks) decode(d *Decoder) {
	m.Job = holo.JobID(d.U64())
	m.Epoch = holo.JobEpoch(d.U64())
}

func (m *TasksGone) encode(e *Encoder) { e.U32(m.Tasks) }
func (m *TasksGone) decode(d *Decoder) { m.Tasks = d.U32() }

func (m *JobReport) encode(e *Encoder) {
	e.U32(m.Tasks)
	e.U32(m.Committed)
	e.U32(m.Retried)
	e.U32(m.Stolen)
	e.U32(m.Speculated)
	e.U64(uint64(m.Gas))
	e.U64(m.BytesProcessed)
	e.U64(m.BytesMoved)
	e.Count(len(m.Nodes))
	for i := range m.Nodes {
		n := &m.Nodes[i]
		e.Fixed(n.Node[:])
		e.U32(n.Committed)
		e.U32(n.Failed)
		e.U64(uint64(n.Gas))
		e.U64(n.BytesLocal)
		e.U64(n.BytesMoved)
	}
}

func (m *JobReport) decode(d *Decoder) {
	m.Tasks = d.U32()
	m.Committed = d.U32()
	m.Retried = d.U32()
	m.Stolen = d.U32()
	m.Speculated = d.U32()
	m.Gas = holo.Gas(d.U64())
	m.BytesProcessed = d.U64()
	m.BytesMoved = d.U64()
	n := d.Count(MaxReportNodes, 64)
	if n == 0 {
		return
	}
	m.Nodes = make([]NodeReport, n)
	for i := range m.Nodes {
		m.Nodes[i].decode(d)
	}
}

func (n *NodeReport) decode(d *Decoder) {
	d.Fixed(n.Node[:])
	n.Committed = d.U32()
	n.Failed = d.U32()
	n.Gas = holo.Gas(d.U64())
	n.BytesLocal = d.U64()
	n.BytesMoved = d.U64()
}
