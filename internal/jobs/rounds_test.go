package jobs

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
)

// Steps that are done round by round, those of a round in any order, come to what they
// come to one after the other; no partial result is in two steps of one round.
func TestRoundsComeToWhatTheirStepsComeTo(t *testing.T) {
	one := &stage{}
	rng := rand.New(rand.NewPCG(1, 9))
	for range 200 {
		n := 1 + rng.IntN(70)
		tree, inOrder, inRounds := sched.NewTree(n), leaves(n), leaves(n)
		var steps []sched.Step
		for i, id := range rng.Perm(n) {
			steps = append(steps, tree.Add(holo.TaskID(id))...)
			if i < n-1 && rng.IntN(8) > 0 {
				continue
			}
			for _, s := range steps {
				inOrder[s.Into] = join(inOrder, s)
			}
			for _, round := range rounds(steps, func(sched.Step) *stage { return one }) {
				doRound(t, inRounds, round, rng)
			}
			steps = nil
		}
		if inOrder[0] != inRounds[0] {
			t.Fatalf("%d tasks: %s in rounds, %s in order", n, inRounds[0], inOrder[0])
		}
	}
}

func leaves(n int) map[holo.TaskID]string {
	all := map[holo.TaskID]string{}
	for i := range n {
		all[holo.TaskID(i)] = fmt.Sprint(i)
	}
	return all
}

func join(all map[holo.TaskID]string, s sched.Step) string {
	return "(" + all[s.Into] + " " + all[s.From] + ")"
}

// doRound makes all results of a round out of what was there before it.
func doRound(t *testing.T, all map[holo.TaskID]string, round []sched.Step, rng *rand.Rand) {
	t.Helper()
	seen, made := map[holo.TaskID]bool{}, map[holo.TaskID]string{}
	for _, i := range rng.Perm(len(round)) {
		s := round[i]
		if seen[s.Into] || seen[s.From] {
			t.Fatalf("a result is in two steps of %v", round)
		}
		seen[s.Into], seen[s.From] = true, true
		made[s.Into] = join(all, s)
	}
	for id, m := range made {
		all[id] = m
	}
}

// 64 results that come at once are six rounds and not 63; steps of two stages, which have
// two modules, are never in one.
func TestRoundsAreFewAndOfOneStageEach(t *testing.T) {
	stages := []*stage{{first: 0}, {first: 64}}
	stageOf := func(s sched.Step) *stage { return stages[s.Into/64] }
	var steps []sched.Step
	for _, s := range stages {
		tree := sched.NewTree(64)
		for id := range holo.TaskID(64) {
			for _, step := range tree.Add(id) {
				steps = append(steps, sched.Step{Into: s.first + step.Into, From: s.first + step.From})
			}
		}
	}
	list := rounds(steps, stageOf)
	total := 0
	for _, round := range list {
		for _, s := range round {
			if stageOf(s) != stageOf(round[0]) {
				t.Errorf("two stages in one round")
			}
		}
		total += len(round)
	}
	if len(list) != 12 || total != 126 {
		t.Errorf("%d rounds with %d steps, want 12 and 126", len(list), total)
	}
}
