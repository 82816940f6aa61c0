package jobs

import (
	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
)

// A step that combines two small accumulators is less work than the trip to a
// worker, so steps wait for company: each weighs as much as its accumulator, at
// least stepWeight, and together they go once they weigh as much as a trip carries.
// Nobody waits for a step but those who want the stage's result: once all of its
// tasks have answered its steps wait no longer.
const (
	stepWeight = 32 << 10
	tripWeight = 1 << 20
)

// possible takes a step of a stage that its tree has given out.
func (j *job) possible(s *stage, step sched.Step) {
	j.steps = append(j.steps, sched.Step{Into: s.first + step.Into, From: s.first + step.From})
	j.weight += max(s.spec.AccBytes, stepWeight)
	j.urgent = j.urgent || s.tree.Whole()
}

// rounds cuts steps into such as do not build upon each other and belong to one
// stage: those of a round can be done beside each other, after those of the rounds
// before. What is combined with what stays as it is.
func rounds(steps []sched.Step, stage func(sched.Step) *stage) (list [][]sched.Step) {
	after := map[holo.TaskID]int{} // the first round that a partial result may be in
	for _, s := range steps {
		n := max(after[s.Into], after[s.From])
		for n < len(list) && stage(list[n][0]) != stage(s) {
			n++
		}
		if n == len(list) {
			list = append(list, nil)
		}
		list[n] = append(list[n], s)
		after[s.Into] = n + 1 // From is gone
	}
	return list
}
