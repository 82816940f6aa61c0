package consensus

import (
	"testing"
	"testing/synctest"

	"github.com/holocompute/holocompute/internal/holo"
)

// Raft counts the answer of a nonvoter as a voter's when it verifies its
// leader. With all other voters gone it would go on.
func TestNonvoterDoesNotConfirmALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, all := newCluster(t, 3)
		old, listener := all[0], newVoter(t, all[0].wires, 4)
		listener.Expect(old.id)
		if err := old.AddNonvoter(t.Context(), listener.id); err != nil {
			t.Fatal(err)
		}
		old.propose(t, "heard")
		listener.state.wait(t, 1)
		w.isolate(all[1].id, true)
		w.isolate(all[2].id, true)
		if err := old.VerifyLeader(t.Context()); holo.ReasonOf(err) != ReasonNotLeader {
			t.Errorf("verified with the word of a nonvoter: %v", err)
		}
	})
}

// What a node agreed to before a round began says nothing about the time
// after: another may lead since.
func TestAnswerFromBeforeARoundDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := newCluster(t, 3)
		leader := all[0]
		l, term := leader.link, leader.Term()
		if err := leader.VerifyLeader(t.Context()); err != nil {
			t.Fatal(err)
		}
		last := l.presentRound()
		if ok, _ := l.confirmed(leader.Voters(), term, last); !ok {
			t.Error("a round that ended well is not confirmed")
		}
		if ok, _ := l.confirmed(leader.Voters(), term, last+1); ok {
			t.Error("answers from before confirm the next round")
		}
		if ok, _ := l.confirmed(leader.Voters(), term+1, last); ok {
			t.Error("answers of a term confirm the next one")
		}
	})
}
