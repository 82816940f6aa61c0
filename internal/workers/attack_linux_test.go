package workers

import (
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/holocompute/holocompute/internal/core/joblog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/internal/wire"
)

// hostile is a pool whose workers were taken over from the start.
func hostile(t *testing.T) *Pool {
	t.Helper()
	p := New(Options{})
	p.argv = hostileName
	t.Cleanup(p.Close)
	return p
}

// order is a task that tells a hostile worker what to do.
func order(t *testing.T, what, argument string) *Task {
	t.Helper()
	return &Task{
		Module: sample(t, "basic"), Kind: module.Map, Function: what, Gas: 1e9, Count: 1, Run: 1, Params: []byte(argument),
		Outputs: []Output{{Type: holo.F64, Write: func([]byte, uint64) {}}},
	}
}

// control does the same in a process that nothing holds.
func control(t *testing.T, what, argument string) error {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", what, argument)
	cmd.Args[0] = controlName
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// What code that broke out of the engine could try: each attempt ends its
// process, or is refused, and the node goes on. The control shows that the
// attempt is a real one: outside it succeeds.
func TestWorkerThatWasTakenOverReachesNothing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	secret := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	victim := exec.Command("sleep", "600") // stands for any other process
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = victim.Process.Kill(); _ = victim.Wait() }()
	pid, node := fmt.Sprint(victim.Process.Pid), fmt.Sprint(os.Getpid())
	p := hostile(t)
	for _, c := range []struct{ what, argument, outside string }{ // outside: the argument of the control
		{"open", secret, secret}, {"open", "/etc/passwd", "/etc/passwd"}, {"create", secret + "2", secret + "3"},
		{"connect", listener.Addr().String(), listener.Addr().String()}, {"socket", "", ""},
		{"execve", "/bin/true", "/bin/true"}, {"execve", "/proc/self/exe", "/bin/true"}, {"fork", "", ""},
		{"ptrace", node, pid}, {"kill", node, pid}, {"memory", node, pid}, {"vmread", node, pid}, {"kill", "-1", pid},
		{"memfd", "", ""}, {"writable_code", "", ""}, {"shared_memory", "", ""},
		{"hoard", "10", "10"},
	} {
		t.Run(c.what+" "+filepath.Base(c.argument), func(t *testing.T) {
			if err := control(t, c.what, c.outside); err != nil {
				t.Fatalf("outside: %v", err)
			}
			_, err := p.Run(t.Context(), order(t, c.what, c.argument))
			switch reason := holo.ReasonOf(err); reason {
			case ForbiddenCall, sandbox.KernelError: // killed for it; or refused, which the worker told
				t.Log(err)
			default:
				t.Errorf("%v (%s): it could", err, reason)
			}
		})
	}
	if _, err := os.Stat(secret + "2"); err == nil {
		t.Error("a file was made")
	}
}

// What a worker is born with holds without what it takes from itself: files, the
// network and other processes are out of reach were there no filter at all.
func TestWorkerIsBornConfined(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p := hostile(t)
	p.argv = halfName
	node := fmt.Sprint(os.Getpid())
	for _, c := range [][2]string{
		{"open", secret}, {"open", "/etc/passwd"}, {"open", "/proc/self/environ"}, {"create", secret + "2"}, {"connect", listener.Addr().String()},
		{"datagram", listener.Addr().String()}, {"execve", "/bin/true"}, {"ptrace", node}, {"kill", node}, {"memory", node}, {"vmread", node}, {"mount", ""},
	} {
		if _, err := p.Run(t.Context(), order(t, c[0], c[1])); holo.ReasonOf(err) != sandbox.KernelError {
			t.Errorf("%s %s: %v", c[0], c[1], err)
		}
	}
}

// A module that crashes the compiler, or has it take all memory, is refused for
// good after a second try, and the next module compiles.
func TestModuleThatCrashesTheCompilerIsRefused(t *testing.T) {
	p := hostile(t)
	k := order(t, "inherited", "")
	k.Module = sample(t, "pingpong")
	if _, err := p.Run(t.Context(), k); holo.KindOf(err) != holo.Invalid || holo.ReasonOf(err) != CompileMemory {
		t.Errorf("%v", err)
	}
	if p.mu.started != 2 {
		t.Errorf("%d processes were started", p.mu.started)
	}
	if _, err := p.Run(t.Context(), order(t, "inherited", "")); holo.ReasonOf(err) != sandbox.Trap {
		t.Errorf("the next: %v", err)
	}
}

// Namespaces, io_uring and the like need no control: what matters is that the
// call ends the process.
func TestUnknownSystemCallsEndTheProcess(t *testing.T) {
	p := hostile(t)
	for _, what := range []string{"mount", "io_uring"} {
		if _, err := p.Run(t.Context(), order(t, what, "")); holo.ReasonOf(err) != ForbiddenCall {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A worker that lies on the pipe is killed; the task fails with a typed error
// that can be tried again; the next task gets another worker.
func TestWorkerThatLiesIsKilledAndCounted(t *testing.T) {
	counted := map[string]int{}
	p := New(Options{Max: 1, Count: func(reason string) { counted[reason]++ }})
	p.argv = hostileName
	t.Cleanup(p.Close)
	want := map[string]int{}
	for what, reason := range map[string]string{
		"garbage": WorkerFault, "overlong": WorkerFault, "endless": WorkerFault, "trailing": WorkerFault, "replayed": WorkerFault,
		"gas": WorkerFault, "cause": WorkerFault, "text": WorkerFault,
		"half": WorkerDied, "crash": WorkerDied, "exit": WorkerDied, "segv": ForbiddenCall,
		"silent": WallClock, "chatter": WorkerDied,
	} {
		p.wall = wall
		if reason == WallClock {
			p.wall = func(sandbox.EngineKind, holo.Gas) time.Duration { return 300 * time.Millisecond }
		}
		_, err := p.Run(t.Context(), order(t, what, ""))
		if holo.ReasonOf(err) != reason || !strings.Contains(fmt.Sprint(err), "function map_"+what) {
			t.Errorf("%s: %v, want %s with the kernel's name", what, err, reason)
		}
		if kind := holo.KindOf(err); reason != WallClock && kind != holo.Indeterminate && kind != holo.Corrupt {
			t.Errorf("%s: kind %s: it would not be tried again", what, kind)
		}
		want[reason]++
	}
	for reason, n := range want {
		if counted[reason] != n {
			t.Errorf("%s: counted %d times, want %d", reason, counted[reason], n)
		}
	}
	if s, err := p.State(t.Context()); err != nil || s.Running > 1 {
		t.Errorf("after all that: %+v, %v", s, err)
	}
}

// A worker that says that a large call lies where its end is beyond the memory
// that both share is killed before anything is copied there.
func TestWorkerThatPlacesCallsOutsideIsKilledAndCounted(t *testing.T) {
	counted, read := map[string]int{}, 0
	p := New(Options{Max: 1, Count: func(reason string) { counted[reason]++ }})
	p.argv = hostileName
	t.Cleanup(p.Close)
	k := order(t, "outside", "")
	k.Count, k.Run = 1<<17, 1<<17
	k.Inputs = []Input{{Type: holo.F64, Read: func([]byte, uint64) { read++ }}}
	if _, err := p.Run(t.Context(), k); holo.ReasonOf(err) != WorkerFault || counted[WorkerFault] != 1 || read != 0 {
		t.Errorf("%v, counted %v, %d reads", err, counted, read)
	}
}

// What a worker that was taken over says for a log is bounded over all its
// answers, and made harmless.
func TestWorkerThatFloodsTheLogIsBounded(t *testing.T) {
	k := order(t, "said", "")
	k.Run, k.Count, k.Said = holo.PageSize/8, 16*batchBytes/8, new(wire.Said) // 16 batches
	if _, err := hostile(t).Run(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	bytes := 0
	for _, line := range k.Said.Lines {
		if bytes += len(line); line != joblog.Clean(line) || strings.Contains(line, "\x1b") {
			t.Fatalf("%q", line)
		}
	}
	if len(k.Said.Lines) > wire.MaxSaidLines || bytes > wire.MaxSaidBytes || len(k.Said.Lines) == 0 || k.Said.Lost != math.MaxUint32 {
		t.Errorf("%d lines of %d bytes, %d lost", len(k.Said.Lines), bytes, k.Said.Lost)
	}
}

// More threads than a worker needs end it.
func TestThreadsAreBounded(t *testing.T) {
	_, err := hostile(t).Run(t.Context(), order(t, "threads", ""))
	if reason := holo.ReasonOf(err); reason != WorkerDied && reason != ForbiddenCall { // the C library looks at a file first
		t.Errorf("%v", err)
	}
}

// The size of the shared memory is fixed: cutting it off would have the node
// fault.
func TestSharedMemoryCannotBeCutOff(t *testing.T) {
	p := hostile(t)
	if _, err := p.Run(t.Context(), order(t, "truncate", "")); holo.ReasonOf(err) != ForbiddenCall {
		t.Errorf("%v", err)
	}
	r, f, err := newRegion()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(0); err == nil {
		t.Error("the region was cut off")
	}
	r[0] = 1
	r.free()
}

// A worker has its pipes and nothing else, whatever the node was left with.
func TestWorkerInheritsNothing(t *testing.T) {
	t.Setenv("HOLO_TEST_SECRET", "secret")
	leaked, err := unix.Dup(0) // without close-on-exec, as a careless parent leaves it
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leaked)
	_, err = hostile(t).Run(t.Context(), order(t, "inherited", ""))
	if err == nil || !strings.Contains(err.Error(), "descriptors 0 1 2 3") || !strings.Contains(err.Error(), "0 variables") {
		t.Fatalf("%v", err) // 3 is the region, which a hostile worker has not closed; the runtime may have two of its own
	}
	for _, fd := range strings.Fields(strings.Split(strings.Split(err.Error(), "descriptors ")[1], ",")[0]) {
		if fd == fmt.Sprint(leaked) && leaked > 5 {
			t.Errorf("descriptor %s came through: %v", fd, err)
		}
	}
}
