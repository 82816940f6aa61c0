package workers

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/holocompute/holocompute/internal/confine"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/kernels"
)

// beHost is a program with a pool, another process than the test: it waits for a
// line, says how workers are isolated, and runs a kernel: one that ends, or
// after "run on" one that never does, for which it says the worker's process ID.
func beHost() {
	order, err := bufio.NewReader(os.Stdin).ReadString('\n')
	check(err)
	ctx := context.Background()
	p := New(Options{Max: 1, Strict: order == "strict\n"})
	if order == "no namespaces\n" { // in the namespace that the test made for this process
		check(os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0))
	}
	s, err := p.State(ctx)
	check(err)
	m, err := module.Admit(kernels.Get("loop"))
	check(err)
	k := &Task{Module: m, Kind: module.Reduce, Function: "attack", Gas: 1000, Count: 1, Run: 1, Acc: make([]byte, 64)}
	k.Inputs = []Input{{Type: holo.I64, Read: func(b []byte, _ uint64) { clear(b) }}}
	if order == "run on\n" {
		k.Gas = sandbox.MaxGas
		k.Inputs[0].Read = func([]byte, uint64) { fmt.Println(pidOf(p)) }
	}
	p.mu.Lock()
	blank := p.mu.idle[0]
	p.mu.Unlock()
	hostPid = blank.os.Pid
	_, err = p.Run(ctx, k)
	fmt.Println(s.Level(), holo.ReasonOf(err), s.Report)
	os.Exit(0)
}

var hostPid int

func pidOf(*Pool) int { return hostPid }

// host starts a program of this test's file, under a path of its own.
func host(t *testing.T, path string, flags uintptr) (*exec.Cmd, io.WriteCloser, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(path)
	cmd.Args = []string{hostName}
	cmd.Stderr = &bytes.Buffer{}
	if flags != 0 {
		root := []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, UidMappings: root, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, in, bufio.NewReader(out)
}

func say(t *testing.T, in io.Writer, out *bufio.Reader, what string) string {
	t.Helper()
	if _, err := io.WriteString(in, what+"\n"); err != nil {
		t.Fatal(err)
	}
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// The program starts workers of its own kind, also when its file is another one
// by now, or gone: a node outlives an upgrade of its binary.
func TestWorkersStartAfterTheProgramsFileIsReplaced(t *testing.T) {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "program")
	for what, change := range map[string]func() error{
		"removed": func() error { return os.Remove(path) },
		"replaced": func() error {
			return os.Rename(path+"2", path)
		},
	} {
		for p, b := range map[string][]byte{path: self, path + "2": []byte("#!/bin/false\n")} {
			if err := os.WriteFile(p, b, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		_, in, out := host(t, path, 0)
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if line := say(t, in, out, "go"); !strings.HasPrefix(line, "full out_of_gas") {
			t.Errorf("%s: %q", what, line)
		}
	}
}

// Where a layer cannot be had the rest holds, the level says so, and strict
// isolation is refused. Here namespaces cannot: the limit on them is 0.
func TestWeakerIsolationIsToldAndStrictRefusesIt(t *testing.T) {
	_, in, out := host(t, "/proc/self/exe", syscall.CLONE_NEWUSER)
	line := say(t, in, out, "no namespaces")
	if !strings.HasPrefix(line, "filtered out_of_gas namespaces (") {
		t.Errorf("%q", line)
	}
	p := New(Options{Strict: true})
	t.Cleanup(p.Close)
	if s, err := p.State(t.Context()); err != nil || s.Level() != confine.Full {
		t.Fatalf("this system gives %s: %v", s.Report, err)
	}
	p.mu.report.Missing = []confine.Gap{{Layer: confine.Namespaces, Why: "the limit is 0"}} // as found above
	_, err := p.Run(t.Context(), attackTask(sample(t, "loop"), 1))
	if holo.ReasonOf(err) != NotIsolated || !strings.Contains(err.Error(), "namespaces (the limit is 0)") {
		t.Errorf("strict: %v", err)
	}
}

// A worker ends when its node does, however that died and whatever it is doing.
func TestWorkerEndsWithItsNode(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		cmd, in, out := host(t, "/proc/self/exe", 0)
		worker := say(t, in, out, "run on")
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		await(t, "the worker ends", func() bool {
			b, err := os.ReadFile("/proc/" + worker + "/stat")
			return err != nil || bytes.Contains(b, []byte(") Z "))
		})
	}
}

// Its own pipe's end is enough, where the system kills no orphans: the worker
// looks at each yield.
func TestWorkerEndsWhenItsPipeDoes(t *testing.T) {
	p := pool(t, Options{Max: 1})
	w, ended := endless(t, t.Context(), p)
	if err := w.in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; holo.ReasonOf(err) != WorkerDied || !strings.Contains(err.Error(), "exit status 0") {
		t.Errorf("%v", err)
	}
}

// What the system itself says of a worker.
func TestSystemHoldsAWorkerAsItSays(t *testing.T) {
	p := pool(t, Options{Max: 1})
	if _, err := p.State(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := fmt.Sprintf("/proc/%d/", only(t, p).os.Pid)
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapBnd:"} {
		if !bytes.Contains(status, []byte(want)) {
			t.Errorf("its status does not say %q:\n%s", want, status)
		}
	}
	limits, err := os.ReadFile(dir + "limits")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		fields := strings.Fields(line)
		for _, what := range []string{"Max core file size", "Max file size", "Max locked memory"} {
			if strings.HasPrefix(line, what) && fields[len(fields)-2] != "0" {
				t.Errorf("%s", line)
			}
		}
		if strings.HasPrefix(line, "Max data size") && strings.Contains(line, "unlimited") {
			t.Errorf("%s", line)
		}
	}
}
