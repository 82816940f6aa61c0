package workers

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/holocompute/holocompute/internal/code"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// stored is a pool with a store in a folder.
func stored(t *testing.T, dir string) *Pool {
	t.Helper()
	s, err := code.Open(code.Config{Dir: dir, Key: key.SignerFromSeed(&[key.Size]byte{7}).Seed()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // after the pool's
	return pool(t, Options{Code: s})
}

func stopsAt(t *testing.T, p *Pool, name string) holo.Gas {
	t.Helper()
	res, err := p.Run(t.Context(), attackTask(sample(t, name), 3_000_000))
	if holo.KindOf(err) != holo.KernelTrapped {
		t.Fatal(err)
	}
	return res.Gas
}

// A module is compiled once; the next process gets its machine code, and the
// kernel does and costs the same.
func TestMachineCodeIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	p := stored(t, dir)
	want := stopsAt(t, p, "recursion")
	if s := p.opt.Code.State(); s.Made != 1 || s.Hits != 0 {
		t.Fatalf("%+v", s)
	}
	p.Close()
	p = stored(t, dir)
	if got := stopsAt(t, p, "recursion"); got != want {
		t.Errorf("%d gas, compiled %d", got, want)
	}
	if s := p.opt.Code.State(); s.Made != 0 || s.Hits != 1 {
		t.Errorf("%+v", s)
	}
}

// A file that holds other code, even code of this node, is never run: one kernel
// does not become another by what lies in the folder.
func TestPoisonedMachineCodeIsNotRun(t *testing.T) {
	for name, poison := range map[string]func(mine, other []byte) []byte{
		"swapped": func(_, other []byte) []byte { return other },
		"edited":  func(mine, _ []byte) []byte { mine[len(mine)/2] ^= 0x40; return mine },
		"code of another under this one's MAC": func(mine, other []byte) []byte {
			return append(bytes.Clone(mine[:32]), other[32:]...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p := stored(t, dir)
			want := stopsAt(t, p, "loop")
			mine := onlyFile(t, dir)
			stopsAt(t, p, "recursion")
			other := onlyFile(t, dir, mine)
			p.Close()
			a, err := os.ReadFile(mine)
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(other)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(mine, poison(a, b), 0o600); err != nil {
				t.Fatal(err)
			}
			p = stored(t, dir)
			if got := stopsAt(t, p, "loop"); got != want {
				t.Errorf("%d gas, at first %d", got, want)
			}
			if s := p.opt.Code.State(); s.Refused != 1 || s.Made != 1 || s.Hits != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// onlyFile is the one file in a folder beside those.
func onlyFile(t *testing.T, dir string, but ...string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1+len(but) {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if len(but) == 0 || f != but[0] {
			return f
		}
	}
	return ""
}

// What a process says that has run a kernel may be the kernel's word: code that
// others will run is compiled in a process that has seen nothing.
func TestMachineCodeIsTakenFromNewProcessesOnly(t *testing.T) {
	p := stored(t, t.TempDir())
	stopsAt(t, p, "loop")
	used := only(t, p)
	stopsAt(t, p, "recursion")
	if now := only(t, p); now == used || used.alive() {
		t.Error("code was taken from a process that had run a kernel")
	}
	stopsAt(t, p, "loop") // is kept, so the process that serves may be any
	if s := p.opt.Code.State(); s.Made != 2 || s.Hits != 1 {
		t.Errorf("%+v", s)
	}
}
