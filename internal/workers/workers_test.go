package workers

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/kernels"
)

func pool(t *testing.T, o Options) *Pool {
	t.Helper()
	p := New(o)
	t.Cleanup(p.Close)
	return p
}

// attackTask is what every hostile kernel takes.
func attackTask(m *module.Module, gas holo.Gas) *Task {
	return &Task{
		Module: m, Kind: module.Reduce, Function: "attack", Gas: gas, MemoryPages: 300, Count: 1, Run: 1, Acc: make([]byte, 64),
		Inputs: []Input{{Type: holo.I64, Read: func(b []byte, _ uint64) { clear(b) }}},
	}
}

// The hostile kernels of mission row EX-2 stop in a worker where they stop in
// this process, with the same words, ten times out of ten.
func TestHostileKernelsStopInAWorkerAtTheSameGas(t *testing.T) {
	p := pool(t, Options{})
	for _, k := range kernels.Hostile() {
		m := sample(t, k.Name)
		res, err := inProcess(t, m)(t.Context(), attackTask(m, 3_000_000))
		want := fmt.Sprintf("%d gas, %d pages, %s: %v", res.Gas, res.PeakPages, holo.ReasonOf(err), err)
		for range 10 {
			res, err := p.Run(t.Context(), attackTask(m, 3_000_000))
			if got := fmt.Sprintf("%d gas, %d pages, %s: %v", res.Gas, res.PeakPages, holo.ReasonOf(err), err); got != want || err == nil {
				t.Fatalf("%s: %s, in this process %s", k.Name, got, want)
			}
		}
	}
}

// tasks are a task of every kind of shape: elements of several sizes, a batch
// and many, ends that are not full.
func tasks(t *testing.T, out [][]byte) map[string]*Task {
	f32 := func(b []byte, from uint64) {
		for i := 0; i+4 <= len(b); i += 4 {
			binary.LittleEndian.PutUint32(b[i:], math.Float32bits(float32(math.Sin(float64(from/4+uint64(i/4))))))
		}
	}
	i8 := func(b []byte, from uint64) {
		for i := range b {
			b[i] = byte(from + uint64(i)*3)
		}
	}
	_, write := paged(out)
	basic := sample(t, "basic")
	factor := binary.LittleEndian.AppendUint32(nil, math.Float32bits(1.5))
	limits := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, math.Float64bits(-1)), math.Float64bits(1))
	const n, run = 3_000_001, holo.PageSize / 4
	return map[string]*Task{
		"scale": {Module: basic, Kind: module.Map, Function: "scale", Count: n, Run: run, Params: factor,
			Inputs: []Input{{Type: holo.F32, Read: f32}}, Outputs: []Output{{Type: holo.F32, Write: write}}},
		"add": {Module: basic, Kind: module.Map, Function: "add", First: 77, Count: n, Run: holo.PageSize,
			Inputs: []Input{{Type: holo.I8, Read: i8}, {Type: holo.I8, Read: i8}}, Outputs: []Output{{Type: holo.I8, Write: write}}},
		"one": {Module: basic, Kind: module.Map, Function: "scale", First: 1 << 40, Count: 1, Run: run, Params: factor,
			Inputs: []Input{{Type: holo.F32, Read: f32}}, Outputs: []Output{{Type: holo.F32, Write: write}}},
		"stats": {Module: basic, Kind: module.Reduce, Function: "stats", First: 5, Count: n, Run: run, Acc: make([]byte, 120),
			Inputs: []Input{{Type: holo.F32, Read: f32}}},
		"scale-large": {Module: basic, Kind: module.Map, Function: "scale", First: 3, Count: n, Run: 16 * run, Params: factor,
			Inputs: []Input{{Type: holo.F32, Read: f32}}, Outputs: []Output{{Type: holo.F32, Write: write}}},
		"histogram": {Module: basic, Kind: module.Reduce, Function: "histogram", Count: n, Run: 16 * run, Params: limits, Acc: make([]byte, 8*66),
			Inputs: []Input{{Type: holo.F32, Read: f32}}},
		"combine": {Module: basic, Kind: module.Combine, Function: "stats", Acc: slices.Repeat([]byte{0}, 120),
			Inputs: []Input{{Type: holo.U8, Bytes: 120, Read: func(b []byte, _ uint64) { clear(b); binary.LittleEndian.PutUint64(b, 9) }}}},
	}
}

// A worker gives the bytes that this process gives, for the same gas, to the
// unit: one unit less is too little.
func TestResultsAndGasAreThoseOfThisProcess(t *testing.T) {
	p := pool(t, Options{})
	out := f64s(3_000_001/2+1, func(uint64) uint64 { return 0 })
	wipe := func() []byte { b := bytes.Join(out, nil); zero(out); return b } // what was written
	for name, k := range tasks(t, out) {
		k.Gas = plenty
		acc := bytes.Clone(k.Acc)
		res, err := inProcess(t, k.Module)(t.Context(), k)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want, wantAcc := wipe(), bytes.Clone(k.Acc)
		for _, spare := range []holo.Gas{plenty, res.Gas, res.Gas - 1} {
			copy(k.Acc, acc)
			k.Gas = spare
			got, err := p.Run(t.Context(), k)
			if spare < res.Gas {
				if holo.ReasonOf(err) != sandbox.OutOfGas || !bytes.Equal(k.Acc, acc) {
					t.Errorf("%s with %d of %d gas: %v, accumulator %x", name, spare, res.Gas, err, k.Acc)
				}
				continue
			}
			if err != nil || got != res || !bytes.Equal(wipe(), want) || !bytes.Equal(k.Acc, wantAcc) {
				t.Errorf("%s with %d gas: %+v, %v, in this process %+v; or other bytes", name, spare, got, err, res)
			}
		}
		wipe()
	}
}

func zero(pages [][]byte) {
	for _, p := range pages {
		clear(p)
	}
}

// Limits are exact to a page in a worker too.
func TestMemoryOfAWorkersKernelIsLimitedToThePage(t *testing.T) {
	p := pool(t, Options{})
	k := tasks(t, f64s(1, func(uint64) uint64 { return 0 }))["one"]
	k.Gas = plenty
	res, err := p.Run(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	k.MemoryPages = res.PeakPages
	if _, err := p.Run(t.Context(), k); err != nil {
		t.Errorf("with %d pages: %v", k.MemoryPages, err)
	}
	k.MemoryPages--
	if _, err := p.Run(t.Context(), k); holo.ReasonOf(err) != sandbox.OutOfMemory {
		t.Errorf("with %d pages: %v", k.MemoryPages, err)
	}
}

// only is the process of a pool that has one, idle.
func only(t *testing.T, p *Pool) *process {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mu.idle) != 1 {
		t.Fatalf("%d idle workers", len(p.mu.idle))
	}
	return p.mu.idle[0]
}

// A process serves one owner and is killed before another is served, where no
// more may run; the same owner gets it again.
func TestOwnersNeverShareAProcess(t *testing.T) {
	p := pool(t, Options{Max: 1})
	k := attackTask(sample(t, "loop"), 1000)
	pids := map[holo.PrincipalID]int{}
	var last *process
	for _, owner := range []holo.PrincipalID{{1}, {1}, {2}, {1}} {
		k.Owner = owner
		if _, err := p.Run(t.Context(), k); holo.ReasonOf(err) != sandbox.OutOfGas {
			t.Fatal(err)
		}
		w := only(t, p)
		if *w.owner != owner {
			t.Errorf("owner %x ran in a process of %x", owner[0], w.owner[0])
		}
		if same := last != nil && *last.owner == owner; same != (w == last) {
			t.Errorf("owner %x: process %d after %d of owner %x", owner[0], w.os.Pid, last.os.Pid, last.owner[0])
		}
		if w.owner == &k.Owner {
			t.Fatal("whose a process is changes with the task")
		}
		if last != nil && last != w && last.alive() {
			t.Error("the other owner's process lives on")
		}
		pids[owner], last = w.os.Pid, w
	}
}

// endless starts a task that never ends, and gives its process and its end.
func endless(t *testing.T, ctx context.Context, p *Pool) (*process, <-chan error) {
	t.Helper()
	warm := attackTask(sample(t, "loop"), 1000)
	if _, err := p.Run(t.Context(), warm); holo.ReasonOf(err) != sandbox.OutOfGas {
		t.Fatal(err)
	}
	w, ended, begun := only(t, p), make(chan error, 1), make(chan struct{})
	k := attackTask(warm.Module, sandbox.MaxGas)
	k.Inputs[0].Read = func([]byte, uint64) { close(begun) }
	go func() { _, err := p.Run(ctx, k); ended <- err }()
	<-begun
	return w, ended
}

// A worker that is killed costs its task, with an error that has it tried
// again, and nothing else: the next task runs.
func TestKilledWorkerCostsItsTaskAndNothingElse(t *testing.T) {
	counted := make(chan string, 1)
	p := pool(t, Options{Max: 2, Count: func(reason string) { counted <- reason }})
	w, ended := endless(t, t.Context(), p)
	if err := w.os.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; holo.ReasonOf(err) != WorkerDied || holo.KindOf(err) != holo.Indeterminate || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("%v", err)
	}
	if reason := <-counted; reason != WorkerDied {
		t.Errorf("counted as %s", reason)
	}
	if _, err := p.Run(t.Context(), attackTask(sample(t, "loop"), 1000)); holo.ReasonOf(err) != sandbox.OutOfGas {
		t.Errorf("the next task: %v", err)
	}
}

// A worker that dies while nobody uses it costs nothing at all.
func TestWorkerThatDiesIdleIsReplaced(t *testing.T) {
	p := pool(t, Options{Max: 1})
	for range 3 {
		if _, err := p.Run(t.Context(), attackTask(sample(t, "loop"), 1000)); holo.ReasonOf(err) != sandbox.OutOfGas {
			t.Fatal(err)
		}
		w := only(t, p)
		w.kill()
		<-w.ended
	}
}

// Cancelling ends a kernel at its next yield, and the process is used again.
func TestCancellingEndsAKernelAndKeepsItsWorker(t *testing.T) {
	p := pool(t, Options{Max: 1})
	gaveUp := errors.New("gave up")
	ctx, cancel := context.WithCancelCause(t.Context())
	w, ended := endless(t, ctx, p)
	cancel(gaveUp)
	if err := <-ended; holo.KindOf(err) != holo.Cancelled || !errors.Is(err, gaveUp) {
		t.Errorf("%v", err)
	}
	if w.alive() { // a busy machine may have made it late
		if _, err := p.Run(t.Context(), attackTask(sample(t, "loop"), 1000)); holo.ReasonOf(err) != sandbox.OutOfGas {
			t.Errorf("the next task: %v", err)
		}
	}
}

// A kernel that runs on after the deadline that its gas stands for is killed,
// though its gas would last for years: what the engine or a broken meter lets
// through ends here.
func TestDeadlineKillsWhatGasDoesNotStop(t *testing.T) {
	p := New(Options{Max: 1})
	p.wall = func(sandbox.EngineKind, holo.Gas) time.Duration { return 300 * time.Millisecond }
	t.Cleanup(p.Close)
	w, ended := endless(t, t.Context(), p)
	begun := time.Now()
	err := <-ended
	t.Logf("killed %s after the deadline", time.Since(begun)-300*time.Millisecond)
	if holo.KindOf(err) != holo.KernelTrapped || holo.ReasonOf(err) != WallClock || !strings.Contains(err.Error(), "red_attack") {
		t.Errorf("%v", err)
	}
	if <-w.ended; w.how != "signal: killed" {
		t.Errorf("its process: %s", w.how)
	}
}

func TestDeadlinesFollowGas(t *testing.T) {
	for _, c := range []struct {
		engine sandbox.EngineKind
		gas    holo.Gas
		want   time.Duration
	}{
		{sandbox.Compiler, 0, wallBase}, {sandbox.Compiler, 100e9, wallBase + 5000*time.Second}, {sandbox.Compiler, sandbox.MaxGas, wallMost},
		{sandbox.Interpreter, 1e9, wallBase + 5000*time.Second}, {sandbox.Interpreter, math.MaxUint64, wallMost},
	} {
		if got := wall(c.engine, c.gas); got != c.want {
			t.Errorf("%d gas by the %s: %s, want %s", c.gas, c.engine, got, c.want)
		}
	}
}

// At most Max tasks run at once; the others wait, and leave when they want to.
func TestWorkersAreBounded(t *testing.T) {
	p := pool(t, Options{Max: 1})
	ctx, cancel := context.WithCancel(t.Context())
	_, ended := endless(t, ctx, p)
	waiting, leave := context.WithCancel(t.Context())
	leave()
	if _, err := p.Run(waiting, attackTask(sample(t, "loop"), 1000)); holo.KindOf(err) != holo.Cancelled {
		t.Errorf("a task beyond the bound: %v", err)
	}
	cancel()
	<-ended
	if s, err := p.State(t.Context()); err != nil || s.Running > 1 || s.WorkerBytes < MemoryBytes {
		t.Errorf("%+v, %v", s, err)
	}
}

// await looks until something holds, or the test's patience ends.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		}
	}
}

func TestTaskThatDoesNotFitIsRefused(t *testing.T) {
	p := pool(t, Options{})
	k := attackTask(sample(t, "loop"), 1000)
	for name, change := range map[string]func(*Task){
		"calls of nothing":  func(k *Task) { k.Run = 0 },
		"calls too long":    func(k *Task) { k.Run = regionBytes },
		"an accumulator":    func(k *Task) { k.Acc = make([]byte, regionBytes) },
		"a comb's other":    func(k *Task) { k.Inputs = []Input{{Type: holo.U8, Bytes: regionBytes}} },
		"longer than bytes": func(k *Task) { k.Run = 1 << 62 },
	} {
		c := *k
		change(&c)
		if _, err := p.Run(t.Context(), &c); holo.KindOf(err) != holo.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClosedPoolRunsNothing(t *testing.T) {
	p := New(Options{})
	p.Close()
	p.Close()
	if _, err := p.Run(t.Context(), attackTask(sample(t, "loop"), 1)); holo.KindOf(err) != holo.Unavailable && holo.KindOf(err) != holo.Cancelled {
		t.Errorf("%v", err)
	}
}
