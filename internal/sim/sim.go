// Package sim runs a whole cluster in one goroutine, on virtual time, from one
// seed: the production machines of core/shard, core/liveness and placement,
// under a network, clocks and processes that fail. The same seed gives the same
// run, byte for byte.
//
// Every seed draws its own mix of faults (swarm testing): loss, duplication,
// reordering to a quarter of a second, partitions with clients on either side,
// single link cuts, stalls, crashes that lose memory with fast or slow restart,
// clock rates one percent off, changes of the control plane's leader with the
// deposed one still reachable, planned moves of primaries, reads that straddle
// a stall, crashes between two messages, and in every second seed pages on disks
// that are slow, fail, damage records and are full for a while. The promise is checked, so it is
// kept: at most R-1 of a shard's holders are failed at any moment.
//
// Afterwards everything heals, and the run is judged: each page's history is
// linearizable (porcupine), no acknowledged write is missing, all copies are
// equal, R is restored, nothing is lost, each task took effect once, and the
// records of lanes are there once, in the order of each producer.
package sim

import (
	"container/heap"
	"hash/fnv"
	"math/rand/v2"
	"strconv"

	"github.com/holocompute/holocompute/internal/core/liveness"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/lane"
)

const (
	us = holo.Microsecond
	ms = holo.Millisecond
)

// Times are a tenth of production's, so that a second of virtual time holds
// many of everything.
var (
	leaseTiming = liveness.Timing{
		TTL: 300 * ms, Beat: 60 * ms, ReadTTL: 250 * ms, SlowMember: 150 * ms, Resend: 25 * ms, Batch: 2 * ms, Epsilon: 0.01,
	}
	shardTiming = shard.Timing{
		ReadTTL: 250 * ms, Resend: 25 * ms, SlowMember: 150 * ms, Handoff: 400 * ms, Grace: 900 * ms, Epsilon: 0.01,
	}
)

// clockError is how far the rate of a clock may be off: the bound that the
// protocol assumes.
const clockError = 0.01

// Options is a run. For gives those of a seed.
type Options struct {
	Seed    uint64
	Nodes   int
	Copies  holo.Class // R
	Shards  int
	Pages   int // of each array in each shard
	Clients int
	Ops     int  // of each client
	Disk    bool // pages go to disks that are slow, fail and are full at times
	Room    int  // shards that a node has room for in memory, and copies go nowhere else; 0: all
	Keep    bool
}

// For varies the cluster with the seed: 3 to 5 nodes, 2 or 3 copies, with and
// without disks.
func For(seed uint64) Options {
	o := Options{Seed: seed, Nodes: 3 + int(seed%3), Copies: holo.Class(2 + seed%2), Shards: 2, Pages: 2, Clients: 4, Ops: 60, Disk: seed%4 >= 2}
	o.Nodes = max(o.Nodes, int(o.Copies)+1)
	if seed%8 == 4 { // two copies of two shards, one on each node but two
		o.Nodes, o.Room = 2*int(o.Copies)+2, 1
	}
	return o
}

// full is what all pages of a shard take.
func (o Options) full() int { return (o.Pages*arrays + lane.MinPages) * holo.PageSize }

// capacity is how many bytes of pages a node may have in memory; 0: no limit.
func (o Options) capacity() int { return o.Room * o.full() }

// Result is what a run came to.
type Result struct {
	Failure    string // "" when everything held
	Hash       uint64 // of the transcript
	Transcript []byte // with Keep
	Counts     map[string]int
	Virtual    holo.Duration
}

// world is the state of a run.
type world struct {
	o        Options
	rng      *rand.Rand
	now      holo.Time // true time, which no process sees
	queue    events
	count    uint64
	nodes    []*node
	clients  []*client
	control  *control
	net      network
	faults   faults
	history  []record
	handouts []handout
	failure  string
	counts   map[string]int
	hash     uint64
	kept     []byte
	line     []byte
}

// Run runs a seed to its end and judges it.
func Run(o Options) Result {
	w := newWorld(o)
	w.work()
	w.heal()
	w.judge()
	return Result{Failure: w.failure, Hash: w.hash, Transcript: w.kept, Counts: w.counts, Virtual: holo.Duration(w.now)}
}

func newWorld(o Options) *world {
	w := &world{o: o, rng: rand.New(rand.NewPCG(o.Seed, 0x686f6c6f)), counts: map[string]int{}}
	w.net.cut = map[link]bool{}
	for i := range o.Nodes {
		w.nodes = append(w.nodes, newNode(w, i))
	}
	w.control = newControl(w)
	for i := range o.Clients {
		w.clients = append(w.clients, newClient(w, i))
	}
	for i := range laneClients {
		w.clients = append(w.clients, newLaneClient(w, o.Clients+i))
	}
	w.faults = newFaults(w)
	return w
}

// work lets the clients do their operations under faults.
func (w *world) work() {
	for _, c := range w.clients {
		w.after(50*ms, c.next)
	}
	w.after(100*ms, w.faults.strike)
	for w.now < holo.Time(60*holo.Second) && !w.idle() {
		w.step()
	}
}

func (w *world) idle() bool {
	for _, c := range w.clients {
		if c.left > 0 || c.op != nil {
			return false
		}
	}
	return true
}

// heal ends all faults and gives the cluster time to repair itself: at most 20
// s, far above the lease that the slowest repair has to wait for.
func (w *world) heal() {
	w.faults.stop()
	for range 40 {
		w.run(500 * ms)
		if w.unrestored() == "" {
			return
		}
	}
}

// event is something to do at a time; equal times go by order of making.
type event struct {
	at holo.Time
	n  uint64
	do func()
}

type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].n < q[j].n
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push and Pop are for container/heap.
func (q *events) Push(x any) { *q = append(*q, x.(event)) }

// Pop removes the last.
func (q *events) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = event{}
	*q = old[:len(old)-1]
	return e
}

func (w *world) after(d holo.Duration, do func()) {
	w.count++
	heap.Push(&w.queue, event{w.now.Add(max(d, 0)), w.count, do})
}

func (w *world) step() {
	e := heap.Pop(&w.queue).(event)
	w.now = e.at
	e.do()
}

// run lets a span of time pass.
func (w *world) run(d holo.Duration) {
	end := w.now.Add(d)
	for len(w.queue) > 0 && w.queue[0].at <= end {
		w.step()
	}
	w.now = end
}

// upTo draws a duration below d.
func (w *world) upTo(d holo.Duration) holo.Duration { return holo.Duration(w.rng.Int64N(int64(d))) }

// oneIn draws whether something that happens once in n times happens; never
// for 0.
func (w *world) oneIn(n int) bool { return n > 0 && w.rng.IntN(n) == 0 }

// clock is a process's view of time: no two agree.
type clock struct {
	rate   float64
	offset holo.Time
}

func newClock(rng *rand.Rand) clock {
	return clock{rate: 1 + (2*rng.Float64()-1)*clockError, offset: holo.Time(rng.Int64N(int64(1000 * holo.Second)))}
}

func (c clock) at(now holo.Time) holo.Time { return holo.Time(float64(now)*c.rate) + c.offset }

// note adds a line to the transcript: what happened, to whom, and numbers.
func (w *world) note(what string, ns ...uint64) {
	w.line = strconv.AppendInt(w.line[:0], int64(w.now), 10)
	w.line = append(append(w.line, ' '), what...)
	for _, n := range ns {
		w.line = strconv.AppendUint(append(w.line, ' '), n, 10)
	}
	w.line = append(w.line, '\n')
	h := fnv.New64a()
	h.Write(strconv.AppendUint(w.line, w.hash, 16))
	w.hash = h.Sum64()
	if w.o.Keep {
		w.kept = append(w.kept, w.line...)
	}
}

func (w *world) tally(what string) { w.counts[what]++ }

// fail notes the first thing that went wrong.
func (w *world) fail(what string) {
	if w.failure == "" {
		w.failure = what
		w.note("FAIL " + what)
	}
}
