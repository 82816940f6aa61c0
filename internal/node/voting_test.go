package node

import (
	"fmt"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// TestVotingPlan has a row for each situation. Nodes are letters; the first
// voter leads.
func TestVotingPlan(t *testing.T) {
	for _, k := range []struct {
		why                      string
		voters, staying, leaving string
		gone, add, replaced      string
		successors, needed       string
	}{
		{why: "one of two nodes votes", voters: "a", staying: "ab"},
		{why: "three nodes, three voters", voters: "a", staying: "abc", add: "bc"},
		{why: "enough", voters: "abc", staying: "abcde"},
		{why: "a dead voter is replaced", voters: "abc", staying: "abd", add: "d", replaced: "c"},
		{why: "a dead voter stays where nobody can take its place", voters: "abc", staying: "ab"},
		{why: "an evicted voter goes", voters: "abX", staying: "ab", gone: "X"},
		{why: "an evicted voter goes and has a successor", voters: "abX", staying: "abd", gone: "X", add: "d"},
		{why: "a voter that drains is replaced", voters: "abc", staying: "abd", leaving: "c", add: "d", replaced: "c"},
		{why: "a voter that drains stays where nobody can take its place", voters: "abc", staying: "ab", leaving: "c"},
		{why: "a leader that drains has another lead", voters: "abc", staying: "bcd", leaving: "a", successors: "bc"},
		{why: "and not one that is dead", voters: "abc", staying: "cd", leaving: "a", successors: "c", needed: "a"},
		{why: "all voters drain: those who stay vote first", voters: "abc", staying: "def", leaving: "abc", add: "de", replaced: "bc", needed: "abc"},
		{why: "then one of them leads", voters: "ade", staying: "def", leaving: "abc", successors: "de"},
		{why: "then the last is replaced", voters: "dea", staying: "def", leaving: "abc", add: "f", replaced: "a"},
		{why: "the only voter drains: the other votes", voters: "a", staying: "b", leaving: "a", add: "b", needed: "a"},
		{why: "then leads", voters: "ab", staying: "b", leaving: "a", successors: "b", needed: "a"},
		{why: "then votes alone", voters: "ba", staying: "b", leaving: "a", replaced: "a", needed: "a"},
		{why: "a voter that drains is needed while another is dead", voters: "abc", staying: "a", leaving: "b", needed: "b"},
		{why: "a leader that has not registered yet keeps its place", voters: "abc", staying: "bcd"},
		{why: "the only voter has not registered yet", voters: "a", staying: "b"},
	} {
		v := voting{self: named(k.voters)[0], voters: named(k.voters), staying: named(k.staying), leaving: named(k.leaving)}
		v.member = func(id holo.NodeID) bool { return id[0] >= 'a' }
		gone, add, replaced := v.plan()
		got := fmt.Sprint(gone, add, replaced, v.successors())
		if want := fmt.Sprint(named(k.gone), named(k.add), named(k.replaced), named(k.successors)); got != want {
			t.Errorf("%s: gone, added, replaced, successors %s, want %s", k.why, got, want)
		}
		for _, id := range v.leaving {
			if want := slices.Contains(named(k.needed), id); v.needs(id) != want {
				t.Errorf("%s: that %c is needed: %t, want %t", k.why, id[0], !want, want)
			}
		}
	}
}

func named(letters string) (ids []holo.NodeID) {
	for _, l := range []byte(letters) {
		ids = append(ids, holo.NodeID{l})
	}
	return ids
}
