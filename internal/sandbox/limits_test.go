package sandbox

import (
	"bytes"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/kernels"
)

// One unit of gas less than a call needs is too little, on both engines; the
// same gas again is enough.
func TestABudgetIsExactToOneUnit(t *testing.T) {
	for _, s := range sampleCalls() {
		var need [2]holo.Gas
		for n, e := range engines(t) {
			p := load(t, e, kernels.Get(s.module))
			c := s.call()
			c.Gas = plenty
			if _, err := runOnce(p, s.kind, c); err != nil {
				t.Fatalf("%s: %v", s.name(), err)
			}
			need[n] = totalGas(t, p, s)
			c = s.call()
			c.Gas = need[n]
			if _, err := runOnce(p, s.kind, c); err != nil {
				t.Errorf("%s on the %s with %d gas: %v", s.name(), e.Kind(), need[n], err)
			}
			c = s.call()
			c.Gas = need[n] - 1
			if _, err := runOnce(p, s.kind, c); holo.ReasonOf(err) != OutOfGas {
				t.Errorf("%s on the %s with %d gas: %v, want out of gas", s.name(), e.Kind(), need[n]-1, err)
			}
		}
		if need[0] != need[1] {
			t.Errorf("%s needs %d gas compiled and %d interpreted", s.name(), need[0], need[1])
		}
	}
}

func runOnce(p *Program, k module.Kind, c Call) (Result, error) { return p.once(pContext, k, c) }

func totalGas(t *testing.T, p *Program, s sample) holo.Gas {
	t.Helper()
	i, err := p.NewInstance(t.Context(), plenty, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	before := i.Used()
	res, err := i.Run(t.Context(), s.kind, s.call())
	if err != nil || i.Used() != before+res.Gas || res.Gas == 0 {
		t.Fatalf("%+v, %d used, %v", res, i.Used(), err)
	}
	return i.Used()
}

// A kernel with exactly the pages it needs runs; with one less it is out of
// memory, which the error says, whether it is refused at the start or asks.
func TestMemoryIsLimitedToThePage(t *testing.T) {
	e := engines(t)[0]
	for _, name := range []string{"basic", "flights", "flights-go"} {
		p := load(t, e, kernels.Get(name))
		s := sampleCalls()[0]
		if name != "basic" {
			s = sampleCalls()[7]
		}
		c := s.call()
		c.Gas, c.MemoryPages = plenty, 0
		res, err := p.once(t.Context(), s.kind, c)
		if err != nil {
			t.Fatal(err)
		}
		c.MemoryPages = res.PeakPages
		if _, err := p.once(t.Context(), s.kind, c); err != nil {
			t.Errorf("%s with %d pages: %v", name, res.PeakPages, err)
		}
		for _, pages := range []uint32{res.PeakPages - 1, p.Module().MinPages - 1} {
			if c.MemoryPages = pages; pages == 0 {
				continue // means the engine's limit
			}
			if _, err := p.once(t.Context(), s.kind, c); holo.ReasonOf(err) != OutOfMemory || holo.KindOf(err) != holo.KernelTrapped {
				t.Errorf("%s with %d pages: %v, want out of memory", name, pages, err)
			}
		}
	}
}

func TestAnEngineRefusesMoreThanItsMemory(t *testing.T) {
	e, err := New(t.Context(), Config{MaxMemoryPages: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(pContext) })
	p := load(t, e, kernels.Get("hoard"))
	c := attack()
	c.Gas, c.MemoryPages = plenty, 500
	res, err := p.Reduce(t.Context(), c)
	if holo.ReasonOf(err) != OutOfMemory || res.PeakPages != 8 {
		t.Errorf("%+v, %v", res, err)
	}
	small, err := New(t.Context(), Config{MaxMemoryPages: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { small.Close(pContext) })
	two := load(t, e, kernels.Get("flights-go")).Module()
	if _, err := small.Load(t.Context(), two); holo.ReasonOf(err) != OutOfMemory || two.MinPages != 2 {
		t.Errorf("a module of %d pages in an engine of one: %v", two.MinPages, err)
	}
	if _, err := New(t.Context(), Config{MaxMemoryPages: 65537}); holo.KindOf(err) != holo.Invalid {
		t.Errorf("an engine of more than 4 GiB: %v", err)
	}
}

// What one task leaves in memory no other task can find.
func TestMemoryOfOneTaskIsNotSeenByTheNext(t *testing.T) {
	for _, e := range engines(t) {
		p := load(t, e, kernels.Get("basic"))
		secret := bytes.Repeat([]byte("secret: "), 1024)
		for range 20 {
			i, err := p.NewInstance(t.Context(), plenty, 0)
			if err != nil {
				t.Fatal(err)
			}
			all, _ := i.mod.Memory().Read(0, i.mod.Memory().Size())
			if bytes.Contains(all, secret[:64]) {
				t.Fatalf("on the %s an instance begins with bytes of another", e.Kind())
			}
			c := Call{Function: "add", N: 8192, Inputs: []View{{holo.I8, secret}, {holo.I8, secret}}, Outputs: []View{{holo.I8, make([]byte, 8192)}}}
			if _, err := i.Run(t.Context(), module.Map, c); err != nil {
				t.Fatal(err)
			}
			all, _ = i.mod.Memory().Read(0, i.mod.Memory().Size())
			if !bytes.Contains(all, secret[:64]) {
				t.Fatal("the test does not see what it looks for")
			}
			i.Close()
		}
	}
}

// Outputs begin as zeros, also when an earlier call of the task left bytes there.
func TestOutputsBeginAsZeros(t *testing.T) {
	p := load(t, engines(t)[0], kernels.Get("basic"))
	i, err := p.NewInstance(t.Context(), plenty, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	ones := bytes.Repeat([]byte{1}, 4096)
	first := Call{Function: "add", N: 4096, Inputs: []View{{holo.I8, ones}, {holo.I8, ones}}, Outputs: []View{{holo.I8, make([]byte, 4096)}}}
	if _, err := i.Run(t.Context(), module.Map, first); err != nil {
		t.Fatal(err)
	}
	c := first
	i.load(&c, LayoutOf(&c))
	if b := i.bytes(i.arena+LayoutOf(&c).Views[2], 4096); !bytes.Equal(b, make([]byte, 4096)) {
		t.Error("the second call begins with the first one's output")
	}
}

func TestBadCallsAreRefusedBeforeTheKernelRuns(t *testing.T) {
	p := load(t, engines(t)[0], kernels.Get("basic"))
	i, err := p.NewInstance(t.Context(), plenty, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	good := func() Call { return sampleCalls()[2].call() }
	change := func(f func(*Call)) Call { c := good(); f(&c); return c }
	tooMany := make([]View, MaxViews)
	for n := range tooMany {
		tooMany[n] = View{holo.F32, make([]byte, 4*8192)}
	}
	for name, c := range map[string]struct {
		kind module.Kind
		call Call
		want holo.Kind
	}{
		"unknown function":    {module.Map, change(func(c *Call) { c.Function = "nothing" }), holo.NotFound},
		"another kind":        {module.Reduce, good(), holo.NotFound},
		"no elements":         {module.Map, change(func(c *Call) { c.N = 0 }), holo.Invalid},
		"no inputs":           {module.Map, change(func(c *Call) { c.Inputs = nil }), holo.Invalid},
		"no outputs":          {module.Map, change(func(c *Call) { c.Outputs = nil }), holo.Invalid},
		"an accumulator":      {module.Map, change(func(c *Call) { c.Acc = make([]byte, 8) }), holo.Invalid},
		"an unknown type":     {module.Map, change(func(c *Call) { c.Inputs[0].Type = 99 }), holo.Invalid},
		"a view too short":    {module.Map, change(func(c *Call) { c.Inputs[1].Bytes = c.Inputs[1].Bytes[4:] }), holo.Invalid},
		"a view too long":     {module.Map, change(func(c *Call) { c.Outputs[0].Bytes = append(c.Outputs[0].Bytes, 0, 0, 0, 0) }), holo.Invalid},
		"half an element":     {module.Map, change(func(c *Call) { c.Outputs[0].Bytes = c.Outputs[0].Bytes[1:] }), holo.Invalid},
		"too many views":      {module.Map, change(func(c *Call) { c.Inputs = tooMany }), holo.Invalid},
		"too many parameters": {module.Map, change(func(c *Call) { c.Params = make([]byte, MaxParamBytes+1) }), holo.Invalid},
		"a view over 1 MiB": {module.Map, change(func(c *Call) {
			c.N = 1<<18 + 1
			c.Inputs[0].Bytes = make([]byte, 1<<20+4)
		}), holo.Invalid},
		"an accumulator over 1 MiB": {module.Reduce, Call{Function: "stats", N: 8192, Inputs: good().Inputs[:1], Acc: make([]byte, MaxAccBytes+1)}, holo.Invalid},
		"comb of another size":      {module.Combine, Call{Function: "stats", Acc: make([]byte, statsBytes), Inputs: []View{{holo.U8, make([]byte, 8)}}}, holo.Invalid},
		"comb with elements":        {module.Combine, Call{Function: "stats", N: 1, Acc: make([]byte, 8), Inputs: []View{{holo.U8, make([]byte, 8)}}}, holo.Invalid},
		"fin with inputs":           {module.Finish, Call{Function: "sum", Acc: make([]byte, statsBytes), Inputs: []View{{holo.U8, make([]byte, 8)}}, Outputs: []View{{holo.F64, make([]byte, 8)}}}, holo.Invalid},
	} {
		before := i.Used()
		if _, err := i.Run(t.Context(), c.kind, c.call); holo.KindOf(err) != c.want || i.Used() != before {
			t.Errorf("%s: %v, %d gas used", name, err, i.Used()-before)
		}
	}
	if _, err := i.Run(t.Context(), module.Map, good()); err != nil {
		t.Errorf("the instance no longer runs: %v", err)
	}
}

func TestLargestCallFits(t *testing.T) {
	p := load(t, engines(t)[0], kernels.Get("flights"))
	const n = 1 << 18 // f32 elements in 1 MiB
	const replicates = MaxAccBytes / (24 * 8)
	c := Call{Function: "by_hour", N: n, Inputs: flightViews(n), Acc: make([]byte, 576), Gas: plenty}
	if _, err := p.Reduce(t.Context(), c); err != nil {
		t.Error(err)
	}
	c = Call{Function: "bootstrap", N: 10, Params: bootstrapParams(1, replicates), Inputs: flightViews(10), Acc: make([]byte, replicates*24*8), Gas: plenty}
	if _, err := p.Reduce(t.Context(), c); err != nil {
		t.Error(err)
	}
}

func TestAKernelsOwnErrorNamesIt(t *testing.T) {
	p := load(t, engines(t)[0], kernels.Get("flights"))
	c := Call{Function: "by_hour", N: 10, Inputs: flightViews(10), Acc: make([]byte, 575), Gas: plenty}
	_, err := p.Reduce(t.Context(), c)
	if holo.KindOf(err) != holo.KernelTrapped || holo.ReasonOf(err) != KernelError {
		t.Fatal(err)
	}
	for _, part := range []string{p.Module().ID.String(), "red_by_hour", "status 3"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestAnInstanceHasOneBudgetForAllItsCalls(t *testing.T) {
	p := load(t, engines(t)[0], kernels.Get("flights"))
	need := totalGas(t, p, sampleCalls()[7])
	i, err := p.NewInstance(t.Context(), 2*need, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	used := i.Used() // by the set-up
	for call := 0; ; call++ {
		res, err := i.Run(t.Context(), module.Reduce, sampleCalls()[7].call())
		used += res.Gas
		if err != nil {
			if holo.ReasonOf(err) != OutOfGas || call < 2 {
				t.Errorf("call %d: %v", call, err)
			}
			break
		}
	}
	if used != i.Used() || used <= 2*need {
		t.Errorf("%d used of %d, %d by set-up and calls", i.Used(), 2*need, used)
	}
	if _, err := p.NewInstance(t.Context(), MaxGas+1, 0); holo.KindOf(err) != holo.Invalid {
		t.Errorf("a budget above the largest: %v", err)
	}
}

func TestAModuleOfAnotherABIIsRefused(t *testing.T) {
	abi := []byte{4, 0, 0x41, 1, 0x0b} // holo_abi: no locals, i32.const 1, end
	other := bytes.Replace(kernels.Get("basic"), abi, []byte{4, 0, 0x41, 2, 0x0b}, 1)
	p := load(t, engines(t)[0], other)
	if _, err := p.NewInstance(t.Context(), plenty, 0); holo.KindOf(err) != holo.Invalid || holo.ReasonOf(err) != module.BadABI {
		t.Errorf("ABI 2: %v", err)
	}
	good := load(t, engines(t)[0], kernels.Get("basic"))
	if _, err := good.NewInstance(t.Context(), 0, 0); holo.ReasonOf(err) != OutOfGas {
		t.Errorf("set-up without gas: %v", err)
	}
}

// A data segment outside memory is found when an instance is made.
func TestAModuleThatCannotBeSetUpIsATrap(t *testing.T) {
	good := kernels.Get("pingpong")
	segment := []byte{0x00, 0x41, 0x80, 0x80, 0x01, 0x0b} // active, at 16384
	if !bytes.Contains(good, segment) {
		t.Fatal("the sample's data segment is elsewhere")
	}
	bad := bytes.Replace(good, segment, []byte{0x00, 0x41, 0xff, 0xff, 0x1f, 0x0b}, 1)
	p := load(t, engines(t)[0], bad)
	if _, err := p.NewInstance(t.Context(), plenty, 0); holo.KindOf(err) != holo.KernelTrapped || holo.ReasonOf(err) != Trap {
		t.Errorf("a data segment outside memory: %v", err)
	}
}
