package catalog

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/claim"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// longKernel is a kernel of 8 KiB, each time another module under one name: to put
// it again undoes what was put since.
func longKernel(i int) *wire.KernelPut {
	k := wire.KernelRecord{Name: "long", Module: holo.ModuleID{1, byte(i), byte(i >> 8)}, Size: 10}
	for f := range wire.MaxKernelFunctions {
		k.Functions = append(k.Functions, fmt.Sprint(strings.Repeat("f", wire.MaxFunctionName-2), f+10))
	}
	return &wire.KernelPut{Kernel: k}
}

// put puts the long kernels from a number on, under requests of their numbers.
func (w *town) put(from, to int) {
	w.Helper()
	for i := from; i < to; i++ {
		if _, err := w.at(now, fmt.Sprint("long ", i), longKernel(i)); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *town) restored() *town {
	w.Helper()
	again := New(cluster, ownerID(), claim.Reader{})
	if err := again.Restore(w.Snapshot()); err != nil {
		w.Fatal(err)
	}
	return &town{T: w.T, Catalog: again, index: w.index, asks: w.asks}
}

// overfull is more long kernels than whose answers are kept, and fewer than are remembered.
const overfull = MaxLongAnswers>>13 + 100

// However long the answers are, they take no more than their bound, in memory and
// in a snapshot: the oldest give way. Who asks again for one of those gets an error
// that says so, and nothing is carried out twice; short answers are all there.
func TestLongAnswersGiveWayAndNothingIsCarriedOutTwice(t *testing.T) {
	w := settled(t, 2)
	short, err := w.at(now, "short", create("a", 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	w.put(0, overfull)
	if n := len(w.Snapshot()); n > MaxLongAnswers+1<<20 || n < MaxLongAnswers/2 {
		t.Errorf("a snapshot of %d bytes", n)
	}
	for _, voter := range []func() *town{func() *town { return w }, w.restored} {
		w := voter()
		before := w.state()
		if m, err := w.at(now, "short", create("b", 1, 2)); err != nil || !bytes.Equal(wire.Encode(m), wire.Encode(short)) {
			t.Errorf("the short answer: %v %v", m, err)
		}
		for _, i := range []int{0, 50} {
			if m, err := w.at(now, fmt.Sprint("long ", i), longKernel(i)); holo.ReasonOf(err) != ReasonAnswerGone || holo.KindOf(err) != holo.Indeterminate {
				t.Errorf("answer %d, asked again: %v %v", i, m, err)
			}
		}
		last := fmt.Sprint("long ", overfull-1)
		if m, err := w.at(now, last, longKernel(0)); err != nil || m.(*wire.KernelRecord).Module != longKernel(overfull-1).Kernel.Module {
			t.Errorf("the youngest, asked again: %v %v", m, err)
		}
		if !bytes.Equal(before, w.state()) {
			t.Error("what was asked again was carried out again")
		}
	}
}

// A snapshot of before the bound is read, and from the next command on the two
// voters hold the same: who read it, and who came there command by command.
func TestSnapshotWithMoreLongAnswersIsReadAndShortened(t *testing.T) {
	w := settled(t, 2)
	w.put(0, overfull)
	old := w.restored()
	long, order := 0, w.answers.order
	old.answers = newAnswers()
	for i, id := range order {
		k := longKernel(i).Kernel
		k.Owner = principal("maker")
		old.answers.add(wire.Answered{Request: id, Result: wire.Encode(&k)})
		long += len(wire.Encode(&k))
	}
	old = old.restored()
	if n := len(old.Snapshot()); n < long || long <= MaxLongAnswers {
		t.Fatalf("%d bytes of answers in a snapshot of %d", long, n)
	}
	for _, w := range []*town{w, old} {
		w.put(overfull, overfull+1)
	}
	if !bytes.Equal(w.Snapshot(), old.Snapshot()) {
		t.Error("the two went apart")
	}
	for range MaxAnswered { // and all that was counted gives way to short ones
		if _, err := w.at(now, fmt.Sprint("short ", w.index), &wire.ArrayPurge{Array: 1}); err == nil {
			t.Fatal("purged an array that is not there")
		}
	}
	if w.answers.long != 0 || len(w.answers.order) != MaxAnswered {
		t.Errorf("%d bytes are counted of %d short answers", w.answers.long, len(w.answers.order))
	}
}
