package question

import (
	"bytes"
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func TestNumbersAreWrittenInFull(t *testing.T) {
	huge, _ := new(big.Int).SetString("-170141183460469231731687303715884105728", 10)
	for _, c := range []struct {
		n          Number
		text, json string
		float      float64
	}{
		{Number{}, "-", "null", math.NaN()},
		{Int(math.MinInt64), "-9223372036854775808", "-9223372036854775808", math.MinInt64},
		{Uint(math.MaxUint64), "18446744073709551615", "18446744073709551615", 1 << 64},
		{Number{integer: huge}, huge.String(), huge.String(), -1 << 127},
		{Float(0.1), "0.1", "0.1", 0.1},
		{Float(math.Copysign(0, -1)), "-0", "-0", 0},
		{Float(math.NaN()), "NaN", `"NaN"`, math.NaN()},
		{Float(math.Inf(-1)), "-Inf", `"-Inf"`, math.Inf(-1)},
	} {
		b, err := json.Marshal(c.n)
		if err != nil || string(b) != c.json || c.n.String() != c.text || c.n.Float64() != c.float && !math.IsNaN(c.float) {
			t.Errorf("%s as text, %s as JSON, %v as a float (%v)", c.n, b, c.n.Float64(), err)
		}
	}
	if v, ok := Int(-3).Int64(); !ok || v != -3 {
		t.Error("-3 is no int64")
	}
	if _, ok := Int(-3).Uint64(); ok {
		t.Error("-3 is a uint64")
	}
	if _, ok := Float(3).Int64(); ok {
		t.Error("a float is an int64")
	}
	big := Int(3).Big()
	big.SetInt64(4)
	if n := Int(3); n.Big().Cmp(big) == 0 || Float(1).Big() != nil {
		t.Error("a number changed")
	}
}

func TestElementsAreParsedStrictly(t *testing.T) {
	for _, c := range []struct {
		t    holo.ElementType
		text string
		want string // "" where it is refused
	}{
		{holo.I8, "-128", "-128"}, {holo.I8, "128", ""}, {holo.I8, "1.0", ""}, {holo.I8, "", ""},
		{holo.U64, "18446744073709551615", "18446744073709551615"}, {holo.U64, "-1", ""}, {holo.U8, "256", ""},
		{holo.F32, "0.1", "0.10000000149011612"}, {holo.F32, "1e39", ""}, {holo.F64, "0.1", "0.1"}, {holo.F64, "NaN", "NaN"}, {holo.F64, "x", ""},
	} {
		n, err := ParseNumber(c.t, c.text)
		if (err == nil) != (c.want != "") || err == nil && n.String() != c.want {
			t.Errorf("%s %q: %v, %v", c.t, c.text, n, err)
		}
		if err != nil && holo.KindOf(err) != holo.Invalid {
			t.Errorf("%v", err)
		}
	}
}

// A constant of another type is refused, not converted.
func TestConstantsMustBeOfTheType(t *testing.T) {
	for _, c := range []struct {
		t holo.ElementType
		n Number
	}{
		{holo.I16, Int(32768)}, {holo.I16, Float(1)}, {holo.U16, Int(-1)}, {holo.I64, Uint(1 << 63)}, {holo.F64, Int(1)}, {holo.F32, Float(0.1)}, {holo.F32, Number{}}, {holo.I8, Number{}},
	} {
		if _, err := Count(c.t, Equal, c.n); holo.KindOf(err) != holo.Invalid {
			t.Errorf("count of %s equal to %s: %v", c.t, c.n, err)
		}
		if _, _, err := Bins(c.t, c.n, c.n, 1); holo.KindOf(err) != holo.Invalid {
			t.Errorf("bins of %s from %s: %v", c.t, c.n, err)
		}
	}
	for _, ask := range []func() error{
		func() error { _, err := Count(holo.I8, 7, Int(1)); return err },
		func() error { _, err := Count(holo.I8, 0, Int(1)); return err },
		func() error { _, _, err := Bins(holo.F64, Float(1), Float(0), 3); return err },
		func() error { _, _, err := Bins(holo.F64, Float(0), Float(math.Inf(1)), 3); return err },
		func() error { _, _, err := Bins(holo.F64, Float(0), Float(1), 0); return err },
		func() error { _, _, err := Bins(holo.F64, Float(0), Float(1), MaxBins+1); return err },
		func() error { _, err := Top(0, false); return err },
		func() error { _, err := Top(MaxTop+1, true); return err },
	} {
		if err := ask(); holo.KindOf(err) != holo.Invalid {
			t.Errorf("%v", err)
		}
	}
}

// Accumulators come from other machines: what no kernel can have written is
// refused as corrupt.
func TestDamagedAnswersAreRefused(t *testing.T) {
	stats, dot := WholeStats(holo.F32), Dot(holo.I64)
	top, err := Top(3, false)
	if err != nil {
		t.Fatal(err)
	}
	at := func(q Question, i int, v byte) []byte {
		acc := make([]byte, q.AccBytes)
		acc[i] = v
		return acc
	}
	for i, read := range []func() error{
		func() error { _, err := stats.ReadStats(holo.F32, make([]byte, 5)); return err },
		func() error { _, err := stats.ReadStats(holo.F32, at(stats, 0, byte(holo.F64))); return err },
		func() error { _, err := stats.ReadStats(holo.F32, at(stats, 4, 1)); return err },
		func() error { _, err := stats.ReadStats(holo.F32, at(stats, 56, 1)); return err },
		func() error { _, err := stats.ReadStats(holo.F32, at(stats, 64+4, 1)); return err },
		func() error { _, err := dot.ReadDot(holo.I64, at(dot, 40, 1)); return err },
		func() error { _, err := dot.ReadDot(holo.I64, nil); return err },
		func() error { _, _, err := top.ReadTop(holo.I8, at(top, 4, 1)); return err },
		func() error { _, _, err := top.ReadTop(holo.I8, at(top, 0, byte(holo.I16))); return err },
		func() error { _, _, err := top.ReadTop(holo.I8, nil); return err },
	} {
		if err := read(); holo.KindOf(err) != holo.Corrupt || !strings.Contains(err.Error(), "read the answer of std/") {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// FuzzAnswers gives the readers accumulators of the right size and any content:
// they tell an error or an answer, and no more elements than were asked for.
func FuzzAnswers(f *testing.F) {
	f.Add(uint8(0), []byte{9})
	f.Add(uint8(9), bytes.Repeat([]byte{0xff}, 1700))
	f.Fuzz(func(t *testing.T, which uint8, content []byte) {
		typ := holo.ElementType(which%10) + holo.I8
		fill := func(q Question) []byte {
			acc := make([]byte, q.AccBytes)
			copy(acc, content)
			return acc
		}
		top, err := Top(5, which > 100)
		if err != nil {
			t.Fatal(err)
		}
		if places, _, err := top.ReadTop(typ, fill(top)); err == nil && len(places) > 5 {
			t.Errorf("%d places", len(places))
		}
		low := number(int8(0))
		if typ.Float() {
			low = Float(0)
		}
		bins, edges, err := Bins(typ, low, low, 3)
		if err != nil {
			t.Fatal(err)
		}
		if h, err := bins.ReadHistogram(edges, fill(bins)); err == nil && len(h.Bins) != 3 {
			t.Errorf("%d bins", len(h.Bins))
		}
		stats, dot := WholeStats(typ), Dot(typ)
		if s, err := stats.ReadStats(typ, fill(stats)); err == nil && s.Count > 0 && (s.Mean.None() || s.Variance.None()) {
			t.Errorf("%+v", s)
		}
		if p, err := dot.ReadDot(typ, fill(dot)); err == nil && p.Sum.None() {
			t.Errorf("%+v", p)
		}
	})
}
