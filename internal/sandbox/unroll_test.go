package sandbox

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
)

// counting is a kernel whose loop writes 1, 2, 3, ... to its output, n of them,
// and then 9 over the first. turn stands in front of each turn.
func counting(t *testing.T, e *Engine, turn ...byte) *Program {
	t.Helper()
	f := append([]byte{1, 2, 0x7f, // locals 1 and 2: i, out
		0x20, 0, 0x28, 2, 80, 0x21, 2, // out = pointer of the second view
		0x03, 0x40}, turn...)
	f = append(f,
		0x20, 2, 0x20, 1, 0x6a, 0x20, 1, 0x41, 1, 0x6a, 0x22, 1, 0x3a, 0, 0, // out[i] = ++i
		0x20, 1, 0x20, 0, 0x28, 2, 16, 0x49, 0x0d, 0, // again while i < n
		0x20, 2, 0x41, 9, 0x3a, 0, 0, 0x0b, // out[0] = 9
		0x41, 0, 0x0b)
	section := func(id byte, items ...[]byte) []byte {
		b := append([]byte{byte(len(items))}, bytes.Join(items, nil)...)
		return append([]byte{id, byte(len(b))}, b...)
	}
	sized := func(b ...byte) []byte { return append([]byte{byte(len(b))}, b...) }
	export := func(name string, what ...byte) []byte { return append(sized([]byte(name)...), what...) }
	wasm := bytes.Join([][]byte{
		[]byte("\x00asm\x01\x00\x00\x00"),
		section(1, []byte{0x60, 1, 0x7f, 1, 0x7f}, []byte{0x60, 0, 1, 0x7f}, []byte{0x60, 2, 0x7f, 0x7f, 1, 0x7f}),
		section(3, []byte{1}, []byte{2}, []byte{0}),
		section(5, []byte{0, 4}),
		section(7, export("memory", 2, 0), export("holo_abi", 0, 0), export("holo_alloc", 0, 1), export("holo_map_f", 0, 2)),
		section(10, sized(0, 0x41, 1, 0x0b), sized(0, 0x41, 0x80, 0x80, 0x04, 0x0b), sized(f...)), // abi 1, arena at 65536
	}, nil)
	return load(t, e, wasm)
}

// A loop that is one straight line runs several turns between two looks at its
// gas. For each number of turns and each budget it does what the same loop does
// that is looked at on every turn, because an empty block, which is free, stands
// in it: the same bytes, the same gas, the same end.
func TestUnrolledLoopsStopWhereOthersDo(t *testing.T) {
	trap := []byte{0x20, 1, 0x41, 17, 0x74, 0x28, 2, 0, 0x1a} // load at i<<17: beyond memory for i = 2
	for _, e := range engines(t) {
		for name, turn := range map[string][]byte{"plain": nil, "trap": trap} {
			straight, looked := counting(t, e, turn...), counting(t, e, append([]byte{0x02, 0x40, 0x0b}, turn...)...)
			if a, b := len(straight.Module().Metered), len(looked.Module().Metered); a <= b {
				t.Fatalf("metered code of %d bytes, and of %d where no loop is unrolled", a, b)
			}
			for n := uint32(1); n <= 11; n++ {
				total := holo.Gas(100)
				for budget := holo.Gas(0); budget <= total+1; budget++ {
					if budget == 0 {
						_, total, _ = count(t, looked, n, plenty)
					}
					outA, gasA, endA := count(t, straight, n, budget)
					outB, gasB, endB := count(t, looked, n, budget)
					if gasA != gasB || endA != endB || !bytes.Equal(outA, outB) {
						t.Fatalf("%s, %s, %d turns, %d gas: %x, %d gas, %q; looked at on every turn: %x, %d gas, %q", e.Kind(), name, n, budget, outA, gasA, endA, outB, gasB, endB)
					}
				}
			}
		}
	}
}

func count(t *testing.T, p *Program, n uint32, budget holo.Gas) (out []byte, used holo.Gas, end string) {
	t.Helper()
	i, err := p.NewInstance(t.Context(), budget, 0)
	if err != nil {
		return nil, 0, holo.ReasonOf(err)
	}
	defer i.Close()
	c := Call{Function: "f", N: n, Inputs: []View{{holo.U8, make([]byte, n)}}, Outputs: []View{{holo.U8, make([]byte, n)}}}
	_, err = i.Run(t.Context(), module.Map, c)
	if i.room > 0 { // also what a call that was stopped had written
		out = bytes.Clone(i.bytes(i.arena+LayoutOf(&c).Views[1], n))
	}
	return out, i.Used(), fmt.Sprint(holo.ReasonOf(err))
}
