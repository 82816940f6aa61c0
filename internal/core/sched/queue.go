package sched

import (
	"cmp"
	"container/heap"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
)

// queue holds the tasks of one shard that wait, in order of their IDs: so the
// partial results of neighbours come in together and few are held uncombined.
type queue struct {
	shard holo.ShardID
	tasks []holo.TaskID
	home  *node // as told since homes last changed; nil: not known

	refused holo.Time // the last time that a task of it was
}

// add puts a task back where it belongs.
func (q *queue) add(id holo.TaskID) {
	i, _ := slices.BinarySearch(q.tasks, id)
	q.tasks = slices.Insert(q.tasks, i, id)
}

// head drops the tasks in front that were done meanwhile by an older attempt,
// and tells the first that was not.
func (j *Job) head(q *queue) (holo.TaskID, bool) {
	for len(q.tasks) > 0 && j.tasks[q.tasks[0]].done {
		q.tasks = q.tasks[1:]
	}
	if len(q.tasks) == 0 {
		return 0, false
	}
	return q.tasks[0], true
}

// delay is a task that waits for its back-off to end.
type delay struct {
	at   holo.Time
	task holo.TaskID
}

type delays []delay

func (d delays) Len() int { return len(d) }
func (d delays) Less(a, b int) bool {
	return cmp.Or(cmp.Compare(d[a].at, d[b].at), cmp.Compare(d[a].task, d[b].task)) < 0
}
func (d delays) Swap(a, b int) { d[a], d[b] = d[b], d[a] }
func (d *delays) Push(x any)   { *d = append(*d, x.(delay)) }
func (d *delays) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}

// retry queues the task again, after its back-off.
func (j *Job) retry(now holo.Time, id holo.TaskID) {
	t := j.task(id)
	wait := min(j.opt.MinBackoff<<min(t.refused, 20), j.opt.MaxBackoff)
	t.refused += min(1, 255-t.refused)
	t.delayed = true
	heap.Push(&j.later, delay{now.Add(wait), id})
}

// release queues the tasks whose back-off is over.
func (j *Job) release(now holo.Time) {
	for len(j.later) > 0 && j.later[0].at <= now {
		id := heap.Pop(&j.later).(delay).task
		j.tasks[id].delayed = false
		switch _, stray := j.traps[id]; {
		case j.tasks[id].done:
		case stray:
			j.strays = append(j.strays, id)
		default:
			j.byID[j.shards[id]].add(id)
		}
	}
}

// node is what the coordinator knows of one node.
type node struct {
	id   holo.NodeID
	at   uint16        // its place in Job.nodes: a cluster has 64 nodes
	out  []outstanding // handed out and neither answered nor given up
	home []*queue      // that it is the home of, as of this Next
	work Work
	lost bool // declared dead, and no home since
	pace pace
	// failing: its last answer was a failure. It helps nobody until it has done
	// something of its own.
	failing bool
}

// outstanding is an attempt that is out, since when, and why there.
type outstanding struct {
	Assign
	since  holo.Time
	reason Reason
}

// take removes an attempt that was out, and tells whether it was.
func (j *Job) take(n *node, a Assign) (o outstanding, live bool) {
	i := slices.IndexFunc(n.out, func(o outstanding) bool { return o.Assign == a })
	if i < 0 {
		return o, false
	}
	o = n.out[i]
	n.out = slices.Delete(n.out, i, i+1)
	j.task(a.Task).out--
	return o, true
}

func (j *Job) node(id holo.NodeID) *node {
	n, ok := j.known[id]
	if !ok {
		n = &node{id: id, at: uint16(len(j.nodes)), work: Work{Node: id}}
		j.known[id] = n
		j.nodes = append(j.nodes, n)
	}
	return n
}
