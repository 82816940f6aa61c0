package guest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/kernels"
)

func TestNewWritesAKernelAndOverwritesNothing(t *testing.T) {
	shows := map[kernels.Kind]struct{ stem, wat, c string }{
		kernels.Columns: {"template", "holo_map_scale", "HOLO_KERNEL(map, scale)"},
		kernels.Task:    {"task", "holo_task_take", "HOLO_KERNEL(task, take)"},
	}
	for _, l := range Languages() {
		for kind, show := range shows {
			dir := filepath.Join(t.TempDir(), "new")
			source, err := New(l.Name, string(kind), dir)
			if err != nil || source != filepath.Join(dir, show.stem+l.Suffix) {
				t.Fatalf("%s: %s, %v", l.Name, source, err)
			}
			if b, err := os.ReadFile(source); err != nil || !bytes.Contains(b, []byte(show.wat)) && !bytes.Contains(b, []byte(show.c)) {
				t.Errorf("%s: %v in %s", l.Name, err, source)
			}
			if _, err := New(l.Name, string(kind), dir); holo.KindOf(err) != holo.Exists {
				t.Errorf("%s again: %v", l.Name, err)
			}
			// A compiler of Go takes all that lies in the folder.
			if list, err := filepath.Glob(filepath.Join(dir, "t*"+l.Suffix)); err != nil || len(list) != 1 {
				t.Errorf("%s, %s: %v, %v", l.Name, kind, list, err)
			}
		}
	}
	if _, err := New("cobol", "task", t.TempDir()); holo.KindOf(err) != holo.Invalid || !strings.Contains(err.Error(), "c go rust assemblyscript wat") {
		t.Errorf("%v", err)
	}
	if _, err := New("c", "sort", t.TempDir()); holo.KindOf(err) != holo.Invalid || !strings.Contains(err.Error(), "want one of columns task") {
		t.Errorf("%v", err)
	}
}

// Without a compiler the error says what to install, for every language.
func TestBuildSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, l := range Languages() {
		if l.Name == "rust" && rust("", "") != nil {
			continue // a compiler at its absolute path
		}
		source, err := New(l.Name, "columns", t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		_, err = Build(t.Context(), source, source+".wasm")
		if holo.KindOf(err) != holo.NotFound || !strings.Contains(err.Error(), l.Install) {
			t.Errorf("%s: %v", l.Name, err)
		}
	}
}

// standIn is a compiler of WAT on the path that does what a script says; $4 is
// where its output goes.
func standIn(t *testing.T, script string) (source, out string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "wat2wasm"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	source = filepath.Join(dir, "k.wat")
	if err := os.WriteFile(source, []byte("(module)"), 0o644); err != nil {
		t.Fatal(err)
	}
	return source, filepath.Join(dir, "k.wasm")
}

func TestBuildWritesWhatANodeWouldTake(t *testing.T) {
	for _, kind := range kernels.Kinds() {
		built := kernels.Built("wat", kind)
		source, out := standIn(t, `cp good "$3"`)
		if err := os.WriteFile(filepath.Join(filepath.Dir(source), "good"), built, 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := Build(t.Context(), source, out)
		if b, err2 := os.ReadFile(out); err != nil || err2 != nil || m.ID != module.ID(b) || !bytes.Equal(b, built) {
			t.Errorf("%s: %v, %v", kind, err, err2)
		}
	}
}

func TestBuildRefusesAndWritesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		kind   holo.Kind
		says   string
	}{
		"a complaint":     {"echo line 3 is wrong; exit 1", holo.Invalid, "line 3 is wrong"},
		"nothing":         {"exit 0", holo.Internal, "made nothing"},
		"not a module":    {`echo no > "$3"`, holo.Invalid, "no node would take it"},
		"without exports": {`printf '\0asm\1\0\0\0' > "$3"`, holo.Invalid, "no node would take it"},
	} {
		source, out := standIn(t, c.script)
		_, err := Build(t.Context(), source, out)
		if holo.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: it wrote a module", name)
		}
	}
	for source, kind := range map[string]holo.Kind{"k.py": holo.Invalid, "not-there.c": holo.NotFound} {
		if _, err := Build(t.Context(), source, "out"); holo.KindOf(err) != kind {
			t.Errorf("%s: %v", source, err)
		}
	}
	source, out := standIn(t, "exec sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Build(ctx, source, out); holo.KindOf(err) != holo.Cancelled {
		t.Errorf("nobody waits: %v", err)
	}
}

// outcome is all that a call changes: status or trap, and bytes.
func outcome(res sandbox.Result, err error, out, acc []byte) string {
	said := "ok"
	if err != nil {
		said = holo.ReasonOf(err) + err.Error()[strings.LastIndex(err.Error(), ":"):]
	}
	return fmt.Sprintf("%s %x %x", said, out, acc)
}

// The first kernels of all languages do the same, to the bit: good calls, NaNs and
// infinities, and what each refuses.
func TestKernelsOfAllLanguagesGiveTheSameBytes(t *testing.T) {
	special := []float64{0, math.Copysign(0, -1), 1, -1.5, math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64, math.SmallestNonzeroFloat64, 1e-310, 0.1, 1.0 / 3}
	bytesOf := func(n int) []byte {
		var b []byte
		for i := range n {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(special[(i*7)%len(special)]*float64(1+i/len(special))))
		}
		return b
	}
	finite := func(n int) []byte {
		var b []byte
		for i := range n {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(1/float64(i+1)))
		}
		return b
	}
	factor := binary.LittleEndian.AppendUint64(nil, math.Float64bits(-2.7))
	full := binary.LittleEndian.AppendUint64([]byte{5, 0, 0, 0, 0, 0, 0, 0}, math.Float64bits(0.3))
	run := func(p *sandbox.Program) (list []string) {
		for _, n := range []int{1, 2, 13, 8192, 131072} {
			for _, in := range [][]byte{bytesOf(n), finite(n)} {
				for _, params := range [][]byte{factor, nil} {
					out := make([]byte, len(in))
					res, err := p.Map(t.Context(), sandbox.Call{Function: "scale", N: uint32(n), Params: params, Gas: 1 << 40, Inputs: []sandbox.View{{Type: holo.F64, Bytes: in}}, Outputs: []sandbox.View{{Type: holo.F64, Bytes: out}}})
					list = append(list, outcome(res, err, out, nil))
				}
				for _, acc := range [][]byte{make([]byte, 16), bytes.Clone(full), make([]byte, 24)} {
					res, err := p.Reduce(t.Context(), sandbox.Call{Function: "sum", N: uint32(n), Acc: acc, Gas: 1 << 40, Inputs: []sandbox.View{{Type: holo.F64, Bytes: in}}})
					list = append(list, outcome(res, err, nil, acc))
				}
			}
		}
		acc := bytes.Clone(full)
		res, err := p.Combine(t.Context(), sandbox.Call{Function: "sum", Acc: acc, Gas: 1 << 40}, full)
		list = append(list, outcome(res, err, nil, acc))
		res, err = p.Reduce(t.Context(), sandbox.Call{Function: "sum", N: 2, Acc: acc, Gas: 1 << 40, Inputs: []sandbox.View{{Type: holo.F32, Bytes: make([]byte, 8)}}})
		return append(list, outcome(res, err, nil, acc))
	}
	engine, err := sandbox.New(t.Context(), sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = engine.Close(context.Background()) }()
	var want []string
	for _, l := range Languages() {
		m, err := module.Admit(kernels.Built(l.Name, kernels.Columns))
		if err != nil {
			t.Fatalf("%s: %v", l.Name, err)
		}
		p, err := engine.Load(t.Context(), m)
		if err != nil {
			t.Fatalf("%s: %v", l.Name, err)
		}
		got := run(p)
		if want == nil {
			want = got
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s differs from %s in call %d: %.80s, want %.80s", l.Name, languages[0].Name, i, got[i], want[i])
			}
		}
	}
	if n := len(want); !strings.HasPrefix(want[0], "ok") || !strings.HasPrefix(want[n-2], "ok") || strings.HasPrefix(want[n-1], "ok") || strings.HasPrefix(want[1], "ok") {
		t.Errorf("the first language does not do it: %.60q, %.60q, %.60q, %.60q", want[0], want[1], want[n-2], want[n-1])
	}
}
