package sandbox

import (
	"bytes"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/kernels"
)

// Machine code that one engine made is what another one runs, without compiling;
// the hook that this takes in the engine is where it is expected.
func TestMachineCodeIsUsedAndMade(t *testing.T) {
	ctx := t.Context()
	m, err := module.Admit(kernels.Get("loop"))
	if err != nil {
		t.Fatal(err)
	}
	fresh := func() *Engine {
		e, err := New(ctx, Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = e.Close(ctx) })
		return e
	}
	first, second, third := fresh(), fresh(), fresh()
	_, made, err := first.Compile(ctx, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := first.Fingerprint(ctx)
	if first.Kind() == Interpreter {
		if len(made) > 0 || err != nil || f != [32]byte{} {
			t.Errorf("an interpreter makes code: %d bytes, %x, %v", len(made), f, err)
		}
		return
	}
	if g, err2 := second.Fingerprint(ctx); err != nil || err2 != nil || f != g || f == [32]byte{} {
		t.Errorf("fingerprints %x and %x, %v, %v", f, g, err, err2)
	}
	if len(made) == 0 {
		t.Fatal("nothing was made")
	}
	p, again, err := second.Compile(ctx, m, made)
	if err != nil || len(again) != 0 {
		t.Fatalf("the offer was not taken: %d bytes made, %v", len(again), err)
	}
	want, err1 := first.mustLoad(t, m).Reduce(ctx, Call{Function: "attack", N: 1, Gas: 1000, Acc: make([]byte, 64), Inputs: []View{{Type: holo.I64, Bytes: make([]byte, 8)}}})
	got, err2 := p.Reduce(ctx, Call{Function: "attack", N: 1, Gas: 1000, Acc: make([]byte, 64), Inputs: []View{{Type: holo.I64, Bytes: make([]byte, 8)}}})
	if want != got || err1 == nil || err2 == nil || err1.Error() != err2.Error() {
		t.Errorf("%+v, %v; from machine code %+v, %v", want, err1, got, err2)
	}
	if _, again, err := third.Compile(ctx, m, []byte("not code at all, and long enough to be read")); err != nil || !bytes.Equal(again, made) {
		t.Errorf("an offer that is none: %d bytes made, %v", len(again), err)
	}
}

func (e *Engine) mustLoad(t *testing.T, m *module.Module) *Program {
	t.Helper()
	p, err := e.Load(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
