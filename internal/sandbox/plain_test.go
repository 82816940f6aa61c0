package sandbox

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/holocompute/holocompute/internal/module"
)

// plain runs a kernel's original bytes, without gas and without this package's
// Instance: what metering is compared with.
type plain struct {
	mod   api.Module
	arena uint32
}

func newPlain(t testing.TB, wasm []byte) *plain {
	t.Helper()
	rt := wazero.NewRuntime(t.Context())
	t.Cleanup(func() { rt.Close(context.Background()) })
	mod, err := rt.Instantiate(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	return &plain{mod: mod}
}

// load lays the call out and returns how to run it.
func (p *plain) load(t testing.TB, kind module.Kind, c *Call) (run func()) {
	t.Helper()
	l := LayoutOf(c)
	if p.arena == 0 {
		at, err := p.mod.ExportedFunction("holo_alloc").Call(t.Context(), uint64(l.Size), arenaAlign)
		if err != nil || at[0] == 0 {
			t.Fatal(at, err)
		}
		p.arena = uint32(at[0])
	}
	mem := p.mod.Memory()
	mem.Write(p.arena, l.describe(c, p.arena))
	mem.Write(p.arena+l.Params, c.Params)
	mem.Write(p.arena+l.Acc, c.Acc)
	for i := range l.Views {
		mem.Write(p.arena+l.Views[i], c.view(i).Bytes)
	}
	f := p.mod.ExportedFunction(module.Function{Kind: kind, Name: c.Function}.Export())
	return func() {
		if status, err := f.Call(t.Context(), uint64(p.arena)); err != nil || int32(status[0]) != 0 {
			t.Fatal(status, err)
		}
	}
}

// take reads accumulator and outputs back into the call.
func (p *plain) take(c *Call) {
	l := LayoutOf(c)
	acc, _ := p.mod.Memory().Read(p.arena+l.Acc, uint32(len(c.Acc)))
	copy(c.Acc, acc)
	for i, v := range c.Outputs {
		b, _ := p.mod.Memory().Read(p.arena+l.Views[len(c.Inputs)+i], uint32(len(v.Bytes)))
		copy(v.Bytes, b)
		canonicalise(v)
	}
}
