package sched

import "github.com/holocompute/holocompute/internal/holo"

// Done takes the result of an attempt. It reports whether this is the task's
// result: the first to come in, of whichever attempt, also one that was given
// up. All others are dropped.
func (j *Job) Done(now holo.Time, a Assign, r Result) bool {
	n, t := j.node(a.Node), j.task(a.Task)
	o, live := j.take(n, a)
	if live {
		n.failing = false
		n.pace.answered(now, r.Gas, j.keep())
	}
	if t.done || a.Attempt < 1 || a.Attempt > t.attempts || j.state != Running {
		if live {
			n.work.Failed++
		}
		return false
	}
	if !live { // it was counted as failed when it was given up
		n.work.Failed -= min(1, n.work.Failed)
	}
	t.done, t.node = true, n.at
	switch {
	case live:
		t.reason = o.reason
	case a.Attempt == 1 && t.stolen:
		t.reason = Stolen
	case a.Attempt == 1:
		t.reason = AtHome
	}
	delete(j.traps, a.Task)
	j.refusal, j.lull = nil, lull{}
	j.count(n, a.Task, r)
	j.recall(a.Task)
	j.feed(a.Task)
	if j.committed == uint32(len(j.tasks)) {
		j.end(Complete, nil)
	}
	return true
}

func (j *Job) count(n *node, id holo.TaskID, r Result) {
	number, _ := j.stageOf(id)
	j.stages[number].done++
	j.stages[number].gas += r.Gas
	j.committed++
	j.gas += r.Gas
	j.processed += r.BytesLocal + r.BytesMoved
	j.movedByte += r.BytesMoved + r.Sent
	n.work.Committed++
	n.work.Gas += r.Gas
	n.work.BytesLocal += r.BytesLocal
	n.work.BytesMoved += r.BytesMoved + r.Sent
}

// Failed takes the failure of an attempt. One that was given up already, or
// whose task another attempt has done, changes nothing else.
func (j *Job) Failed(now holo.Time, a Assign, err error) {
	n := j.node(a.Node)
	o, live := j.take(n, a)
	if !live {
		return
	}
	n.work.Failed++
	n.pace.last = now
	j.forgetHomes()
	t := j.task(a.Task)
	if t.done || j.state != Running {
		return
	}
	n.failing = true
	c := causeOf(err)
	j.note(a.Task, reasonOf(c), err)
	if c != causeRefused {
		j.ran(now, o)
	}
	switch c {
	case causeRefused:
		j.refuse(now, err)
		j.byID[j.shards[a.Task]].refused = now
		j.hold(now)
		j.again(now, a.Task)
	case causeTrap:
		j.trapped(now, a, err)
	case causeFinal:
		j.fail(a.Task, err)
	default:
		j.charge(now, a.Task, err)
	}
}

// NodeLost gives up all attempts on a node that the cluster declared dead. A
// result that still comes from one of them is taken by Done.
func (j *Job) NodeLost(now holo.Time, id holo.NodeID) {
	n, ok := j.known[id]
	if !ok || j.state != Running {
		return
	}
	j.forgetHomes()
	given := n.out
	n.out, n.lost = nil, true
	for _, o := range given {
		a := o.Assign
		n.work.Failed++
		j.task(a.Task).out--
		if !j.task(a.Task).done {
			err := holo.Refuse(holo.Unavailable, "node_lost", "task %d: node %s was lost", a.Task, id)
			j.note(a.Task, NodeLost, err)
			j.ran(now, o)
			j.charge(now, a.Task, err)
		}
	}
}

// charge tries again at the cost of the task's budget.
func (j *Job) charge(now holo.Time, id holo.TaskID, err error) {
	t := j.task(id)
	t.charged += min(1, 255-t.charged)
	if t.out == 0 && int(t.charged) > j.opt.Budget {
		j.fail(id, holo.Errorf(holo.KindOf(err), "task %d failed %d times, the last time: %w", id, t.charged, err))
		return
	}
	j.again(now, id)
}

// again queues a task unless another attempt of it is out: that one goes on.
func (j *Job) again(now holo.Time, id holo.TaskID) {
	if j.task(id).out == 0 {
		j.retried(id)
		j.retry(now, id)
	}
}

// retried notes that a task is tried again, and why.
func (j *Job) retried(id holo.TaskID) {
	if j.retries == nil {
		j.retries = map[Reason]uint64{}
	}
	j.retries[j.task(id).reason]++
}

// Retries are how many tasks had to be tried again, by reason: NodeLost, Refused,
// Trapped or Faulted. Each is told once.
func (j *Job) Retries() map[Reason]uint64 {
	told := j.retries
	j.retries = nil
	return told
}

// trapped tries a task that trapped once more, on another node.
func (j *Job) trapped(now holo.Time, a Assign, err error) {
	_, before := j.traps[a.Task]
	alone := j.task(a.Task).out == 0
	if before || alone && j.otherNode(a.Node) == nil {
		j.fail(a.Task, err)
		return
	}
	j.traps[a.Task] = trap{a.Node, err}
	if alone {
		j.retried(a.Task)
		j.strays = append(j.strays, a.Task)
	}
}

// refuse remembers since when tasks are refused and none is committed.
func (j *Job) refuse(now holo.Time, err error) {
	if j.refusal == nil {
		j.refusedSince = now
	}
	j.refusal = err
}

// ran starts patience anew after an attempt that was out for longer than a
// refusal would take: the job was not refused meanwhile. One that ends refused
// does not count, or a job whose every commit is refused would never end.
func (j *Job) ran(now holo.Time, o outstanding) {
	if o.since < now.Add(-j.opt.MaxBackoff) {
		j.refusedSince = now
	}
}

// impatient ends the job when it was refused for too long. While any attempt
// is out for longer than a refusal would take, something runs, and it waits.
func (j *Job) impatient(now holo.Time) bool {
	if j.refusal != nil && now.Sub(j.refusedSince) >= j.opt.Patience && !j.busySince(now.Add(-j.opt.MaxBackoff)) {
		j.end(Failed, holo.Errorf(holo.KindOf(j.refusal), "no task was committed for %s: %w", j.opt.Patience, j.refusal))
	}
	return j.state != Running
}

// busySince reports whether an attempt is out that was handed out before t.
func (j *Job) busySince(t holo.Time) bool {
	for _, n := range j.nodes {
		for _, o := range n.out {
			if o.since < t {
				return true
			}
		}
	}
	return false
}

// cause sorts failures by what is done about them.
type cause uint8

const (
	causeCharged cause = iota // try again, and count it
	causeRefused              // certainly not applied, the cluster is reconfiguring: try again, and do not count it
	causeTrap                 // the kernel's own fault: once more elsewhere
	causeFinal                // trying again gives the same
)

// causeOf is the whole table. What is not named is charged: a connection that
// ended before its answer (Indeterminate), a worker that stopped (Cancelled),
// a page that did not verify (Corrupt), a memory limit (Exhausted), a bug.
func causeOf(err error) cause {
	switch holo.KindOf(err) {
	case holo.Unavailable, holo.Stale:
		return causeRefused
	case holo.KernelTrapped:
		return causeTrap
	case holo.Invalid, holo.NotFound, holo.Exists, holo.Denied, holo.Conflict, holo.DataLost:
		return causeFinal
	default:
		return causeCharged
	}
}
