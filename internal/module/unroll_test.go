package module

import "testing"

// straightLoop counts a local down to zero.
func straightLoop() []byte {
	return []byte{opLoop, blockEmpty, opLocalGet, 0, opI32Const, 1, opI32Sub, opLocalTee, 0, opBrIf, 0, opEnd}
}

// meteredSize is the size of a kernel, metered, with functions that have so many
// straight loops each.
func meteredSize(t *testing.T, functions, loops int) int {
	t.Helper()
	b := kernel(zero()...)
	b.types = append(b.types, []byte{0x60, 1, byte(i32), 0})
	for range functions {
		b.add(byte(len(b.types)-1), body(noLocals, repeat(loops, straightLoop()...)))
	}
	metered, err := Meter(b.bytes())
	if err != nil {
		t.Fatal(err)
	}
	return len(metered)
}

// Neither a function nor a module has more than some loops unrolled, and a
// function of many branches has none.
func TestUnrollingIsBounded(t *testing.T) {
	more := func(functions, loops int) int {
		return meteredSize(t, functions, loops) - meteredSize(t, functions, loops-1)
	}
	unrolled, plain := more(1, 1), more(1, maxUnrolled+1)
	if plain >= unrolled || more(1, maxUnrolled) <= plain {
		t.Errorf("one more loop takes %d bytes, after %d of them %d", unrolled, maxUnrolled, plain)
	}
	each := func(functions int) int { return meteredSize(t, functions, 1) - meteredSize(t, functions-1, 1) }
	if first, last := each(10), each(maxAllUnrolled+10); last >= first {
		t.Errorf("a function with a loop takes %d bytes, after %d of them %d", first, maxAllUnrolled, last)
	}
	if few, many := meteredSize(t, 1, 10), meteredSize(t, 1, maxBranchesUnrolled); many > few*maxBranchesUnrolled/10*2/3 {
		t.Errorf("10 loops take %d bytes, %d of them %d", few, maxBranchesUnrolled, many)
	}
}
