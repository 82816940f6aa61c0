// Package handles decides what a general task may reach: arrays behind handles,
// small numbers that its job gave it. There is no way to name an array.
//
// The one idea is a table of grants, each an array's range of elements, one right
// and a number of bytes, which answers each question of a kernel with a status
// before a byte is moved. What is not granted is refused and counted. The package
// moves nothing itself: who asks the table has the bytes. It is pure, and knows
// nothing of kernels. It follows research/wasm, section 6.2.
package handles

import "github.com/holocompute/holocompute/internal/holo"

// Limits of a table. A transfer fits into the place that a worker shares with its
// node; the asks of a task bound what a flood of refusals costs.
const (
	MaxGrants = 16      // of a task, as many as a call has views
	MaxBytes  = 1 << 20 // of one transfer
	MaxAsks   = 1 << 16 // of a task: 64 GiB in the largest transfers
)

// Right is what a grant allows. A handle reads or writes and never both, so that
// no task sees its own writes, which nobody has taken yet.
type Right uint8

// The rights. The zero Right allows nothing.
const (
	Read Right = iota + 1
	Write
)

// Grant is what a handle stands for.
type Grant struct {
	Array        holo.ArrayID
	Type         holo.ElementType
	First, Count uint64 // elements of the array
	Right        Right
	Budget       uint64 // bytes that may be moved through the handle
}

// Op is what is asked.
type Op uint8

// The questions of a kernel.
const (
	Length  Op = iota + 1 // how many elements the handle has
	ReadOp                // fill the kernel's memory with elements
	WriteOp               // take elements from the kernel's memory
)

// Ask is one question. Offset counts elements from the first of the grant.
type Ask struct {
	Op     Op
	Handle uint32
	Offset uint64
	Bytes  uint32
}

// Status is the answer to a kernel, as ABI holo/1 has it. It is 0 for done.
type Status int32

// The statuses.
const (
	Done      Status = 0
	NoHandle  Status = -1 // the task has no such handle
	NoRight   Status = -2 // the handle is for the other direction
	BadRange  Status = -3 // elements that the grant does not have
	NoBudget  Status = -4 // more bytes than the grant has left
	BadLength Status = -5 // no whole elements, none, or more than MaxBytes
)

// Reasons that refusals are counted by.
const (
	UnknownHandle = "handle_unknown"
	WrongRight    = "handle_right"
	OutOfRange    = "handle_range"
	OverBudget    = "handle_budget"
	WrongLength   = "handle_length"
)

var reasons = map[Status]string{NoHandle: UnknownHandle, NoRight: WrongRight, BadRange: OutOfRange, NoBudget: OverBudget, BadLength: WrongLength}

// Reason is what a refusal is counted by, "" for Done.
func (s Status) Reason() string { return reasons[s] }

// Table is the grants of one attempt at a task. It belongs to who runs the
// attempt, and ends with it. The zero Table grants nothing.
type Table struct {
	grants []Grant
	left   []uint64 // of each budget
	asks   int
}

// New makes a table of grants, handle 0 the first. It refuses those that are none:
// a type or right that is not known, a range of more than 2^62 elements or that ends beyond 2^64, too many.
func New(grants []Grant) (*Table, error) {
	if len(grants) > MaxGrants {
		return nil, holo.Errorf(holo.Invalid, "give %d handles to a task: at most %d", len(grants), MaxGrants)
	}
	t := &Table{grants: grants, left: make([]uint64, len(grants))}
	for i, g := range grants {
		if !g.Type.Valid() || g.Right != Read && g.Right != Write || g.Count > 1<<62 || g.First+g.Count < g.First {
			return nil, holo.Errorf(holo.Invalid, "give handle %d to a task: type %d, right %d, %d elements from %d on", i, g.Type, g.Right, g.Count, g.First)
		}
		t.left[i] = g.Budget
	}
	return t, nil
}

// Flooded counts a question, and reports whether the task has asked more than
// MaxAsks: whoever does is ended.
func (t *Table) Flooded() bool {
	t.asks++
	return t.asks > MaxAsks
}

// Decide answers a question: the number of elements for Length, else a status.
// What is done has been taken from the budget; what is refused takes nothing.
func (t *Table) Decide(a Ask) (elements uint64, s Status) {
	if uint64(a.Handle) >= uint64(len(t.grants)) {
		return 0, NoHandle
	}
	g := t.grants[a.Handle]
	if a.Op == Length {
		return g.Count, Done
	}
	if s = g.allows(a, t.left[a.Handle]); s == Done {
		t.left[a.Handle] -= uint64(a.Bytes)
	}
	return 0, s
}

// allows compares a transfer with the grant, of whose budget so much is left.
func (g Grant) allows(a Ask, left uint64) Status {
	size, bytes := g.Type.Size(), uint64(a.Bytes)
	switch {
	case (a.Op == ReadOp) != (g.Right == Read):
		return NoRight
	case bytes == 0 || bytes > MaxBytes || bytes%size != 0:
		return BadLength
	case a.Offset > g.Count || bytes/size > g.Count-a.Offset:
		return BadRange
	case bytes > left:
		return NoBudget
	}
	return Done
}
