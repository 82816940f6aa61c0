package main

import (
	"reflect"
	"testing"

	"github.com/holocompute/holocompute"
)

func TestWhyCountsWhatEachNodeHolds(t *testing.T) {
	members := []holocompute.MemberInfo{{ID: "a", Name: "n1", State: "active"}, {ID: "b", Name: "n2", State: "dead"}, {ID: "c", Name: "n3", State: "active"}}
	extents := []holocompute.ExtentInfo{
		{Number: 0, Pages: 2, Primary: "a", Members: []string{"a", "c"}, State: "ok"},
		{Number: 1, Pages: 2, Primary: "c", Members: []string{"c"}, State: "refusing_writes"},
		{Number: 2, Pages: 1, Primary: "c", Members: []string{"c"}, State: "refusing_writes"},
		{Number: 4, State: "lost"},
	}
	v := whyOf(holocompute.ArrayInfo{Name: "x"}, extents, members)
	want := []holding{
		{"c", "n3", "active", 2, 3, 5 << 16}, {"a", "n1", "active", 1, 1, 2 << 16}, {"b", "n2", "dead", 0, 0, 0},
	}
	if !reflect.DeepEqual(v.Nodes, want) {
		t.Errorf("%+v", v.Nodes)
	}
	if bad := []trouble{{"lost", []uint64{4}}, {"refusing_writes", []uint64{1, 2}}}; !reflect.DeepEqual(v.Bad, bad) {
		t.Errorf("%+v", v.Bad)
	}
	for _, b := range v.Bad {
		if meaning[b.State] == "" {
			t.Errorf("nothing says what %s means", b.State)
		}
	}
}

func TestRangesOfNumbers(t *testing.T) {
	for want, list := range map[string][]uint64{
		"extents 7": {7}, "extents 1-3": {1, 2, 3}, "extents 0, 2-3, 9": {0, 2, 3, 9},
	} {
		if got := ranges(list); got != want {
			t.Errorf("%v: %q, want %q", list, got, want)
		}
	}
}
