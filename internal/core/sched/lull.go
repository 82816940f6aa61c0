package sched

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
)

// lull is how a job holds back while its cluster refuses all that it asks, as
// one does of which no majority lives: each task has a back-off of its own, and
// a job of a thousand tasks would still ask a thousand times a second. After as
// many refusals in a row as trials says, with no result between them, one task at
// a time goes out, each after a pause that doubles. A result ends it, and so does
// a home that changed.
type lull struct {
	refused int       // attempts in a row, since the last result
	until   holo.Time // no task goes out before
}

// trials is how often a job fills the windows of its nodes before it holds back:
// a shard that moves refuses what is on its way to its old home, once or twice.
const trials = 4

func (j *Job) freeTries() int { return trials * j.window() * max(len(j.nodes), 1) }

func (j *Job) inLull() bool { return j.lull.refused >= j.freeTries() }

// heldBack reports whether tasks wait for nothing but the lull.
func (j *Job) heldBack() bool {
	return j.inLull() && slices.ContainsFunc(j.queues, func(q *queue) bool { _, waits := j.head(q); return waits })
}

// hold notes a refusal.
func (j *Job) hold(now holo.Time) {
	if j.lull.refused++; j.inLull() {
		j.lull.until = max(j.lull.until, now.Add(j.pause()))
	}
}

// pause is what the next task waits for, longer each time.
func (j *Job) pause() holo.Duration {
	return min(j.opt.MinBackoff<<min(j.lull.refused-j.freeTries(), 20), j.opt.MaxBackoff)
}

// probe hands out the one task that may go: of the shard that was refused
// longest ago, so that one which works is found among others that do not.
func (j *Job) probe(now holo.Time) []Assign {
	if now < j.lull.until {
		return nil
	}
	var at *node
	var best *queue
	for _, n := range j.nodes {
		if len(n.out) >= j.windowOf(n) {
			continue
		}
		for _, q := range n.home {
			if id, ok := j.head(q); ok && (best == nil || q.refused < best.refused || q.refused == best.refused && id < best.tasks[0]) {
				at, best = n, q
			}
		}
	}
	if best == nil {
		return nil
	}
	id := best.tasks[0]
	best.tasks = best.tasks[1:]
	best.refused, j.lull.until = now, now.Add(j.pause())
	return []Assign{j.assign(now, at, id)}
}

// whyLull is what holds back all tasks that are not out.
func (j *Job) whyLull() error {
	return holo.Refuse(holo.KindOf(j.refusal), holo.ReasonOf(j.refusal), "the last %d attempts of the job were refused, and none was done: one goes out at a time, up to %s after the one before; the last was refused: %w", j.lull.refused, j.opt.MaxBackoff, j.refusal)
}
