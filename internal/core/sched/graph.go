package sched

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
)

// Stage is a set of like tasks of a job. A job of one stage is the usual one;
// a job of several is a graph, whose edges lie between stages and stand for
// those between their tasks: 10,000 tasks cost no more memory for having
// dependencies. A stage names only stages before it, so a graph has no cycle.
type Stage struct {
	Shards []holo.ShardID // of each task
	Each   []int          // task i waits until task i of these is done
	All    []int          // every task waits until Finish was called of these
	Moves  uint64         // bytes that a task reads and writes: what has to move when it is not run at home
	Once   bool           // a task reads what it writes: it is never out twice at a time
	Joins  bool           // its tasks may go to a worker together, if they are light
}

// stage is a Stage with its edges turned round.
type stage struct {
	first, count holo.TaskID
	feeds        []int // whose tasks wait for those of the same number
	opens        []int // whose tasks wait for Finish
	finished     bool
	moves        uint64
	once, joins  bool
	done         uint32 // tasks
	gas          holo.Gas
}

// NewGraph makes the coordinator of a job of several stages. Task IDs count
// through all of them, in order.
func NewGraph(stages []Stage, o Options) *Job {
	n := 0
	for i := range stages {
		n += len(stages[i].Shards)
	}
	j := &Job{
		opt: o.withDefaults(), shards: make([]holo.ShardID, 0, n), tasks: make([]task, n),
		byID: map[holo.ShardID]*queue{}, traps: map[holo.TaskID]trap{}, known: map[holo.NodeID]*node{},
		proofs: map[holo.TaskID]error{},
	}
	for i := range stages {
		j.addStage(i, &stages[i])
	}
	if n == 0 {
		j.state = Complete
	}
	return j
}

func (j *Job) addStage(number int, s *Stage) {
	first := holo.TaskID(len(j.shards))
	j.stages = append(j.stages, stage{first: first, count: holo.TaskID(len(s.Shards)), moves: s.Moves, once: s.Once, joins: s.Joins})
	for _, before := range s.Each {
		invariant.Check(before < number && len(s.Shards) == int(j.stages[before].count), "stage %d waits for each task of stage %d", number, before)
		j.stages[before].feeds = append(j.stages[before].feeds, number)
	}
	for _, before := range s.All {
		invariant.Check(before < number, "stage %d waits for stage %d", number, before)
		j.stages[before].opens = append(j.stages[before].opens, number)
	}
	needs := uint16(len(s.Each) + len(s.All))
	j.shards = append(j.shards, s.Shards...)
	for i, shard := range s.Shards {
		q := j.queueOf(shard)
		id := first + holo.TaskID(i)
		if j.tasks[id].needs = needs; needs == 0 {
			q.tasks = append(q.tasks, id)
		}
	}
}

func (j *Job) queueOf(shard holo.ShardID) *queue {
	q, ok := j.byID[shard]
	if !ok {
		q = &queue{shard: shard}
		j.byID[shard] = q
		j.queues = append(j.queues, q)
	}
	return q
}

// stageOf tells the stage of a task, and its number in it.
func (j *Job) stageOf(id holo.TaskID) (number int, task holo.TaskID) {
	number, _ = slices.BinarySearchFunc(j.stages, id, func(s stage, id holo.TaskID) int {
		if s.first+s.count <= id {
			return -1
		}
		return 1
	})
	return number, id - j.stages[number].first
}

// satisfy counts one thing less that a task waits for.
func (j *Job) satisfy(id holo.TaskID) {
	t := j.task(id)
	invariant.Check(t.needs > 0, "task %d waits for nothing", id)
	if t.needs--; t.needs == 0 {
		j.byID[j.shards[id]].add(id)
	}
}

// feed lets go of what waited for a task that is done.
func (j *Job) feed(id holo.TaskID) {
	number, i := j.stageOf(id)
	for _, next := range j.stages[number].feeds {
		j.satisfy(j.stages[next].first + i)
	}
}

// Finish tells that what a stage came to is known: its tasks are done and, of a
// reduce, combined. Only the caller knows when.
func (j *Job) Finish(number int) {
	s := &j.stages[number]
	if s.finished || j.state != Running {
		return
	}
	s.finished = true
	for _, next := range s.opens {
		for i := range j.stages[next].count {
			j.satisfy(j.stages[next].first + i)
		}
	}
}

// Held is the number of tasks that wait for others.
func (j *Job) Held() (n int) {
	for i := range j.tasks {
		if j.tasks[i].needs > 0 {
			n++
		}
	}
	return n
}
