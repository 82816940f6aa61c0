package wire

import (
	"reflect"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// aTask is the last, short extent of a map over two arrays.
func aTask() *RunTask {
	return &RunTask{
		Job: 7, Epoch: 1, Task: 2, Attempt: 3, Owner: holo.PrincipalID{6}, Module: holo.ModuleID{1, 2}, Kernel: "flights", Kind: TaskMap, Function: "scale",
		Params: []byte{9}, Gas: 1000, MemoryPages: 16, Length: 5*holo.PageSize + 1, Extent: 2 * holo.PageSize, First: 4 * holo.PageSize,
		Count:  holo.PageSize + 1,
		Inputs: []TaskArray{{Array: 1, Type: holo.I8, Shard: 4}, {Array: 2, Type: holo.F64, Shard: 4}},
		Output: TaskArray{Array: 3, Type: holo.I16, Shard: 300}, Halo: Halo{Width: 3, Edge: EdgeWrap},
	}
}

func TestJobMessagesComeBackWhole(t *testing.T) {
	reduce := aTask()
	reduce.Kind, reduce.Output, reduce.AccBytes, reduce.Halo = TaskReduce, TaskArray{}, MaxAcc, Halo{}
	for _, m := range []Message{
		aTask(), reduce,
		&TaskResult{Job: 1, Epoch: 2, Task: 3, Attempt: 4, Gas: 5, BytesLocal: 6, BytesMoved: 7, Partial: []byte{8}, Said: Said{Lines: []string{"a line", ""}, Lost: 3}, Receipt: testReceipt()},
		func() *Receipt { r := testReceipt(); return &r }(),
		&TaskResult{Job: 1, Failed: true, Failure: Failure{Kind: holo.KernelTrapped, Reason: "out_of_gas", Text: "x"}},
		&CancelTasks{Job: 1, Epoch: 2}, &TasksGone{Tasks: 3},
		&JobReport{Tasks: 1, Committed: 2, Retried: 3, Stolen: 13, Speculated: 14, Gas: 4, BytesProcessed: 5, BytesMoved: 6, Nodes: []NodeReport{{Node: holo.NodeID{7}, Committed: 8, Failed: 9, Gas: 10, BytesLocal: 11, BytesMoved: 12}}},
	} {
		got, err := Decode(Encode(m))
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%T came back as %+v, %v", m, got, err)
		}
	}
}

// A node trusts the arithmetic of a task that it decoded, so all of it is
// checked there.
func TestRunTaskOutOfShapeIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*RunTask){
		"no kind":               func(m *RunTask) { m.Kind = 0 },
		"unknown kind":          func(m *RunTask) { m.Kind = taskKinds },
		"no inputs":             func(m *RunTask) { m.Inputs = nil },
		"too many inputs":       func(m *RunTask) { m.Inputs = make([]TaskArray, MaxTaskInputs+1) },
		"unknown type":          func(m *RunTask) { m.Inputs[1].Type = 99 },
		"unknown output type":   func(m *RunTask) { m.Output.Type = 0 },
		"unknown shard":         func(m *RunTask) { m.Inputs[0].Shard = 9999 },
		"extent of no pages":    func(m *RunTask) { m.Extent = 100 },
		"extent too large":      func(m *RunTask) { m.Extent = 1 << 40 },
		"zero extent":           func(m *RunTask) { m.Extent = 0 },
		"first inside extent":   func(m *RunTask) { m.First++ },
		"first past the end":    func(m *RunTask) { m.First = 6 * holo.PageSize },
		"count past the end":    func(m *RunTask) { m.Count++ },
		"count short":           func(m *RunTask) { m.Count-- },
		"accumulator too large": func(m *RunTask) { m.AccBytes = MaxAcc + 1 },
		"params too large":      func(m *RunTask) { m.Params = make([]byte, MaxParams+1) },
		"halo too wide":         func(m *RunTask) { m.Halo = Halo{MaxHalo + 1, EdgeZero} },
		"halo without edge":     func(m *RunTask) { m.Halo.Edge = 0 },
		"edge without halo":     func(m *RunTask) { m.Halo.Width = 0 },
		"unknown edge":          func(m *RunTask) { m.Halo.Edge = edges },
		"wraps more than all":   func(m *RunTask) { m.Halo.Width, m.Length, m.First, m.Count = 3, 2, 0, 2 },
		"name too long":         func(m *RunTask) { m.Function = string(make([]byte, MaxFunctionName+1)) },
	} {
		m := aTask()
		spoil(m)
		if got, err := Decode(Encode(m)); holo.KindOf(err) != holo.Invalid {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestTaskKindsParseWhatTheyPrint(t *testing.T) {
	for k := TaskKind(0); k < taskKinds+1; k++ {
		if got, ok := ParseTaskKind(k.String()); ok != k.Valid() || ok && got != k {
			t.Errorf("%d prints %s, which parses as %d %v", k, k, got, ok)
		}
	}
}
