package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/remote"
	"github.com/holocompute/holocompute/internal/workers"
)

// The scripts run this very program, as processes of their own.
func TestMain(m *testing.M) {
	workers.Main()
	testscript.Main(m, map[string]func(){"holo": func() { os.Exit(run()) }, "idle": idle, "peek": peek})
}

// scriptCommands are what scripts can do beside testscript's own commands.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){"exits": exits}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOLO_DIR", filepath.Join(e.WorkDir, "n1"))
			e.Setenv("HOLO_CONFIG", filepath.Join(e.WorkDir, "config"))
			e.Setenv("LABEL", remote.Label())
			data, err := filepath.Abs(filepath.Join("..", "..", "testdata"))
			if err != nil {
				return err
			}
			e.Setenv("TESTDATA", data)
			addr, err := freeAddress()
			e.Setenv("ADDR", addr)
			return err
		},
		Cmds: scriptCommands,
	})
}

// freeAddress is one at which nobody listened a moment ago.
func freeAddress() (string, error) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return c.LocalAddr().String(), c.Close()
}

// exits is `exits CODE program argument...`: the program must end with exactly
// this code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program [argument...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func TestEveryKindHasAnExitCodeThatIsDocumented(t *testing.T) {
	documented := map[int]bool{}
	for _, m := range exitMeanings {
		documented[m.code] = true
	}
	for kind := holo.Internal; kind.Valid(); kind++ {
		code, ok := kindCodes[kind]
		if !ok || code == exitOK || !documented[code] {
			t.Errorf("%s: exit code %d, known %v", kind, code, ok)
		}
	}
}

func TestTimeoutsAndInterruptionsAreToldApart(t *testing.T) {
	a := &app{begun: true}
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, exitOK},
		{holo.Errorf(holo.Cancelled, "x: %w", context.Canceled), exitInterrupted},
		{holo.Errorf(holo.Cancelled, "x: %w", context.DeadlineExceeded), exitUnreachable},
		{errors.Join(holo.Errorf(holo.KernelTrapped, "x"), holo.Errorf(holo.Denied, "y")), exitTrapped},
		{usage("x"), exitUsage},
		{errors.New("x"), exitFailed},
	} {
		if got := a.exitOf(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

func TestBytesOnTheCommandLine(t *testing.T) {
	for s, want := range map[string]uint64{"0": 0, "512": 512, "256MiB": 256 << 20, "2g": 2 << 30, "1 KiB": 1024, "7b": 7} {
		var f bytesFlag
		if err := f.Set(s); err != nil || uint64(f) != want {
			t.Errorf("%q: %d, %v, want %d", s, f, err, want)
		}
	}
	for _, s := range []string{"", "MiB", "-1", "1.5G", "5 parsecs", "99999999999999999999", "9999999TiB"} {
		var f bytesFlag
		if err := f.Set(s); err == nil {
			t.Errorf("%q: taken as %d", s, uint64(f))
		}
	}
}
