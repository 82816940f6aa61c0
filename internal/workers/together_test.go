package workers

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/internal/wire"
)

// step is a task that adds a count of n to one of i.
func step(t *testing.T, i, n int) *Task {
	t.Helper()
	acc := binary.LittleEndian.AppendUint64(nil, uint64(i))
	return &Task{
		Module: sample(t, "basic"), Kind: module.Combine, Function: "histogram", Gas: plenty, Acc: append(acc, make([]byte, 16)...), Said: new(wire.Said),
		Inputs: []Input{{Type: holo.U8, Bytes: 24, Read: func(b []byte, _ uint64) { clear(b); binary.LittleEndian.PutUint64(b, uint64(n)) }}},
	}
}

// Tasks that go to a worker together give what each gives alone, for the same gas, though
// they are more than one trip has room for.
func TestTasksTogetherGiveWhatEachGivesAlone(t *testing.T) {
	p := pool(t, Options{})
	var tasks []*Task
	var want []sandbox.Result
	for i := range 2*mostTogether + 1 {
		alone := step(t, i, 1000)
		r, err := p.Run(t.Context(), alone)
		if err != nil {
			t.Fatal(err)
		}
		want, tasks = append(want, r), append(tasks, step(t, i, 1000))
	}
	done, _, err := p.Together(t.Context(), tasks)
	if err != nil || !reflect.DeepEqual(done, want) {
		t.Fatalf("%v, or other results", err)
	}
	for i, k := range tasks {
		if have := binary.LittleEndian.Uint64(k.Acc); have != uint64(i+1000) {
			t.Errorf("task %d made %d", i, have)
		}
	}
}

// The same of maps and reduces over one page each: what they write is their own.
func TestTasksOverPagesTogetherGiveWhatEachGivesAlone(t *testing.T) {
	p := pool(t, Options{})
	const n, each = 2*mostTogether + 1, holo.PageSize / 8
	for _, make := range []func(testing.TB, [][]byte, [][]byte) *Task{sumTask, scaleTask} {
		var tasks [2][]*Task
		var outs [2][][]byte
		for side := range tasks {
			for i := range uint64(n) {
				in := f64s(each, func(k uint64) uint64 { return 0x3ff0000000000000 + i*each + k })
				out := f64s(each, func(uint64) uint64 { return 0 })
				k := make(t, in, out)
				k.First = i * each
				tasks[side], outs[side] = append(tasks[side], k), append(outs[side], out[0])
			}
		}
		var want []sandbox.Result
		for _, k := range tasks[0] {
			r, err := p.Run(t.Context(), k)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, r)
		}
		done, _, err := p.Together(t.Context(), tasks[1])
		if err != nil || !reflect.DeepEqual(done, want) || !reflect.DeepEqual(outs[0], outs[1]) {
			t.Fatalf("%s: %v, or other results", tasks[0][0].Function, err)
		}
		for i := range want {
			if !bytes.Equal(tasks[0][i].Acc, tasks[1][i].Acc) {
				t.Errorf("task %d has another accumulator", i)
			}
		}
	}
}

// A task that fails ends those after it, of this trip and of the next: they did not run,
// and nobody's accumulator but of those before it has changed.
func TestTaskThatFailsEndsThoseAfterIt(t *testing.T) {
	p := pool(t, Options{})
	const bad = 5
	var tasks []*Task
	for i := range mostTogether + 3 {
		tasks = append(tasks, step(t, i, 1000))
	}
	tasks[bad].Gas = 50
	done, failed, err := p.Together(t.Context(), tasks)
	if len(done) != bad || failed.Gas <= 50 || holo.ReasonOf(err) != sandbox.OutOfGas {
		t.Fatalf("%d done, %+v, %v", len(done), failed, err)
	}
	for i, k := range tasks {
		want := uint64(i)
		if i < bad {
			want += 1000
		}
		if have := binary.LittleEndian.Uint64(k.Acc); have != want {
			t.Errorf("task %d has %d, want %d", i, have, want)
		}
	}
}

// No process holds the data of two owners: tasks of two do not go together.
func TestTasksOfTwoOwnersDoNotGoTogether(t *testing.T) {
	p := pool(t, Options{})
	for _, change := range []func(*Task){
		func(k *Task) { k.Owner = holo.PrincipalID{1} },
		func(k *Task) { k.Module = sample(t, "flights") },
		func(k *Task) { k.Count, k.Run = 2, 1 },
		func(k *Task) { k.Handles = make([]Handle, 1) },
	} {
		tasks := []*Task{step(t, 1, 1), step(t, 2, 1)}
		change(tasks[1])
		if done, _, err := p.Together(t.Context(), tasks); holo.KindOf(err) != holo.Invalid || len(done) != 0 {
			t.Errorf("%d done, %v", len(done), err)
		}
	}
}

func TestSeveralRequestsAndAnswersComeBackWhole(t *testing.T) {
	asked := []*batch{{function: "a", gas: 1}, {function: "b", inputs: []view{{holo.U8, place{1, 2}}}}}
	if got, ok := decodeBatches(encodeBatches(asked)); !ok || !reflect.DeepEqual(got, asked) {
		t.Errorf("%+v comes back as %+v", asked, got)
	}
	good, bad := answer{gas: 7}.encode(), answer{err: holo.Refuse(holo.KernelTrapped, sandbox.Trap, "x")}.encode()
	both := appendLong(appendLong(nil, good), bad)
	if list, ok := decodeAnswers(both); !ok || len(list) != 2 || list[0].gas != 7 || list[1].err == nil {
		t.Errorf("%+v, %v", list, ok)
	}
	for _, lie := range [][]byte{nil, both[:len(both)-1], append(bytes.Clone(both), 0), appendLong(appendLong(nil, bad), good), appendLong(nil, nil)} {
		if list, ok := decodeAnswers(lie); ok {
			t.Errorf("%x is taken for %+v", lie, list)
		}
	}
}
