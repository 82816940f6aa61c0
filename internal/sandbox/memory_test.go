package sandbox

import (
	"bytes"
	"context"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/kernels"
)

// shared is an engine whose linear memory lies where the test sees it.
func shared(t *testing.T) (*Engine, []byte) {
	t.Helper()
	memory := make([]byte, DefaultMemoryPages*int(PageBytes))
	e, err := New(t.Context(), Config{Memory: memory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close(context.Background()) })
	return e, memory
}

// In shared memory an instance begins with what any other begins with: what the
// one before left, or who shares the memory wrote, is not there.
func TestSharedMemoryBeginsAsZerosForEachInstance(t *testing.T) {
	e, memory := shared(t)
	p := load(t, e, kernels.Get("basic"))
	fresh := load(t, engines(t)[0], kernels.Get("basic"))
	for range 3 {
		ours, err := p.NewInstance(t.Context(), plenty, 0)
		if err != nil {
			t.Fatal(err)
		}
		other, err := fresh.NewInstance(t.Context(), plenty, 0)
		if err != nil {
			t.Fatal(err)
		}
		size := other.mod.Memory().Size()
		if want := other.bytes(0, size); !bytes.Equal(memory[:size], want) || !bytes.Equal(memory[size:], make([]byte, len(memory)-int(size))) {
			t.Fatal("memory does not begin as the module defines it")
		}
		other.Close()
		ones := bytes.Repeat([]byte{1}, 1<<20)
		c := Call{Function: "add", N: 1 << 20, Inputs: []View{{holo.I8, ones}, {holo.I8, ones}}, Outputs: []View{{holo.I8, make([]byte, 1<<20)}}}
		if _, err := ours.Run(t.Context(), module.Map, c); err != nil {
			t.Fatal(err)
		}
		ours.Close()
		for i := range size {
			memory[i] = 0xee
		}
	}
}

// A call whose views lie in their place gives what one with views of its own
// gives, and copies nothing: the bytes of the views are those of memory.
func TestCallsInPlaceGiveTheSame(t *testing.T) {
	e, memory := shared(t)
	for _, k := range sampleCalls() {
		p := load(t, e, kernels.Get(k.module))
		want := k.call()
		res, err := runOnce(load(t, engines(t)[0], kernels.Get(k.module)), k.kind, func() Call { want.Gas = plenty; return want }())
		if err != nil {
			t.Fatal(err)
		}
		i, err := p.NewInstance(t.Context(), plenty, 0)
		if err != nil {
			t.Fatal(err)
		}
		c := k.call()
		before := i.Used()
		at, err := i.Place(t.Context(), k.kind, c)
		if err != nil {
			t.Fatal(err)
		}
		l := LayoutOf(&c)
		place := func(b []byte, off uint32) []byte {
			there := memory[at+off:][:len(b):len(b)]
			copy(there, b)
			return there
		}
		c.Acc, c.Params = place(c.Acc, l.Acc), place(c.Params, l.Params)
		for n := range c.Inputs {
			c.Inputs[n].Bytes = place(c.Inputs[n].Bytes, l.Views[n])
		}
		for n := range c.Outputs {
			c.Outputs[n].Bytes = place(c.Outputs[n].Bytes, l.Views[len(c.Inputs)+n])
		}
		if _, err := i.Run(t.Context(), k.kind, c); err != nil {
			t.Fatal(err)
		}
		same := bytes.Equal(c.Acc, want.Acc)
		for n := range c.Outputs {
			same = same && bytes.Equal(c.Outputs[n].Bytes, want.Outputs[n].Bytes)
		}
		if !same || i.Used()-before != res.Gas {
			t.Errorf("%s: other bytes, or %d gas where it is %d", k.name(), i.Used()-before, res.Gas)
		}
		i.Close()
	}
}

func TestTooLittleMemoryIsRefused(t *testing.T) {
	if _, err := New(t.Context(), Config{Memory: make([]byte, PageBytes), MaxMemoryPages: 2}); holo.KindOf(err) != holo.Invalid {
		t.Errorf("one page for two: %v", err)
	}
}
