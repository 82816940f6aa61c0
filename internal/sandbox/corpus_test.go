package sandbox

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
)

// The official test corpus of WebAssembly 2.0 lies in the engine's own module,
// which the build needs anyway. Here it goes through the validator and the
// injector: what is valid is accepted and still compiles, what is invalid is
// refused, and every call gives the same results and traps metered as before.

type corpusCommand struct {
	Type       string
	Line       int
	Filename   string
	Name       string
	As         string
	ModuleType string `json:"module_type"`
	Action     struct {
		Type   string
		Module string
		Field  string
		Args   []corpusValue
	}
}

type corpusValue struct {
	Type     string
	LaneType string `json:"lane_type"`
	Value    any
}

func corpusDir(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatalf("find the engine's module: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
}

func TestTheOfficialCorpusMeansTheSameMetered(t *testing.T) {
	dir := corpusDir(t)
	files, err := filepath.Glob(filepath.Join(dir, "v2", "testdata", "*.json"))
	if err != nil || len(files) < 100 {
		t.Fatalf("%d test files in %s (%v), want more than 100", len(files), dir, err)
	}
	for _, engine := range []EngineKind{Auto, Interpreter} {
		t.Run(engine.String(), func(t *testing.T) { corpus(t, engine, dir, files) })
	}
}

func corpus(t *testing.T, engine EngineKind, dir string, files []string) {
	var total corpusRun
	for _, file := range files {
		run := &corpusRun{t: t, engine: engine, dir: filepath.Dir(file), spectest: filepath.Join(dir, "testdata", "spectest.wasm")}
		run.file(file)
		total.modules += run.modules
		total.refused += run.refused
		total.calls += run.calls
		total.traps += run.traps
	}
	t.Logf("%d valid modules, %d refused ones, %d equal calls, %d of them traps", total.modules, total.refused, total.calls, total.traps)
	if total.modules < 1500 || total.refused < 1000 || total.calls < 20000 || total.traps < 1000 {
		t.Error("the corpus is smaller than it was")
	}
}

// corpusRun runs one file in two runtimes, side by side.
type corpusRun struct {
	t             *testing.T
	engine        EngineKind
	dir, spectest string
	name          string
	plain, meter  *corpusSide

	modules, refused, calls, traps int
}

type corpusSide struct {
	rt     wazero.Runtime
	last   api.Module
	byName map[string]api.Module
}

func (c *corpusRun) side(metered bool) *corpusSide {
	ctx := c.t.Context()
	_, rt, err := start(ctx, Config{Engine: c.engine, MaxMemoryPages: 65536}, wazero.NewCompilationCache())
	if err != nil {
		c.t.Fatal(err)
	}
	s := &corpusSide{rt: rt, byName: map[string]api.Module{}}
	if metered {
		if err := meterModule(ctx, s.rt); err != nil {
			c.t.Fatal(err)
		}
	}
	wasm, err := os.ReadFile(c.spectest)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := s.rt.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig()); err != nil {
		c.t.Fatal(err)
	}
	return s
}

func (c *corpusRun) file(path string) {
	raw, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	var file struct{ Commands []corpusCommand }
	if err := json.Unmarshal(raw, &file); err != nil {
		c.t.Fatal(err)
	}
	c.name = filepath.Base(path)
	c.plain, c.meter = c.side(false), c.side(true)
	defer c.plain.rt.Close(context.Background())
	defer c.meter.rt.Close(context.Background())
	for i, cmd := range file.Commands {
		switch cmd.Type {
		case "module":
			as := ""
			if i+1 < len(file.Commands) && file.Commands[i+1].Type == "register" {
				as = file.Commands[i+1].As
			}
			c.module(cmd, as)
		case "assert_invalid", "assert_malformed":
			c.invalid(cmd)
		case "assert_return", "assert_trap", "action":
			c.invoke(cmd)
		}
	}
}

func (c *corpusRun) read(cmd corpusCommand) []byte {
	wasm, err := os.ReadFile(filepath.Join(c.dir, cmd.Filename))
	if err != nil {
		c.t.Fatal(err)
	}
	return wasm
}

// beyondLimits are valid modules of the corpus that the limits refuse.
var beyondLimits = map[string]string{
	"br_table.json":              module.TooLarge, // 16149 labels
	"skip-stack-guard-page.json": module.TooLarge, // 1040 locals
}

func (c *corpusRun) module(cmd corpusCommand, as string) {
	wasm := c.read(cmd)
	metered, err := module.Meter(wasm)
	if err != nil {
		if beyondLimits[c.name] != holo.ReasonOf(err) {
			c.t.Errorf("%s:%d valid module refused: %v", c.name, cmd.Line, err)
		}
		c.plain.last, c.meter.last = nil, nil
		return
	}
	c.modules++
	ctx := corpusContext(c.t.Context())
	for _, s := range []*corpusSide{c.plain, c.meter} {
		code := wasm
		if s == c.meter {
			code = metered
		}
		s.last, err = s.rt.InstantiateWithConfig(ctx, code, wazero.NewModuleConfig().WithName(as).WithStartFunctions())
		if err != nil {
			c.t.Errorf("%s:%d instantiate (metered %v): %v", c.name, cmd.Line, s == c.meter, err)
			return
		}
		s.byName[cmd.Name] = s.last
	}
}

func (c *corpusRun) invalid(cmd corpusCommand) {
	if cmd.ModuleType != "binary" {
		return
	}
	if _, err := module.Meter(c.read(cmd)); holo.KindOf(err) != holo.Invalid || err == nil {
		c.t.Errorf("%s:%d invalid module accepted (%v)", c.name, cmd.Line, err)
	}
	c.refused++
}

func corpusContext(ctx context.Context) context.Context {
	return context.WithValue(ctx, meterKey{}, &meter{left: 1 << 40, maxPages: 65536})
}

func (c *corpusRun) invoke(cmd corpusCommand) {
	if cmd.Action.Type != "invoke" || cmd.Action.Module == "" && c.plain.last == nil {
		return
	}
	args := corpusArgs(cmd.Action.Args)
	want, wantErr, refs := c.plain.call(c.t, cmd, args)
	have, haveErr, _ := c.meter.call(c.t, cmd, args)
	if refs {
		want, have = nil, nil // addresses of the two runtimes
	}
	if !slices.Equal(want, have) || wantErr != haveErr {
		c.t.Errorf("%s:%d %s: %x %q, metered %x %q", c.name, cmd.Line, cmd.Action.Field, want, wantErr, have, haveErr)
	}
	c.calls++
	if wantErr != "" {
		c.traps++
	}
}

func (s *corpusSide) call(t *testing.T, cmd corpusCommand, args []uint64) (results []uint64, trap string, refs bool) {
	mod := s.last
	if cmd.Action.Module != "" {
		mod = s.byName[cmd.Action.Module]
	}
	f := mod.ExportedFunction(cmd.Action.Field)
	if d := mod.ExportedGlobal(module.DepthGlobal); d != nil {
		d.(api.MutableGlobal).Set(module.MaxCallDepth)
	}
	results, err := f.Call(corpusContext(t.Context()), args...)
	if err != nil {
		trap = firstLine(err)
	}
	results = slices.Clone(results)
	for i, v := range f.Definition().ResultTypes() {
		switch v {
		case api.ValueTypeExternref, 0x70: // funcref
			refs = true
		case api.ValueTypeI32, api.ValueTypeF32:
			if len(f.Definition().ResultTypes()) == len(results) {
				results[i] &= 1<<32 - 1 // the engine leaves the upper half as it is
			}
		}
	}
	return results, trap, refs
}

// corpusArgs turns arguments into the engine's words. References are null or a
// small number.
func corpusArgs(values []corpusValue) (words []uint64) {
	for _, v := range values {
		if lanes, ok := v.Value.([]any); ok {
			var both [2]uint64
			width := 128 / len(lanes)
			for i, l := range lanes {
				n, _ := strconv.ParseUint(l.(string), 10, 64)
				both[i*width/64] |= n << (i * width % 64)
			}
			words = append(words, both[:]...)
			continue
		}
		text, _ := v.Value.(string)
		n, err := strconv.ParseUint(text, 10, 64)
		if err == nil && v.Type == "externref" {
			n++ // the engine takes 0 for null
		}
		words = append(words, n)
	}
	return words
}
