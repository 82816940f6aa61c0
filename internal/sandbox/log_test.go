package sandbox

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/kernels"
)

// say is a call of a kernel that logs its parameters and copies its input.
func say(function string, params []byte) Call {
	in := words(holo.U8, 5, func(i int) uint64 { return uint64(i) })
	return Call{Function: function, N: 5, Params: params, Inputs: []View{in}, Outputs: []View{{holo.U8, make([]byte, 5)}}}
}

// heard runs a call in an instance of its own, and tells what it logged.
func heard(t *testing.T, p *Program, gas holo.Gas, c Call) (wire.Said, Result, error) {
	t.Helper()
	i, err := p.NewInstance(t.Context(), gas, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	res, err := i.Run(t.Context(), module.Map, c)
	return i.Said(), res, err
}

// What a kernel logs costs gas by its length, kept or not, is bounded, and
// changes no result: with a quota that is used up it does the same.
func TestLogsAreBoundedPaidForAndChangeNothing(t *testing.T) {
	for _, e := range engines(t) {
		p := load(t, e, kernels.Get("logs"))
		i, err := p.NewInstance(t.Context(), plenty, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close()
		text := []byte(strings.Repeat("x", wire.MaxSaidLine))
		if _, err := i.Run(t.Context(), module.Map, say("say", text)); err != nil { // it has its memory now
			t.Fatal(err)
		}
		none := say("say", nil)
		free, err := i.Run(t.Context(), module.Map, none)
		if err != nil {
			t.Fatal(err)
		}
		i.Said()
		const calls = 3 * wire.MaxSaidBytes / wire.MaxSaidLine
		for n := range calls {
			c := say("say", text)
			res, err := i.Run(t.Context(), module.Map, c)
			if want := free.Gas + holo.Gas(len(text)); err != nil || res.Gas != want || !bytes.Equal(c.Outputs[0].Bytes, none.Outputs[0].Bytes) {
				t.Fatalf("%s, call %d: %d gas, %v, %x; without a text %d and %x", e.Kind(), n, res.Gas, err, c.Outputs[0].Bytes, free.Gas, none.Outputs[0].Bytes)
			}
		}
		said := i.Said()
		if len(said.Lines) != wire.MaxSaidBytes/wire.MaxSaidLine || said.Lost != calls-wire.MaxSaidBytes/wire.MaxSaidLine {
			t.Errorf("%s: %d lines kept, %d lost", e.Kind(), len(said.Lines), said.Lost)
		}
		if again := i.Said(); len(again.Lines) != 0 || again.Lost != 0 {
			t.Errorf("%s: %d lines twice", e.Kind(), len(again.Lines))
		}
	}
}

// A budget ends a kernel at the log that it cannot pay, to the unit, and that
// text is not logged.
func TestALogThatCannotBePaidIsNotLogged(t *testing.T) {
	for _, e := range engines(t) {
		p := load(t, e, kernels.Get("logs"))
		said, all, err := heard(t, p, plenty, say("say", []byte("text")))
		if err != nil || !slices.Equal(said.Lines, []string{"text"}) {
			t.Fatal(said, err)
		}
		i, err := p.NewInstance(t.Context(), plenty, 0)
		if err != nil {
			t.Fatal(err)
		}
		whole := all.Gas + i.Used() // with what setting up costs
		i.Close()
		for _, gas := range []holo.Gas{whole, whole - 1, whole - logPrice - 1000} {
			said, _, err := heard(t, p, gas, say("say", []byte("text")))
			if gas == whole && (err != nil || len(said.Lines) != 1) || gas < whole && holo.ReasonOf(err) != OutOfGas {
				t.Errorf("%s with %d of %d gas: %q, %v", e.Kind(), gas, whole, said.Lines, err)
			}
		}
		if said, _, err := heard(t, p, logPrice, say("say", []byte("text"))); err == nil || len(said.Lines) != 0 {
			t.Errorf("%s: %q was logged for less than its price: %v", e.Kind(), said.Lines, err)
		}
	}
}

// A text that is not the kernel's memory ends the kernel, and nothing else.
func TestALogOfForeignMemoryTraps(t *testing.T) {
	for _, e := range engines(t) {
		p := load(t, e, kernels.Get("logs"))
		for _, at := range [][2]uint32{{math.MaxUint32, 1}, {0, math.MaxUint32}, {1 << 31, 1 << 31}, {math.MaxUint32, math.MaxUint32}, {64 << 20, 1}} {
			params := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, at[0]), at[1])
			said, _, err := heard(t, p, plenty, say("wild", params))
			if holo.KindOf(err) != holo.KernelTrapped || holo.ReasonOf(err) != Trap || !strings.Contains(err.Error(), "not its memory") || len(said.Lines) != 0 {
				t.Errorf("%s, %d bytes at %d: %q, %v", e.Kind(), at[1], at[0], said.Lines, err)
			}
		}
	}
}

// What was logged before a kernel fails is there: it may say why.
func TestAKernelThatFailsHasLogged(t *testing.T) {
	p := load(t, engines(t)[0], kernels.Get("logs"))
	if said, _, err := heard(t, p, plenty, say("fail", []byte("because"))); holo.ReasonOf(err) != KernelError || !slices.Equal(said.Lines, []string{"because"}) {
		t.Errorf("%q, %v", said.Lines, err)
	}
}

// A kernel of each language logs the same, and escape sequences come out as text.
func TestKernelsOfAllLanguagesLogTheSame(t *testing.T) {
	e := engines(t)[0]
	modules := map[string][]byte{"c": kernels.Get("logs")}
	for _, language := range []string{"go", "rust", "assemblyscript", "wat"} {
		wasm, err := os.ReadFile("../../kernels/say/" + language + ".wasm")
		if err != nil {
			t.Fatal(err)
		}
		modules[language] = wasm
	}
	for language, wasm := range modules {
		p := load(t, e, wasm)
		c := say("say", []byte("one\n\x1b[2Jtwo\n"))
		said, _, err := heard(t, p, plenty, c)
		if err != nil || !slices.Equal(said.Lines, []string{"one", "\uFFFD[2Jtwo"}) || !bytes.Equal(c.Outputs[0].Bytes, c.Inputs[0].Bytes) {
			t.Errorf("%s: %q, %v", language, said.Lines, err)
		}
	}
}
