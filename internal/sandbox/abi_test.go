package sandbox

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/wire"
)

type abiField struct {
	offset, size int
	name         string
}

// golden reads the record: the fields of the header and of a view, and sizes.
func golden(t *testing.T) (fields map[string][]abiField, sizes map[string]int) {
	t.Helper()
	raw, err := os.ReadFile("testdata/abi.golden")
	if err != nil {
		t.Fatal(err)
	}
	fields, sizes = map[string][]abiField{}, map[string]int{}
	part := ""
	for line := range strings.Lines(string(raw)) {
		var f abiField
		if strings.HasPrefix(line, "#") {
			continue
		}
		if n, _ := fmt.Sscanf(line, "%d %d %s", &f.offset, &f.size, &f.name); n == 3 {
			fields[part] = append(fields[part], f)
			continue
		}
		if _, err := fmt.Sscanf(line, "%s %d", &part, &f.size); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		sizes[part] = f.size
	}
	return fields, sizes
}

// What Go writes is what the record says, field by field.
func TestDescriptorMatchesTheGoldenABI(t *testing.T) {
	fields, sizes := golden(t)
	c := &Call{First: 0x1122334455667788, N: 7, Params: make([]byte, 3), Acc: make([]byte, 5),
		Inputs: []View{{holo.I16, make([]byte, 14)}, {holo.F64, make([]byte, 56)}}, Outputs: []View{{holo.I8, make([]byte, 7)}}}
	l := LayoutOf(c)
	const base = 1 << 16
	want := map[string]uint64{
		"abi": 1, "flags": 0, "first_index": c.First, "n": 7, "n_in": 2, "n_out": 1, "params": base + uint64(l.Params), "params_len": 3,
		"scratch": base + scratchAt, "scratch_len": ScratchBytes, "acc": base + uint64(l.Acc), "acc_len": 5, "reserved": 0,
	}
	d := l.describe(c, base)
	if len(d) != sizes["header"]+3*sizes["view"] || len(fields["header"]) != len(want) {
		t.Fatalf("%d bytes, %d fields", len(d), len(fields["header"]))
	}
	for _, f := range fields["header"] {
		if got := readField(d, f); got != want[f.name] {
			t.Errorf("%s at %d is %#x, want %#x", f.name, f.offset, got, want[f.name])
		}
	}
	for i := range 3 {
		v := c.view(i)
		want := map[string]uint64{"ptr": base + uint64(l.Views[i]), "len": uint64(len(v.Bytes)), "stride": v.Type.Size(), "type": uint64(v.Type), "rank": 1, "halo": 0, "elem_base": c.First}
		for _, f := range fields["view"] {
			if got := readField(d[sizes["header"]+i*sizes["view"]:], f); got != want[f.name] {
				t.Errorf("view %d: %s at %d is %#x, want %#x", i, f.name, f.offset, got, want[f.name])
			}
		}
	}
}

// The call's elements are aligned with a halo too, which lies before and behind
// them, and outputs have none.
func TestDescriptorTellsTheHalo(t *testing.T) {
	fields, sizes := golden(t)
	c := &Call{First: 100, N: 4, Halo: 3, Inputs: []View{{holo.I8, []byte("abcdefghij")}, {holo.F64, make([]byte, 80)}}, Outputs: []View{{holo.U8, make([]byte, 4)}}}
	if err := c.check(module.Map); err != nil {
		t.Fatal(err)
	}
	l := LayoutOf(c)
	d := l.describe(c, 0)
	for i, want := range []map[string]uint64{{"halo": 3, "len": 4, "elem_base": 100}, {"halo": 3, "len": 32, "elem_base": 100}, {"halo": 0, "len": 4, "elem_base": 100}} {
		for _, f := range fields["view"] {
			if got := readField(d[sizes["header"]+i*sizes["view"]:], f); f.name != "ptr" && want[f.name] != got && (f.name == "halo" || f.name == "len" || f.name == "elem_base") || f.name == "ptr" && got%arenaAlign != 0 {
				t.Errorf("view %d: %s is %d, want %d", i, f.name, got, want[f.name])
			}
		}
	}
	if l.Views[1]-24 < l.Views[0]+7 || l.Views[2] < l.Views[1]+32+24 || l.Size < l.Views[2]+4 {
		t.Errorf("views at %v of %d overlap", l.Views, l.Size)
	}
	for name, spoil := range map[string]func(*Call){
		"too wide": func(c *Call) { c.Halo = wire.MaxHalo + 1 }, "none there": func(c *Call) { c.Inputs[0].Bytes = c.Inputs[0].Bytes[:4] }, "other width": func(c *Call) { c.Halo = 2 },
	} {
		bad := *c
		bad.Inputs = append([]View(nil), c.Inputs...)
		if spoil(&bad); holo.KindOf(bad.check(module.Map)) != holo.Invalid {
			t.Errorf("%s is taken", name)
		}
	}
	reduce := Call{N: 4, Halo: 3, Acc: make([]byte, 8), Inputs: c.Inputs}
	if holo.KindOf(reduce.check(module.Reduce)) != holo.Invalid {
		t.Error("a reduce has a halo")
	}
}

func readField(b []byte, f abiField) uint64 {
	var w [8]byte
	copy(w[:], b[f.offset:f.offset+f.size])
	return binary.LittleEndian.Uint64(w[:])
}

// The C header asserts the same offsets; its compiler holds the struct to them.
func TestHeaderForCMatchesTheGoldenABI(t *testing.T) {
	fields, sizes := golden(t)
	raw, err := os.ReadFile("../../kernels/holo.h")
	if err != nil {
		t.Fatal(err)
	}
	asserted := map[string]int{}
	for _, m := range regexp.MustCompile(`HOLO_AT\(holo_(\w+), (\w+), (\d+)\);`).FindAllStringSubmatch(string(raw), -1) {
		var off int
		fmt.Sscan(m[3], &off)
		asserted[m[1]+"."+m[2]] = off
	}
	for part, name := range map[string]string{"header": "desc", "view": "view"} {
		for _, f := range fields[part] {
			if off, ok := asserted[name+"."+f.name]; !ok || off != f.offset {
				t.Errorf("holo.h asserts %s.%s at %d (%v), want %d", name, f.name, off, ok, f.offset)
			}
		}
	}
	if asserted["desc.views"] != sizes["header"] || len(asserted) != len(fields["header"])+len(fields["view"])+1 {
		t.Errorf("holo.h asserts %v", asserted)
	}
	if !strings.Contains(string(raw), fmt.Sprintf("sizeof(struct holo_view) == %d", sizes["view"])) {
		t.Error("holo.h does not assert the size of a view")
	}
}

func TestEveryPartOfALayoutIsAlignedAndApart(t *testing.T) {
	c := &Call{N: 5, Params: make([]byte, 65), Acc: make([]byte, 1), Inputs: []View{{holo.I8, make([]byte, 5)}, {holo.I8, make([]byte, 5)}}}
	l := LayoutOf(c)
	end := uint32(partsAt)
	for _, p := range []struct{ at, size uint32 }{{l.Params, 65}, {l.Acc, 1}, {l.Views[0], 5}, {l.Views[1], 5}} {
		if p.at%arenaAlign != 0 || p.at < end {
			t.Errorf("part at %d, the one before ends at %d", p.at, end)
		}
		end = p.at + p.size
	}
	if end > l.Size {
		t.Errorf("parts end at %d of %d", end, l.Size)
	}
}

func TestNaNsBecomeOneNaN(t *testing.T) {
	in32 := []uint32{0x7fc00001, 0xffc00000, 0x7f800001, 0xffffffff, 0x7f800000, 0xff800000, math.Float32bits(1.5), 0x80000000}
	out32 := []uint32{nan32, nan32, nan32, nan32, 0x7f800000, 0xff800000, math.Float32bits(1.5), 0x80000000}
	v := words(holo.F32, len(in32), func(i int) uint64 { return uint64(in32[i]) })
	canonicalise(v)
	for i, want := range out32 {
		if got := binary.LittleEndian.Uint32(v.Bytes[4*i:]); got != want {
			t.Errorf("f32 %#x becomes %#x, want %#x", in32[i], got, want)
		}
	}
	in64 := []uint64{0x7ff8000000000001, 0xfff8000000000000, 0x7ff0000000000001, 1<<64 - 1, 0x7ff0000000000000, 0xfff0000000000000, 1 << 63}
	out64 := []uint64{nan64, nan64, nan64, nan64, 0x7ff0000000000000, 0xfff0000000000000, 1 << 63}
	v = words(holo.F64, len(in64), func(i int) uint64 { return in64[i] })
	canonicalise(v)
	for i, want := range out64 {
		if got := binary.LittleEndian.Uint64(v.Bytes[8*i:]); got != want {
			t.Errorf("f64 %#x becomes %#x, want %#x", in64[i], got, want)
		}
	}
	for at := range 40 { // whole runs and what is left of them, each with one NaN
		n32 := words(holo.F32, 40, func(i int) uint64 { return uint64(in32[4+i%4]) })
		n64 := words(holo.F64, 40, func(i int) uint64 { return in64[4+i%3] })
		binary.LittleEndian.PutUint32(n32.Bytes[4*at:], 0xff800001)
		binary.LittleEndian.PutUint64(n64.Bytes[8*at:], 0xfff0000000000001)
		want32, want64 := bytes.Clone(n32.Bytes), bytes.Clone(n64.Bytes)
		binary.LittleEndian.PutUint32(want32[4*at:], nan32)
		binary.LittleEndian.PutUint64(want64[8*at:], nan64)
		canonicalise(n32)
		canonicalise(n64)
		if !bytes.Equal(n32.Bytes, want32) || !bytes.Equal(n64.Bytes, want64) {
			t.Errorf("a NaN at %d of 40: %x, %x", at, n32.Bytes, n64.Bytes)
		}
	}
	v = View{holo.U32, []byte{1, 0, 0xc0, 0x7f}}
	if canonicalise(v); v.Bytes[0] != 1 {
		t.Error("integers were changed")
	}
}
