package main

import (
	"testing"
	"time"

	"github.com/holocompute/holocompute"
)

// Where no move is made, as after a leader that was asked was deposed, it is asked
// again, now and then, and not while moves are made or wait for something.
func TestRebalanceIsAskedForAgainWhereNothingMoves(t *testing.T) {
	var s standing
	began := time.Now()
	for _, look := range []struct {
		twice int // seconds
		left  int
		waits string
		want  bool
	}{
		{0, 9, "", false}, {9, 9, "", false}, {10, 9, "", true}, {11, 9, "", false}, {20, 9, "", true},
		{25, 8, "", false}, {34, 8, "", false}, {34, 7, "", false}, {43, 7, "", false},
		{44, 7, "a node drains", false}, {60, 7, "a node drains", false}, {69, 7, "", false}, {70, 7, "", true},
		{71, 0, "", false}, {99, 0, "", false},
	} {
		b := holocompute.Balance{Copies: look.left, Waits: look.waits}
		if got := s.still(b, began.Add(time.Duration(2*look.twice)*time.Second)); got != look.want {
			t.Errorf("at %d s, %d left, waits for %q: asked again %v, want %v", 2*look.twice, look.left, look.waits, got, look.want)
		}
	}
}
