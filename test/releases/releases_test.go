// Package releases runs releases of the program beside one another: this one, the
// one before, which speaks a version of the protocol less, the one after and one
// that is two ahead. The others are this source with other constants of
// internal/protocol, built here. What single machines do about versions, the
// tests of their packages hold.
package releases

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/mutant"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"probe": probe})
}

// TestReleasesMeet (N-10): neighbours are one cluster, also while it is upgraded
// under load; all others are refused with the reason, and never half in it.
func TestReleasesMeet(t *testing.T) {
	dir := t.TempDir()
	if err := build(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", dir+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("HOLO_DIR", filepath.Join(e.WorkDir, "n1"))
			e.Setenv("HOLO_CONFIG", filepath.Join(e.WorkDir, "config"))
			for name, release := range map[string]string{"OLD": "old", "NEXT": "next", "FAR": "far"} {
				e.Setenv(name, filepath.Join(dir, release, release))
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "settles": settles, "refuses": refuses},
	})
}

// build makes the programs, one after the other: each uses all processors.
func build(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", filepath.Join(dir, "holo"), "github.com/holocompute/holocompute/cmd/holo")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	releases, err := mutant.ReadAll(".")
	if err != nil {
		return err
	}
	for _, m := range releases {
		at := filepath.Join(dir, m.Name)
		if err := os.Mkdir(at, 0o700); err != nil {
			return err
		}
		if _, err := m.Program(ctx, at); err != nil {
			return err
		}
	}
	return nil
}

// settleFor bounds how long a cluster may take to be as it should.
const settleFor = 2 * time.Minute

// settles is `settles NODES VERSION FOLDER`: it waits until so many nodes hold a
// lease and vote as they should, all copies are there, and the cluster is at that
// version of the protocol, as the node of the folder sees it.
func settles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: settles NODES VERSION FOLDER")
	}
	nodes, err := strconv.Atoi(args[0])
	ts.Check(err)
	version, err := strconv.Atoi(args[1])
	ts.Check(err)
	voters := map[bool]int{true: 3, false: 1}[nodes >= 3]
	until(ts, args[2], func(s *holocompute.Status) bool {
		return leases(s) == nodes && len(s.Voters) == voters && s.Shards.Full == s.Shards.Total && s.Protocol == version
	})
}

func leases(s *holocompute.Status) (n int) {
	for _, node := range s.Nodes {
		if node.Lease && node.State != "dead" {
			n++
		}
	}
	return n
}

// refuses is `refuses REASON FOLDER`: it waits until the node of the folder has
// refused somebody for the reason.
func refuses(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: refuses REASON FOLDER")
	}
	until(ts, args[1], func(s *holocompute.Status) bool { return s.Refusals[args[0]] > 0 })
}

// until asks the node of a folder for its status until that is as it should be.
func until(ts *testscript.TestScript, folder string, good func(*holocompute.Status) bool) {
	ctx, cancel := context.WithTimeout(context.Background(), settleFor)
	defer cancel()
	var last *holocompute.Status
	var err error
	for ctx.Err() == nil {
		var s *holocompute.Status
		if s, err = status(ctx, ts, folder); err == nil && good(s) {
			return
		}
		if s != nil {
			last = s
		}
	}
	ts.Fatalf("not within %s: %v, %+v", settleFor, err, last)
}

func status(ctx context.Context, ts *testscript.TestScript, folder string) (*holocompute.Status, error) {
	c, err := holocompute.Connect(ctx, holocompute.Options{Socket: filepath.Join(ts.MkAbs(folder), "holo.sock"), Config: ts.Getenv("HOLO_CONFIG")})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Status(ctx)
}

// exits is `exits CODE program argument...`: the program must end with this code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program [argument...]")
	}
	got := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = strconv.Itoa(exit.ExitCode())
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// probe is `probe STOP`: until a file is there it writes to an array and reads
// what it wrote, of elements on all nodes, and runs jobs over it, through the
// node of the folder. Not one of its calls may fail.
func probe() {
	rounds, err := probeUntil(context.Background(), os.Args[1])
	fmt.Println("rounds", rounds)
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// probed is how long the array is that a probe uses: eight extents.
const probed, probedExtent = 1 << 16, 1 << 13

func probeUntil(ctx context.Context, stop string) (rounds int, err error) {
	c, err := holocompute.Connect(ctx, holocompute.Options{})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	a, err := holocompute.Create[uint64](ctx, c, fmt.Sprintf("probe/%d", os.Getpid()), probed, holocompute.ArrayOptions{Copies: 2, Extent: probedExtent})
	if err != nil {
		return 0, err
	}
	for ; ; rounds++ {
		if _, err := os.Stat(stop); err == nil && rounds > 0 {
			return rounds, nil
		}
		if err := probeOnce(ctx, a, uint64(rounds)); err != nil {
			return rounds, fmt.Errorf("round %d: %w", rounds, err)
		}
	}
}

func probeOnce(ctx context.Context, a *holocompute.Array[uint64], round uint64) error {
	wrote, got := make([]uint64, 64), make([]uint64, 64)
	for i := range wrote {
		wrote[i] = round<<8 + uint64(i)
	}
	at := rand.Uint64N(probed - 64)
	if err := a.Write(ctx, at, wrote); err != nil {
		return err
	}
	if err := a.Read(ctx, at, got); err != nil {
		return err
	}
	if !slices.Equal(wrote, got) {
		return fmt.Errorf("elements from %d on are %v, written were %v", at, got, wrote)
	}
	if round%16 != 0 {
		return nil
	}
	d, err := a.Stats(ctx)
	if err == nil && d.Count != probed {
		err = fmt.Errorf("a job saw %d elements of %d", d.Count, uint64(probed))
	}
	return err
}
