package holo

import (
	"errors"
	"fmt"
	"testing"
)

func TestIdentifiersParseWhatTheyPrint(t *testing.T) {
	want := NodeID{0: 0xab, 31: 0x01}
	got, err := ParseNodeID(want.Hex())
	if err != nil || got != want {
		t.Fatalf("parse %s: %v, %v", want.Hex(), got, err)
	}
	for _, bad := range []string{"", "ab", want.Hex() + "00", "zz" + want.Hex()[2:], "AB" + want.Hex()[2:]} {
		if _, err := ParseNodeID(bad); KindOf(err) != Invalid {
			t.Errorf("parse %q: %v, want an invalid ID", bad, err)
		}
	}
}

func TestShardIDsNameTheirClass(t *testing.T) {
	for class := Class(1); class <= MaxClass; class++ {
		for n := range uint64(ShardCount) {
			s := MakeShardID(class, n)
			if s.Class() != class || s.Number() != int(n) || !s.Valid() {
				t.Fatalf("shard %d of class %d reads back as %d of %d", n, class, s.Number(), s.Class())
			}
		}
	}
	if ShardID(MaxClass * ShardCount).Valid() {
		t.Error("a shard beyond the last class is valid")
	}
}

// Arrays of one affinity group must cut at the same elements, whatever their
// types (ruling 1): i8, i16, f32 and f64 together.
func TestArraysOfOneGroupCutAtTheSameElements(t *testing.T) {
	for _, typ := range []ElementType{I8, I16, F32, F64} {
		s := Shape{Type: typ, Length: 3*DefaultExtent + 17, Extent: DefaultExtent}
		if err := s.Check(); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		for e := range s.Extents() {
			first := PageIndex(e * s.ExtentPages())
			if s.ExtentOf(first) != e || uint64(first)*s.PageElements() != e*s.Extent {
				t.Errorf("%s: extent %d begins at element %d, want %d", typ, e, uint64(first)*s.PageElements(), e*s.Extent)
			}
		}
	}
}

func TestShapesThatCannotBeAreRefused(t *testing.T) {
	bad := []Shape{
		{Type: 0, Length: 1, Extent: DefaultExtent},
		{Type: F64, Length: MaxElements + 1, Extent: DefaultExtent},
		{Type: F64, Length: 1, Extent: 0},
		{Type: I8, Length: 1, Extent: 1000},
		{Type: F64, Length: 1, Extent: 2 * DefaultExtent},
	}
	for _, s := range bad {
		if KindOf(s.Check()) != Invalid {
			t.Errorf("%+v passes", s)
		}
	}
}

func TestErrorsKeepKindAndReasonThroughWrapping(t *testing.T) {
	cause := Refuse(Unavailable, "under_replicated", "write page a7/12")
	err := fmt.Errorf("job 3: %w", Errorf(Unavailable, "task 4: %w", cause))
	if KindOf(err) != Unavailable || ReasonOf(err) != "under_replicated" || !errors.Is(err, cause) {
		t.Fatalf("kind %v, reason %q", KindOf(err), ReasonOf(err))
	}
	joined := errors.Join(errors.New("x"), err)
	if KindOf(joined) != Unavailable || ReasonOf(joined) != "under_replicated" {
		t.Errorf("joined: kind %v, reason %q", KindOf(joined), ReasonOf(joined))
	}
	if KindOf(errors.New("x")) != Internal || ReasonOf(nil) != "" {
		t.Error("a plain error must be internal, and nil without reason")
	}
}

func TestEveryKindHasItsName(t *testing.T) {
	for k := range kindCount {
		got, ok := ParseKind(k.String())
		if !ok || got != k {
			t.Errorf("kind %d prints as %q, which reads as %v", k, k, got)
		}
	}
}
