package sched

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
)

// A node that has nothing to do helps: it takes a waiting task whose home would
// come to it late (it steals), or runs a task once more that is out elsewhere
// and late (it speculates). Both are decisions made here; the nodes know nothing
// of them. Whichever attempt answers first counts, and the other is recalled.
//
// It helps where the other would take more than twice as long as it takes
// itself, what has to be moved included, and a constant more. So where the
// estimates are right no help makes a job later; where they are wrong, a task
// that is late by so much is run elsewhere. docs/decisions/0034 has the bound.

// maxHelped bounds how often one task is speculated on.
const maxHelped = 2

// help hands out what the nodes that have nothing to do take from others, and
// notes when to look again.
func (j *Job) help(now holo.Time, home func(holo.ShardID) (holo.NodeID, bool)) (out []Assign) {
	j.look, j.looks = 0, false
	for _, n := range j.nodes {
		for j.mayHelp(n, home) {
			a, ok := j.steal(now, n)
			if !ok {
				a, ok = j.second(now, n)
			}
			if !ok {
				break
			}
			out = append(out, a)
		}
	}
	return out
}

// mayHelp reports whether a node has nothing to do and is known to work: it has
// answered, and not failed since, and is the home of something.
func (j *Job) mayHelp(n *node, home func(holo.ShardID) (holo.NodeID, bool)) bool {
	if j.state != Running || n.lost || n.failing || n.pace.rate() == 0 || len(n.out) >= j.windowOf(n) || j.earliest(n) != nil {
		return false
	}
	return slices.ContainsFunc(j.queues, func(q *queue) bool {
		at, ok := home(q.shard)
		return ok && at == n.id
	})
}

// own is how long a node would take for a task of another, from now on.
func (j *Job) own(n *node, id holo.TaskID) holo.Duration {
	number, _ := j.stageOf(id)
	moved := span(float64(j.stages[number].moves) / float64(j.opt.Bandwidth))
	return j.takes(n, id)*holo.Duration(max(j.opt.Slots, len(n.out)+1)) + moved
}

// worth is how late a task must be at v for n to help. What has not answered yet
// may still be fetching and compiling the kernel.
func (j *Job) worth(n, v *node, id holo.TaskID) holo.Duration {
	need := 2*j.own(n, id) + j.opt.Overhead
	if v.pace.rate() == 0 {
		need += j.opt.Start
	}
	return need
}

// steal takes the last task that waits for the node which would come to it last.
func (j *Job) steal(now holo.Time, n *node) (Assign, bool) {
	var from *queue
	var latest holo.Duration
	for _, v := range j.nodes {
		q := j.last(v)
		if v == n || q == nil {
			continue
		}
		id := q.tasks[len(q.tasks)-1]
		left, need := j.left(now, v, id), j.worth(n, v, id)
		if left < need {
			j.lookAt(now, v.pace.last.Add(need))
			continue
		}
		if left > latest {
			latest, from = left, q
		}
	}
	if from == nil {
		return Assign{}, false
	}
	id := from.tasks[len(from.tasks)-1]
	from.tasks = from.tasks[:len(from.tasks)-1]
	return j.assignFor(now, n, id, Stolen), true
}

// last is the queue of a node whose last task has the highest ID.
func (j *Job) last(v *node) (best *queue) {
	for _, q := range v.home {
		for len(q.tasks) > 0 && j.tasks[q.tasks[len(q.tasks)-1]].done {
			q.tasks = q.tasks[:len(q.tasks)-1]
		}
		if k := len(q.tasks); k > 0 && (best == nil || q.tasks[k-1] > best.tasks[len(best.tasks)-1]) {
			best = q
		}
	}
	return best
}

// left is how long a node will be busy with what is out and what waits for it.
// A node that is silent for longer than a task takes is taken to be as slow as
// that: one that hangs gets slower and slower.
func (j *Job) left(now holo.Time, v *node, id holo.TaskID) holo.Duration {
	tasks := len(v.out)
	for _, q := range v.home {
		tasks += len(q.tasks)
	}
	silent := j.silent(now, v)
	return max(j.takes(v, id), silent)*holo.Duration(tasks) - silent
}

// silent is for how long a node that has something to do has not answered.
func (j *Job) silent(now holo.Time, v *node) holo.Duration {
	if len(v.out) == 0 {
		return 0
	}
	return min(now.Sub(v.pace.last), longest)
}

// second runs the task once more that is out and would come in last.
func (j *Job) second(now holo.Time, n *node) (Assign, bool) {
	var best outstanding
	var latest holo.Duration
	if len(n.out) >= j.opt.Slots {
		return Assign{}, false
	}
	for _, v := range j.nodes {
		for place, o := range v.out {
			if v == n || !j.maySecond(o.Task) {
				continue
			}
			due, need := j.due(v, place, o), j.worth(n, v, o.Task)
			left := max(due.Sub(now), now.Sub(due)) // what is late by so much is taken to be late by as much again
			if left < need {
				j.lookAt(now, due.Add(need))
				continue
			}
			if left > latest {
				latest, best = left, o
			}
		}
	}
	if latest == 0 {
		return Assign{}, false
	}
	j.tasks[best.Task].helped++
	return j.assignFor(now, n, best.Task, Speculated), true
}

// due is when an attempt should be answered, going by how fast its node is.
func (j *Job) due(v *node, place int, o outstanding) holo.Time {
	return o.since.Add(j.takes(v, o.Task) * holo.Duration(max(j.opt.Slots, place+1)))
}

// maySecond: not what reads what it writes. Its first attempt's commit is the
// one that counts whoever answers first, and a receipt must say what it read.
func (j *Job) maySecond(id holo.TaskID) bool {
	t := &j.tasks[id]
	number, _ := j.stageOf(id)
	_, trapped := j.traps[id]
	return !t.done && t.out == 1 && t.helped < maxHelped && !trapped && !j.stages[number].once
}

// lookAt has Wake come back when help may have become worth it.
func (j *Job) lookAt(now, at holo.Time) {
	if at > now && (!j.looks || at < j.look) {
		j.look, j.looks = at, true
	}
}

// Recalls are the attempts that run for nothing, because another of their task
// was counted: to be abandoned. Each is told once, and still comes to an end by
// Done or Failed.
func (j *Job) Recalls() []Assign {
	list := j.recalls
	j.recalls = nil
	return list
}

// IsDone reports whether a result of the task was counted.
func (j *Job) IsDone(id holo.TaskID) bool { return j.task(id).done }

// recall notes the attempts of a task that are out.
func (j *Job) recall(id holo.TaskID) {
	if j.tasks[id].out == 0 {
		return
	}
	for _, n := range j.nodes {
		for _, o := range n.out {
			if o.Task == id {
				j.recalls = append(j.recalls, o.Assign)
			}
		}
	}
}
