package workers

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/holocompute/holocompute/internal/core/handles"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
)

// general is a general task over an array of 64 bits, which counts up by seven. It
// tells what was written.
func general(t *testing.T, function string, elements, budget uint64) (k *Task, written func() [][]byte) {
	t.Helper()
	var out [][]byte
	grant := handles.Grant{Type: holo.F64, Count: elements, Right: handles.Read, Budget: budget}
	write := grant
	write.Right = handles.Write
	read := func(_ context.Context, first uint64, b []byte) error {
		for i := range uint64(len(b) / 8) {
			binary.LittleEndian.PutUint64(b[i*8:], (first+i)*7)
		}
		return nil
	}
	k = &Task{
		Module: sample(t, "tasks"), Kind: module.Task, Function: function, Gas: plenty, Count: elements, Run: elements,
		Handles: []Handle{{Grant: grant, Read: read}, {Grant: write, Write: func(b []byte) { out = append(out, b) }}},
	}
	return k, func() [][]byte { return out }
}

// counter counts what a pool tells it.
type counter struct {
	sync.Mutex
	reasons map[string]int
}

func (c *counter) add(reason string) {
	c.Lock()
	defer c.Unlock()
	c.reasons[reason]++
}

// A task in a worker reads and writes through its node, over many questions, and
// what it wrote is handed over once, with canonical NaNs.
func TestATaskReachesItsHandlesThroughItsNode(t *testing.T) {
	const n = 300_001
	k, written := general(t, "reverse", n, n*8)
	read := k.Handles[0].Read
	k.Handles[0].Read = func(ctx context.Context, first uint64, b []byte) error {
		err := read(ctx, first, b)
		if first == 0 {
			binary.LittleEndian.PutUint64(b, math.Float64bits(math.NaN())|1<<63|77) // of some processor
		}
		return err
	}
	if _, err := pool(t, Options{}).Run(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if len(written()) != 1 || len(written()[0]) != n*8 {
		t.Fatalf("handed over %d times", len(written()))
	}
	for i := range uint64(n) {
		want := (n - 1 - i) * 7
		if i == n-1 {
			want = 0x7ff8000000000000
		}
		if got := binary.LittleEndian.Uint64(written()[0][i*8:]); got != want {
			t.Fatalf("element %d is %x, want %x", i, got, want)
		}
	}
}

// What an attempt wrote is not there unless it succeeds.
func TestATaskThatFailsHasWrittenNothing(t *testing.T) {
	k, written := general(t, "late", 4, 32)
	if _, err := pool(t, Options{}).Run(t.Context(), k); holo.ReasonOf(err) != sandbox.KernelError || !strings.HasSuffix(err.Error(), "status 4") || len(written()) != 0 {
		t.Errorf("%v, wrote %x", err, written())
	}
}

// A worker that was taken over asks for other tasks' handles, beyond ranges and
// budgets: the node refuses each, moves nothing, counts it, and goes on.
func TestForgedAsksOfAWorkerAreRefusedAndCounted(t *testing.T) {
	c := &counter{reasons: map[string]int{}}
	p := hostile(t)
	p.opt.Count = c.add
	k, written := general(t, "forge", 4, 31)
	reads := 0
	read := k.Handles[0].Read
	k.Handles[0].Read = func(ctx context.Context, first uint64, b []byte) error {
		if reads++; first != 3 || len(b) != 8 {
			t.Errorf("%d bytes from %d on are read", len(b), first)
		}
		return read(ctx, first, b)
	}
	_, err := p.Run(t.Context(), k)
	if want := "[-1 -1 -1 -2 -2 -3 -3 -3 -4 -4 -5 -5 0 0]"; holo.ReasonOf(err) != sandbox.KernelError || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	want := map[string]int{"handle_unknown": 3, "handle_right": 2, "handle_range": 3, "handle_budget": 2, "handle_length": 2}
	if !maps.Equal(c.reasons, want) || reads != 1 || len(written()) != 0 {
		t.Errorf("counted %v, want %v; %d reads, wrote %x", c.reasons, want, reads, written())
	}
	if _, err := p.Run(t.Context(), k); holo.ReasonOf(err) != sandbox.KernelError {
		t.Errorf("then: %v", err)
	}
}

// A worker that asks out of turn, what is no question, or more often than a kernel
// can, is killed and counted.
func TestWorkerThatAsksOutOfTurnIsKilledAndCounted(t *testing.T) {
	for _, what := range []string{"asks-flood", "asks-replayed", "asks-trailing", "asks-short", "asks-unknown", "asks-one"} {
		c := &counter{reasons: map[string]int{}}
		p := hostile(t)
		p.opt.Count = c.add
		k, _ := general(t, what, 4, 32)
		switch what {
		case "asks-flood":
			k.Gas = 1 << 31 // and so the time for the questions that are too many
		case "asks-one": // a good question of a task that has no handles
			k.Handles = nil
			fallthrough
		default:
			k.Gas = 1 // and so little time
		}
		_, err := p.Run(t.Context(), k)
		if holo.KindOf(err) != holo.Corrupt || holo.ReasonOf(err) != WorkerFault || c.reasons[WorkerFault] != 1 {
			t.Errorf("%s: %v, counted %v", what, err, c.reasons)
		}
	}
}

// What keeps the node from reading ends the task, by the kind that it has.
func TestAReadThatFailsEndsTheTask(t *testing.T) {
	k, written := general(t, "reverse", 4, 32)
	k.Handles[0].Read = func(context.Context, uint64, []byte) error {
		return holo.Refuse(holo.Unavailable, "gone", "its home is gone")
	}
	p := pool(t, Options{})
	if _, err := p.Run(t.Context(), k); holo.KindOf(err) != holo.Unavailable || holo.ReasonOf(err) != "gone" || len(written()) != 0 {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	k.Handles[0].Read = func(ctx context.Context, _ uint64, _ []byte) error { cancel(); <-ctx.Done(); return ctx.Err() }
	if _, err := p.Run(ctx, k); holo.KindOf(err) != holo.Cancelled {
		t.Error(err)
	}
	again, wrote := general(t, "reverse", 4, 32)
	if _, err := p.Run(t.Context(), again); err != nil || !slices.ContainsFunc(wrote(), func(b []byte) bool { return bytes.HasPrefix(b, []byte{21}) }) {
		t.Errorf("then: %v, %s", err, fmt.Sprint(wrote()))
	}
}

// What an attempt holds back is bounded.
func TestWhatATaskWritesIsBounded(t *testing.T) {
	p := pool(t, Options{})
	for _, n := range []uint64{maxWritten/8 + 1, 1 << 62} {
		k, _ := general(t, "late", n, 8)
		k.Count, k.Run = 1, 1
		if _, err := p.Run(t.Context(), k); holo.KindOf(err) != holo.Invalid {
			t.Errorf("%d elements: %v", n, err)
		}
	}
}

func TestQuestionsReadBackAndOthersAreRefused(t *testing.T) {
	for _, a := range forged {
		if got, ok := decodeAsk(encodeAsk(a)); !ok || got != a {
			t.Errorf("%+v reads back as %+v", a, got)
		}
	}
	for _, b := range [][]byte{nil, {1}, append(encodeAsk(forged[0]), 0), encodeAsk(handles.Ask{}), encodeAsk(handles.Ask{Op: 4})} {
		if _, ok := decodeAsk(b); ok {
			t.Errorf("%x is a question", b)
		}
	}
}
