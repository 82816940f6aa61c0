package sched

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
)

// Next hands out what can be handed out now: to each node the waiting tasks
// whose shard it is the home of, in order, until its window is full, and to
// nodes that have nothing to do what others would be late with. home tells the
// home of a shard as known now; of the tasks that wait it is asked once for each
// until HomesChanged. Call Next after anything changed, and at Wake.
func (j *Job) Next(now holo.Time, home func(holo.ShardID) (holo.NodeID, bool)) []Assign {
	j.release(now)
	j.place(now, home)
	if j.impatient(now) {
		return nil
	}
	if j.inLull() {
		return slices.Concat(j.probe(now), j.placeStrays(now), j.help(now, home))
	}
	var out []Assign
	for _, n := range j.nodes {
		for j.state == Running {
			q := j.earliest(n)
			if q == nil || len(n.out) >= j.windowFor(n, q.tasks[0]) {
				break
			}
			out = append(out, j.assign(now, n, q.tasks[0]))
			q.tasks = q.tasks[1:]
		}
	}
	out = append(out, j.placeStrays(now)...)
	return append(out, j.help(now, home)...)
}

// window is how many tasks a node may have: those that run and as many again,
// so that a slot never waits for a round trip.
func (j *Job) window() int { return 2 * j.opt.Slots }

// windowOf: what waits at a slow node could run elsewhere sooner.
func (j *Job) windowOf(n *node) int {
	if j.slow(n) {
		return j.opt.Slots
	}
	return j.window()
}

// place finds the home of every shard that has waiting tasks. A shard without
// one counts as a refusal: patience is measured, and Wake comes back.
func (j *Job) place(now holo.Time, home func(holo.ShardID) (holo.NodeID, bool)) {
	for _, n := range j.nodes {
		n.home = n.home[:0]
	}
	for _, q := range j.queues {
		id, any := j.head(q)
		if !any {
			continue
		}
		if q.home == nil {
			at, ok := home(q.shard)
			if !ok {
				j.refuse(now, holo.Refuse(holo.Unavailable, "no_home", "task %d: shard %d has no home now", id, q.shard))
				continue
			}
			q.home = j.node(at)
			q.home.lost = false
		}
		q.home.home = append(q.home.home, q)
	}
}

// HomesChanged has homes asked for again, and ends a lull.
func (j *Job) HomesChanged() {
	j.lull = lull{}
	j.forgetHomes()
}

// forgetHomes is what a failure does too: the node may be the home no more.
func (j *Job) forgetHomes() {
	for _, q := range j.queues {
		q.home = nil
	}
}

// earliest is the queue of the node whose first task has the lowest ID.
func (j *Job) earliest(n *node) *queue {
	var best *queue
	for _, q := range n.home {
		if id, ok := j.head(q); ok && (best == nil || id < best.tasks[0]) {
			best = q
		}
	}
	return best
}

func (j *Job) assign(now holo.Time, n *node, id holo.TaskID) Assign {
	reason := j.task(id).reason
	if j.task(id).attempts == 0 {
		reason = AtHome
	}
	return j.assignFor(now, n, id, reason)
}

func (j *Job) assignFor(now holo.Time, n *node, id holo.TaskID, r Reason) Assign {
	t := j.task(id)
	if t.attempts == 0 {
		j.started++
		t.stolen = r == Stolen
	}
	switch r {
	case Stolen:
		j.stolen++
	case Speculated:
		j.seconded++
	}
	t.node, t.reason = n.at, r
	t.attempts++
	t.out++
	j.assigned++
	a := Assign{Task: id, Attempt: t.attempts, Node: n.id}
	if len(n.out) == 0 {
		n.pace.begin(now)
	}
	n.out = append(n.out, outstanding{a, now, r})
	return a
}

// placeStrays gives tasks that trapped to the node with the fewest tasks that
// is not the one where they trapped. A trap is deterministic, so this is only
// to tell a broken kernel from a broken node; with no other node left the trap
// stands and ends the job.
func (j *Job) placeStrays(now holo.Time) []Assign {
	var out []Assign
	var wait []holo.TaskID
	for _, id := range j.strays {
		if j.state != Running || j.tasks[id].done {
			continue
		}
		n := j.otherNode(j.traps[id].node)
		switch {
		case n == nil:
			j.fail(id, j.traps[id].err)
		case len(n.out) >= j.window():
			wait = append(wait, id)
		default:
			out = append(out, j.assign(now, n, id))
		}
	}
	j.strays = wait
	return out
}

// otherNode is the node with the fewest tasks out that is not the one given,
// the earliest known of several; nil where there is none.
func (j *Job) otherNode(than holo.NodeID) *node {
	var best *node
	for _, n := range j.nodes {
		if n.id != than && !n.lost && (best == nil || len(n.out) < len(best.out)) {
			best = n
		}
	}
	return best
}

// Wake tells when Next must be called again although nothing happened: when a
// back-off ends, when a task is so late that another node helps, or to look for
// the homes that were missing.
func (j *Job) Wake(now holo.Time) (holo.Time, bool) {
	if j.state != Running {
		return 0, false
	}
	at, ok := now.Add(j.opt.MaxBackoff), j.refusal != nil
	if j.heldBack() && now < j.lull.until && j.lull.until < at {
		at = j.lull.until
	}
	if len(j.later) > 0 && (!ok || j.later[0].at < at) {
		at, ok = j.later[0].at, true
	}
	if j.looks && (!ok || j.look < at) {
		at, ok = j.look, true
	}
	return at, ok
}

// Nodes are the nodes that have tasks out, in order of their IDs: the ones to
// tell when the job ends early.
func (j *Job) Nodes() []holo.NodeID {
	var ids []holo.NodeID
	for _, n := range j.nodes {
		if len(n.out) > 0 {
			ids = append(ids, n.id)
		}
	}
	slices.SortFunc(ids, holo.NodeID.Compare)
	return ids
}
