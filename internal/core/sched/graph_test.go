package sched

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// randomGraph draws stages over some extents, each after some of those before it.
func randomGraph(rng *rand.Rand, stages, extents int) []Stage {
	list := make([]Stage, stages)
	for i := range list {
		list[i].Shards = make([]holo.ShardID, extents)
		for e := range list[i].Shards {
			list[i].Shards[e] = holo.ShardID((i*7 + e) % 64)
		}
		for before := range i {
			switch rng.IntN(2 * stages) {
			case 0, 1, 2:
				list[i].Each = append(list[i].Each, before)
			case 3:
				list[i].All = append(list[i].All, before)
			}
		}
	}
	return list
}

// graphRun checks each task against the graph, a second way: by what was done.
type graphRun struct {
	*testing.T
	stages  []Stage
	extents int
	job     *Job
	done    []bool
	left    []int // tasks of each stage
}

func (g *graphRun) mayStart(id holo.TaskID) {
	stage, extent := int(id)/g.extents, int(id)%g.extents
	for _, before := range g.stages[stage].Each {
		if !g.done[before*g.extents+extent] {
			g.Fatalf("task %d of stage %d starts before that of stage %d is done", extent, stage, before)
		}
	}
	for _, before := range g.stages[stage].All {
		if g.left[before] > 0 {
			g.Fatalf("task %d of stage %d starts before stage %d is finished", extent, stage, before)
		}
	}
}

func (g *graphRun) finish(now holo.Time, a Assign) {
	if g.job.Done(now, a, Result{Gas: 1}) == g.done[a.Task] {
		g.Fatalf("task %d counts twice, or not at all", a.Task)
	}
	if g.done[a.Task] {
		return
	}
	g.done[a.Task] = true
	stage := int(a.Task) / g.extents
	if g.left[stage]--; g.left[stage] == 0 {
		g.job.Finish(stage)
		g.job.Finish(stage) // once is enough
	}
}

// run lets some of what is out fail, and the rest be done in any order.
func (g *graphRun) run(rng *rand.Rand) {
	home := func(s holo.ShardID) (holo.NodeID, bool) { return nodeID(int(s) % 3), true }
	var out []Assign
	for now := holo.Time(0); ; now = now.Add(holo.Second) {
		for _, a := range g.job.Next(now, home) {
			g.mayStart(a.Task)
			out = append(out, a)
		}
		if len(out) == 0 {
			return
		}
		i := rng.IntN(len(out))
		a := out[i]
		out[i] = out[len(out)-1]
		out = out[:len(out)-1]
		if rng.IntN(20) == 0 {
			g.job.Failed(now, a, holo.Refuse(holo.Unavailable, "reconfiguring", "not now"))
			continue
		}
		g.finish(now, a)
	}
}

func newGraphRun(t *testing.T, rng *rand.Rand, stages, extents int) *graphRun {
	g := &graphRun{T: t, stages: randomGraph(rng, stages, extents), extents: extents, done: make([]bool, stages*extents), left: make([]int, stages)}
	for i := range g.left {
		g.left[i] = extents
	}
	g.job = NewGraph(g.stages, Options{Budget: 100})
	return g
}

func TestTaskOfAGraphStartsAfterAllThatItWaitsFor(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 7))
		g := newGraphRun(t, rng, 1+rng.IntN(30), 1+rng.IntN(20))
		g.run(rng)
		if state, err := g.job.State(); state != Complete {
			t.Fatalf("seed %d: the graph ends in state %d: %v, %d tasks wait", seed, state, err, g.job.Held())
		}
	}
}

// 10,000 tasks that wait for each other are all done, and what they took is
// given back with the job.
func TestTenThousandTasksThatWaitForEachOther(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	before := liveBytes()
	g := newGraphRun(t, rng, 100, 100)
	if queued := liveBytes() - before; queued > 100*10_000 {
		t.Errorf("10,000 tasks that wait take %d bytes, want at most 100 each", queued)
	}
	g.run(rng)
	if state, err := g.job.State(); state != Complete || g.job.Progress().Committed != 10_000 {
		t.Fatalf("state %d, %v", state, err)
	}
	g = nil
	if kept := liveBytes() - before; kept > 64<<10 {
		t.Errorf("%d bytes are kept of a graph that is over", kept)
	}
}

// liveBytes is what is reachable now.
func liveBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestFailureLeavesWhatDependsOnItHeld(t *testing.T) {
	j := NewGraph([]Stage{{Shards: make([]holo.ShardID, 2)}, {Shards: make([]holo.ShardID, 2), Each: []int{0}}}, Options{})
	out := j.Next(0, homes(0))
	j.Done(0, out[0], Result{})
	j.Failed(0, out[1], errTrap)
	if state, err := j.State(); state != Failed || err == nil || j.Held() != 1 {
		t.Errorf("state %d, %v, %d tasks held; want failed, and 1 held", state, err, j.Held())
	}
}
