package sandbox

import (
	"context"
	"errors"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/kernels"
)

// attack is the call that every hostile kernel takes.
func attack() Call {
	return Call{Function: "attack", N: 1, Inputs: []View{{holo.I64, make([]byte, 8)}}, Acc: make([]byte, 64)}
}

// halt is where a kernel stops: the same on every processor and engine, so it
// stands here and is not compared with a run of the same machine only.
type halt struct {
	reason string
	gas    holo.Gas // used, of a budget of 3,000,000
	pages  uint32   // of memory, at the peak
}

var halts = map[string]halt{
	"loop":      {OutOfGas, 3_000_006, 2},
	"doubling":  {OutOfGas, 3_000_001, 2},
	"recursion": {CallDepth, 14_908, 2},
	"bulk":      {OutOfGas, 3_017_197, 130},
	"grow":      {OutOfGas, 67_109_966, 2},
	"hoard":     {OutOfMemory, 464_447, 300},
	"table":     {OutOfGas, 3_003_179, 2},
	"pingpong":  {OutOfGas, 3_000_007, 2},
	"chatter":   {OutOfGas, 3_032_821, 2},
}

// The kernels of mission row EX-2 stop, each for its reason, at exactly this
// gas on ten runs, on both engines, and on the processors of scripts/processors.sh.
func TestHostileKernelsStopAtTheSameGas(t *testing.T) {
	const budget = 3_000_000
	list := kernels.Hostile()
	if len(list) != len(halts) {
		t.Fatalf("%d hostile kernels, %d known", len(list), len(halts))
	}
	both := engines(t)
	for _, k := range list {
		t.Run(k.Name, func(t *testing.T) {
			for i, e := range both {
				p := load(t, e, k.Wasm)
				for run := range 10 >> (3 * i) { // ten by the compiler, where there is one, and one by the interpreter
					res, err := runAttack(t, p, budget)
					got := halt{holo.ReasonOf(err), res.Gas, res.PeakPages}
					if holo.KindOf(err) != holo.KernelTrapped || got != halts[k.Name] {
						t.Fatalf("run %d on the %s: %+v, want %+v: %v", run, e.Kind(), got, halts[k.Name], err)
					}
				}
			}
		})
	}
}

func runAttack(t *testing.T, p *Program, budget holo.Gas) (Result, error) {
	t.Helper()
	i, err := p.NewInstance(t.Context(), budget, 300)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	return i.Run(t.Context(), module.Reduce, attack())
}

// The slice is when a kernel is asked, not where it stops: a budget of many
// slices ends at the gas that one instruction less would not have reached.
func TestAnEndlessKernelUsesItsWholeBudget(t *testing.T) {
	p := load(t, engines(t)[0], kernels.Get("loop"))
	for _, budget := range []holo.Gas{10_000, slice - 1, slice, slice + 1, 10*slice + 7} {
		res, err := runAttack(t, p, budget)
		if holo.ReasonOf(err) != OutOfGas || res.Gas <= budget || res.Gas > budget+200 {
			t.Errorf("a budget of %d: %d used, %v", budget, res.Gas, err)
		}
	}
}

// What is in a loop is paid for on every turn. The loop of scale is a straight
// line: for each element it loads, multiplies, stores and counts.
func TestATurnOfALoopPaysForWhatIsInIt(t *testing.T) {
	const n, least = 4096, 6
	for _, e := range engines(t) {
		used := func(n int) holo.Gas {
			c := Call{Function: "scale", N: uint32(n), Params: make([]byte, 8), Inputs: []View{{holo.F64, make([]byte, 8*n)}}, Outputs: []View{{holo.F64, make([]byte, 8*n)}}, Gas: plenty}
			res, err := runOnce(load(t, e, kernels.Get("basic")), module.Map, c)
			if err != nil {
				t.Fatal(err)
			}
			return res.Gas
		}
		if more := used(2*n) - used(n); more < least*n {
			t.Errorf("%s: %d elements more cost %d gas", e.Kind(), n, more)
		}
	}
}

// A bulk operation pays for its length before it runs. The hostile kernel's
// first, of 4 MiB, is 262,144 gas, and the memory for it half of that.
func TestABulkOperationPaysForItsLength(t *testing.T) {
	const budget, least = 200_000, 300_000
	p := load(t, engines(t)[0], kernels.Get("bulk"))
	if res, err := runAttack(t, p, budget); holo.ReasonOf(err) != OutOfGas || res.Gas < least {
		t.Errorf("it stopped after %d gas of %d: %v", res.Gas, budget, err)
	}
}

func TestCancellingEndsAnEndlessKernel(t *testing.T) {
	for _, name := range []string{"loop", "doubling", "bulk", "pingpong"} {
		p := load(t, engines(t)[0], kernels.Get(name))
		i, err := p.NewInstance(t.Context(), MaxGas, 300)
		if err != nil {
			t.Fatal(err)
		}
		gaveUp := errors.New("gave up")
		ctx, cancel := context.WithCancelCause(t.Context())
		// The kernel runs when the context ends: the third look at it, by yield, ends it.
		_, err = i.Run(&endsAtLook{Context: ctx, end: func() { cancel(gaveUp) }, left: 3}, module.Reduce, attack())
		if holo.KindOf(err) != holo.Cancelled || !errors.Is(err, gaveUp) {
			t.Errorf("%s: %v, want cancelled", name, err)
		}
		if i.Used() < slice {
			t.Errorf("%s: ended after %d gas, before it ran", name, i.Used())
		}
		if _, err := i.Run(t.Context(), module.Reduce, attack()); holo.KindOf(err) != holo.Invalid {
			t.Errorf("%s: ran on after it was cancelled: %v", name, err)
		}
		i.Close()
	}
}

// endsAtLook is a context that ends when it is looked at for the left-th time.
type endsAtLook struct {
	context.Context
	end  func()
	left int
}

func (c *endsAtLook) Err() error {
	if c.left--; c.left == 0 {
		c.end()
	}
	return c.Context.Err()
}
