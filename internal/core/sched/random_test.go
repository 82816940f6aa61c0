package sched

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// world runs a job against nodes that refuse, trap, die, come back, answer
// late, and answer attempts that were given up.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	job     *Job
	now     holo.Time
	homes   map[holo.ShardID]holo.NodeID
	nodes   []holo.NodeID
	out     []Assign // sent and not yet answered, given up or not
	counted map[holo.TaskID]int
	next    map[holo.TaskID]holo.Attempt
	order   []holo.TaskID
}

func nodeID(i int) holo.NodeID { return holo.NodeID{31: byte(i + 1)} }

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), homes: map[holo.ShardID]holo.NodeID{},
		counted: map[holo.TaskID]int{}, next: map[holo.TaskID]holo.Attempt{},
	}
	for i := range 1 + w.rng.IntN(5) {
		w.nodes = append(w.nodes, nodeID(i))
	}
	shards := make([]holo.ShardID, 1+w.rng.IntN(200))
	for i := range shards {
		shards[i] = holo.ShardID(i % (1 + w.rng.IntN(16)))
		w.homes[shards[i]] = w.anyNode()
	}
	w.job = New(shards, Options{Slots: 1 + w.rng.IntN(3), Budget: 100})
	return w
}

func (w *world) anyNode() holo.NodeID { return w.nodes[w.rng.IntN(len(w.nodes))] }

func (w *world) home(s holo.ShardID) (holo.NodeID, bool) {
	id, ok := w.homes[s]
	return id, ok && w.rng.IntN(50) > 0
}

func (w *world) assign() {
	for _, a := range w.job.Next(w.now, w.home) {
		w.next[a.Task]++
		if a.Attempt != w.next[a.Task] {
			w.t.Fatalf("attempt %d of task %d, want %d", a.Attempt, a.Task, w.next[a.Task])
		}
		w.out = append(w.out, a)
	}
	for _, n := range w.job.Progress().Nodes {
		if int(n.Running) > w.job.window() {
			w.t.Fatalf("node %s has %d tasks, its window is %d", n.Node, n.Running, w.job.window())
		}
	}
}

// answer lets one attempt that is out come to something. Some answers are kept
// and given again: duplicates.
func (w *world) answer() {
	if len(w.out) == 0 {
		return
	}
	i := w.rng.IntN(len(w.out))
	a := w.out[i]
	if w.rng.IntN(10) > 0 {
		w.out = slices.Delete(w.out, i, i+1)
	}
	switch w.rng.IntN(8) {
	case 0:
		w.job.Failed(w.now, a, holo.Refuse(holo.Unavailable, "reconfiguring", "not now"))
	case 1:
		w.job.Failed(w.now, a, holo.Errorf(holo.Indeterminate, "the connection ended"))
	default:
		w.done(a)
	}
}

func (w *world) done(a Assign) {
	if !w.job.Done(w.now, a, Result{Gas: 3, BytesLocal: 5, BytesMoved: 7, Sent: 11}) {
		return
	}
	w.counted[a.Task]++
	w.order = append(w.order, a.Task)
}

// trouble kills a node (its shards go elsewhere), or moves a shard.
func (w *world) trouble() {
	victim := w.anyNode()
	for s := range holo.ShardID(16) {
		if w.homes[s] == victim {
			w.homes[s] = w.anyNode()
		}
	}
	switch w.rng.IntN(3) {
	case 0:
		w.job.NodeLost(w.now, victim)
	case 1:
		w.job.HomesChanged()
	}
}

func (w *world) run() {
	for range 200_000 {
		if state, err := w.job.State(); state != Running {
			if state != Complete {
				w.t.Fatalf("the job ended in state %d: %v", state, err)
			}
			return
		}
		w.now = w.now.Add(holo.Duration(w.rng.Int64N(int64(10 * holo.Millisecond))))
		switch n := w.rng.IntN(100); {
		case n < 1:
			w.trouble()
		case n < 45:
			w.assign()
		default:
			w.answer()
		}
	}
	w.t.Fatal("the job does not end")
}

// Whatever is lost, refused, doubled or late: each task is counted exactly
// once, the counters add up, and the tree combines the same pairs.
func TestEveryTaskCountsOnceWhateverHappens(t *testing.T) {
	var stolen, seconded uint32
	for seed := range uint64(400) {
		w := newWorld(t, seed)
		w.run()
		for id := range w.job.tasks {
			if w.counted[holo.TaskID(id)] != 1 {
				t.Fatalf("seed %d: task %d counted %d times", seed, id, w.counted[holo.TaskID(id)])
			}
		}
		for _, a := range w.out { // everybody else answers after the end
			w.done(a)
		}
		p := w.job.Progress()
		n := uint64(len(w.job.tasks))
		if len(w.order) != int(n) || p.Gas != holo.Gas(3*n) || p.BytesProcessed != 12*n || p.BytesMoved != 18*n {
			t.Fatalf("seed %d: %d tasks, %d results, progress %+v", seed, n, len(w.order), p)
		}
		stolen, seconded = stolen+p.Stolen, seconded+p.Speculated
		checkSums(t, seed, p)
		checkTree(t, seed, len(w.job.tasks), w.order)
	}
	if stolen < 100 || seconded < 40 {
		t.Errorf("%d tasks were stolen and %d speculated on: too few to show anything", stolen, seconded)
	}
}

// checkSums compares the nodes' counters with the job's.
func checkSums(t *testing.T, seed uint64, p Progress) {
	var sum Work
	for _, n := range p.Nodes {
		sum.Committed += n.Committed
		sum.Failed += n.Failed
		sum.Running += n.Running
		sum.Gas += n.Gas
		sum.BytesMoved += n.BytesMoved
	}
	if sum.Committed != p.Committed || sum.Gas != p.Gas || sum.BytesMoved != p.BytesMoved || sum.Running != 0 {
		t.Fatalf("seed %d: the nodes add up to %+v, the job says %+v", seed, sum, p)
	}
	if sum.Failed != p.Retried {
		t.Fatalf("seed %d: %d attempts failed, %d were tried again", seed, sum.Failed, p.Retried)
	}
}

// shapeOf is the tree computed a second, dumber way: level by level over the
// list of what is there.
func shapeOf(n int) string {
	var level []string
	for i := range n {
		level = append(level, fmt.Sprint(i))
	}
	for len(level) > 1 {
		var up []string
		for i := 0; i < len(level); i += 2 {
			if i+1 == len(level) {
				up = append(up, level[i])
				continue
			}
			up = append(up, "("+level[i]+" "+level[i+1]+")")
		}
		level = up
	}
	return level[0]
}

// checkTree combines in the order of arrival.
func checkTree(t *testing.T, seed uint64, n int, order []holo.TaskID) {
	tree := NewTree(n)
	have := map[holo.TaskID]string{}
	for _, id := range order {
		have[id] = fmt.Sprint(id)
		for _, s := range tree.Add(id) {
			if have[s.Into] == "" || have[s.From] == "" {
				t.Fatalf("seed %d: step %v before both sides are there", seed, s)
			}
			have[s.Into] = "(" + have[s.Into] + " " + have[s.From] + ")"
			delete(have, s.From)
		}
	}
	if len(have) != 1 || have[0] != shapeOf(n) || !tree.Whole() {
		t.Fatalf("seed %d: %d tasks combine to %v, want %s", seed, n, have, shapeOf(n))
	}
}

func TestTreeHasOneShape(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for n := 1; n < 70; n++ {
		for range 20 {
			order := make([]holo.TaskID, n)
			for i, id := range rng.Perm(n) {
				order[i] = holo.TaskID(id)
			}
			checkTree(t, uint64(n), n, order)
		}
	}
}

// The same calls give the same machine: no answer depends on the order in
// which a map is walked.
func TestScheduleIsDeterministic(t *testing.T) {
	for seed := range uint64(30) {
		a, b := newWorld(t, seed), newWorld(t, seed)
		a.run()
		b.run()
		if !slices.Equal(a.order, b.order) || fmt.Sprint(a.job.Progress()) != fmt.Sprint(b.job.Progress()) {
			t.Fatalf("seed %d: two runs differ", seed)
		}
	}
}
