package module

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func TestModuleIDIsTheHashOfTheOriginal(t *testing.T) {
	wasm := kernel(zero()...).bytes()
	m, err := Admit(wasm)
	if err != nil {
		t.Fatal(err)
	}
	if m.ID != ID(wasm) || !bytes.Equal(m.Original, wasm) || bytes.Equal(m.Metered, wasm) || m.MinPages != 1 {
		t.Errorf("admitted as %+v", m)
	}
	if len(m.Functions) != 1 || m.Functions[0].Export() != "holo_map_f" || !m.Has(Map, "f") || m.Has(Reduce, "f") || m.Has(Map, "g") {
		t.Errorf("functions %v", m.Functions)
	}
}

func TestMeteringIsAFunctionOfTheBytes(t *testing.T) {
	wasm := kernel(zero(nested(5, opLoop)...)...).bytes()
	first, err := Meter(wasm)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if again, err := Meter(bytes.Clone(wasm)); err != nil || !bytes.Equal(first, again) {
			t.Fatalf("metered differently (%v)", err)
		}
	}
}

func TestKernelNamesAreReadFromExports(t *testing.T) {
	for _, c := range []struct {
		export string
		want   Function
		ok     bool
	}{
		{"holo_map_scale", Function{Map, "scale"}, true},
		{"holo_red_by_hour", Function{Reduce, "by_hour"}, true},
		{"holo_comb_x", Function{Combine, "x"}, true},
		{"holo_fin_x", Function{Finish, "x"}, true},
		{"holo_task_sort", Function{Task, "sort"}, true},
		{"holo_map_", Function{}, false},
		{"holo_abi", Function{}, false},
		{"map_scale", Function{}, false},
	} {
		f, ok := kernelOf(c.export)
		if f != c.want || ok != c.ok || ok && f.Export() != c.export {
			t.Errorf("%s: %v %v", c.export, f, ok)
		}
	}
}

func TestNumbersReadBackAndOverlongOnesAreRefused(t *testing.T) {
	for _, v := range []int64{0, 1, -1, 63, 64, -64, -65, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64} {
		b := appendSigned(nil, v)
		r := &reader{b: b, end: len(b)}
		if got := r.signed(64); got != v || r.done("number") != nil {
			t.Errorf("%d reads back as %d (%v)", v, got, r.err)
		}
	}
	for _, v := range []uint32{0, 127, 128, math.MaxUint32} {
		b := appendU32(nil, v)
		r := &reader{b: b, end: len(b)}
		if got := r.u32(); got != v || r.done("number") != nil {
			t.Errorf("%d reads back as %d (%v)", v, got, r.err)
		}
	}
	for _, c := range []struct {
		bits int // 0: unsigned
		b    []byte
		ok   bool
	}{
		{0, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, true},
		{0, []byte{0xff, 0xff, 0xff, 0xff, 0x1f}, false},
		{0, []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x00}, false},
		{32, []byte{0xff, 0xff, 0xff, 0xff, 0x7f}, true},
		{32, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, false},
		{33, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, true},
		{33, []byte{0x80, 0x80, 0x80, 0x80, 0x20}, false},
		{64, []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f}, true},
		{64, []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}, false},
	} {
		r := &reader{b: c.b, end: len(c.b)}
		if c.bits == 0 {
			r.u32()
		} else {
			r.signed(c.bits)
		}
		if ok := r.done("number") == nil; ok != c.ok {
			t.Errorf("%x in %d bits: %v", c.b, c.bits, r.err)
		}
	}
}

// A table without a maximum, or with a large one, gets the largest that a
// kernel may have; one below stays.
func TestTableMaximaAreRewritten(t *testing.T) {
	for _, c := range []struct{ table, want []byte }{
		{[]byte{byte(funcref), 0, 5}, append([]byte{byte(funcref), 1, 5}, appendU32(nil, maxTableSize)...)},
		{append([]byte{byte(externref), 1, 5}, appendU32(nil, math.MaxUint32)...), append([]byte{byte(externref), 1, 5}, appendU32(nil, maxTableSize)...)},
		{[]byte{byte(funcref), 1, 5, 6}, []byte{byte(funcref), 1, 5, 6}},
	} {
		b := kernel(zero()...)
		b.tables = [][]byte{c.table}
		metered, err := Meter(b.bytes())
		if err != nil {
			t.Fatal(err)
		}
		if want := appendSection(nil, secTable, append([]byte{1}, c.want...)); !bytes.Contains(metered, want) {
			t.Errorf("table %x is not %x in %x", c.table, want, metered)
		}
	}
}

// The cost of a function is that of its straight lines: what cannot be reached
// is free, structure is free, the table's prices hold.
func TestSegmentsCostWhatTheTableSays(t *testing.T) {
	for _, c := range []struct {
		name string
		code []byte
		want []int64
	}{
		{"two constants and a sum", []byte{opI32Const, 1, opI32Const, 2, opI32Add}, []int64{3}},
		{"division", []byte{opI32Const, 1, opI32Const, 2, 0x6d}, []int64{10}},
		{"dead code", []byte{opI32Const, 1, opReturn, opI32Const, 2, opI32Const, 2, opI32Add}, []int64{1}},
		{"dead block", []byte{opI32Const, 1, opReturn, opBlock, blockEmpty, opI32Const, 1, opDrop, opEnd}, []int64{1, 0}},
		{"loop", []byte{opLoop, blockEmpty, opI32Const, 0, opBrIf, 0, opNop, opEnd, opI32Const, 0}, []int64{0, 2, 0, 1}},
		{"if", []byte{opI32Const, 1, opIf, byte(i32), opI32Const, 1, opElse, opI32Const, 2, opEnd}, []int64{2, 1, 1, 0}},
	} {
		p, err := parse(kernel(c.code...).bytes())
		if err != nil {
			t.Fatal(err)
		}
		checked, err := p.check(p.bodies[2], p.types[p.funcs[2]])
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := checked.plan.costs; !slices.Equal(got, c.want) {
			t.Errorf("%s costs %v, want %v", c.name, got, c.want)
		}
	}
}

// Only an innermost loop that nothing leaves is tight.
func TestTightLoopsAreInnermostAndStayInside(t *testing.T) {
	loop := func(inner ...byte) []byte { return append(append([]byte{opLoop, blockEmpty}, inner...), opEnd) }
	fill := []byte{opI32Const, 0, opI32Const, 0, opI32Const, 0, 0xfc, 11, 0}
	for _, c := range []struct {
		name string
		code []byte
		want []bool
	}{
		{"one", loop(), []bool{true}},
		{"nested", loop(loop()...), []bool{false, true}},
		{"after a nested one", loop(append(loop(), loop()...)...), []bool{false, true, true}},
		{"with a call", loop(opCall, 0, opDrop), []bool{false}},
		{"with a call in a block", loop(opBlock, blockEmpty, opCall, 0, opDrop, opEnd), []bool{false}},
		{"call after an inner loop", loop(append(loop(), opCall, 0, opDrop)...), []bool{false, true}},
		{"with a fill", loop(fill...), []bool{false}},
		{"with growth", loop(opI32Const, 1, opMemoryGrow, 0, opDrop), []bool{false}},
	} {
		p, err := parse(kernel(zero(c.code...)...).bytes())
		if err != nil {
			t.Fatal(err)
		}
		checked, err := p.check(p.bodies[2], p.types[p.funcs[2]])
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for i, want := range c.want {
			if checked.plan.tight[i] != want {
				t.Errorf("%s: loop %d tight %v", c.name, i, !want)
			}
		}
	}
}

func TestPriceTableCoversEveryOpcode(t *testing.T) {
	n := 0
	for op := range opcodes {
		if opcodes[op].form != invalid {
			n++
		}
	}
	// WebAssembly 2.0: 183 opcodes of one byte, 18 after 0xfc, 236 of SIMD.
	if want := 183 + 18 + 236; n != want {
		t.Errorf("%d opcodes, want %d", n, want)
	}
}

func FuzzAdmit(f *testing.F) {
	for _, a := range attacks {
		if wasm := a.module(); len(wasm) < 4096 {
			f.Add(wasm)
		}
	}
	f.Add(kernel(zero(nested(3, opLoop)...)...).bytes())
	f.Fuzz(func(t *testing.T, wasm []byte) {
		m, err := Admit(wasm)
		if err == nil && (len(m.Functions) == 0 || m.ID != ID(wasm)) {
			t.Error("admitted without a kernel or under another ID")
		}
		if err != nil && holo.KindOf(err) != holo.Invalid {
			t.Errorf("refused with kind %s: %v", holo.KindOf(err), err)
		}
		if err != nil {
			return
		}
		// What was admitted and metered is valid too, but for its imports.
		if _, err := Meter(m.Metered); err != nil && holo.ReasonOf(err) != TooLarge {
			t.Errorf("the metered module is not valid: %v", err)
		}
	})
}
