package workers

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
)

// bomb is a module within the limits of the validator that is dear to compile:
// functions of as many branches as it lets in, each with many locals. With 8
// functions, which is all that is admitted, it compiled in 3.0 s.
func bomb(t *testing.T, functions, branches int) *module.Module {
	t.Helper()
	u := func(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }
	vector := func(items ...[]byte) []byte {
		v := u(len(items))
		for _, i := range items {
			v = append(v, i...)
		}
		return v
	}
	sized := func(b []byte) []byte { return append(u(len(b)), b...) }
	section := func(id byte, b []byte) []byte { return append([]byte{id}, sized(b)...) }
	export := func(name string, kind, index byte) []byte { return append(sized([]byte(name)), kind, index) }
	code := []byte{1, 12, 0x7e} // 12 locals of i64
	for i := range branches {
		local := byte(i % 12)
		code = append(code, 0x41, 1, 0x04, 0x40, 0x20, local, 0x42, 1, 0x7c, 0x21, (local+5)%12, 0x0b) // if: a local from another one
	}
	code = append(code, 0x0b)
	types := [][]byte{{1}, {2}, {0}}
	bodies := [][]byte{sized([]byte{0, 0x41, 1, 0x0b}), sized([]byte{0, 0x41, 0, 0x0b}), sized([]byte{0, 0x41, 0, 0x0b})}
	for range functions {
		types, bodies = append(types, []byte{3}), append(bodies, sized(code))
	}
	b := []byte("\x00asm\x01\x00\x00\x00")
	b = append(b, section(1, vector([]byte{0x60, 1, 0x7f, 1, 0x7f}, []byte{0x60, 0, 1, 0x7f}, []byte{0x60, 2, 0x7f, 0x7f, 1, 0x7f}, []byte{0x60, 0, 0}))...)
	b = append(b, section(3, vector(types...))...)
	b = append(b, section(5, []byte{1, 0, 1})...)
	b = append(b, section(7, vector(export("memory", 2, 0), export("holo_abi", 0, 0), export("holo_alloc", 0, 1), export("holo_red_attack", 0, 2)))...)
	b = append(b, section(10, vector(bodies...))...)
	m, err := module.Admit(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A module that is dear to compile does so within a worker's time and memory,
// or is refused for one of them.
func TestDearModuleCompilesWithinTheLimits(t *testing.T) {
	p := pool(t, Options{})
	begun := time.Now()
	_, err := p.Run(t.Context(), attackTask(bomb(t, 2, 4000), 1000))
	t.Logf("%s: %v", time.Since(begun), err)
	switch holo.ReasonOf(err) {
	case CompileTime, CompileMemory: // refused
	case sandbox.OutOfMemory, sandbox.KernelError: // compiled: its alloc gives nothing
	default:
		t.Errorf("%v", err)
	}
}

// Compilation is killed at its deadline, with an error that says so and
// that another node may do better; the next module compiles.
func TestCompilationIsKilledAtItsDeadline(t *testing.T) {
	p := New(Options{Max: 1})
	p.compile = 50 * time.Millisecond
	t.Cleanup(p.Close)
	if _, err := p.State(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := only(t, p)
	_, err := p.Run(t.Context(), attackTask(bomb(t, 8, 4000), 1000))
	if holo.KindOf(err) != holo.Exhausted || holo.ReasonOf(err) != CompileTime {
		t.Errorf("%v", err)
	}
	if <-w.ended; w.how != "signal: killed" {
		t.Errorf("its process: %s", w.how)
	}
	p.compile = compileLimit
	if _, err := p.Run(t.Context(), attackTask(sample(t, "loop"), 1000)); holo.ReasonOf(err) != sandbox.OutOfGas {
		t.Errorf("the next module: %v", err)
	}
}

// The engine's own deadline is one by the clock too; what is wrong with a module
// stays wrong everywhere.
func TestOnlyTheClockIsTriedAgain(t *testing.T) {
	late := holo.Refuse(holo.Invalid, CompileTime, "compile: not done after 10s")
	if err := slow(late); holo.KindOf(err) != holo.Exhausted || holo.ReasonOf(err) != CompileTime || err.Error() != late.Error() {
		t.Errorf("late: %s: %v", holo.KindOf(err), err)
	}
	for _, err := range []error{holo.Errorf(holo.Invalid, "compile: no module"), holo.Refuse(holo.Invalid, CompileMemory, "compile: crashed")} {
		if got := slow(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}
