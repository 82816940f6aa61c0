package jobs

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/kernels"
)

// lan is the dumbest cluster that keeps Cluster's promises: real runners, real
// kernels, messages through their encoding, and one map for all pages. It can
// refuse, lose answers and kill nodes where a real one would only sometimes.
type lan struct {
	*testing.T
	mu      sync.Mutex
	rng     *rand.Rand
	start   time.Time
	peers   []*peer
	arrays  map[holo.ArrayID]Array
	pages   map[holo.PageID]Page
	commits map[taskKey]int // TaskCommits that came in
	applied map[taskKey]holo.JobEpoch
	homes   map[holo.ShardID]int
	modules map[holo.ModuleID][]byte
	lastJob holo.JobID
	ended   map[holo.JobID]Job
	changed sync.Cond // ended changed

	// chaos is the share of requests between nodes, in percent, that are
	// refused, and the same share again whose answer is lost.
	chaos int
	// onRun is told each task that a node is sent, before it runs.
	onRun func(node int, t *wire.RunTask)
	// hangs has a node answer nothing to others; told counts what was recalled
	// from it.
	hangs    map[int]bool
	recalled int
	// onAnswer is told each answer of a node to another, before it arrives.
	onAnswer func(node int, r *wire.TaskResult)
	// onCommit is told each commit, before it is applied.
	onCommit func(node int, c *TaskCommit)
	// onEnd is told each end that is to be recorded; its error refuses it.
	onEnd func(node int, j Job) error
}

type taskKey struct {
	job  holo.JobID
	task holo.TaskID
}

// troubled are options for a lan with chaos: so many answers are lost that the
// default budget would end a job now and then.
var troubled = Options{Schedule: sched.Options{Budget: 100}}

// peer is one node of a lan.
type peer struct {
	lan    *lan
	number int
	runner *Runner
	signer key.Signer
	dead   chan struct{} // closed when it is killed
}

// newLAN makes one whose nodes do not help each other, unless the options say
// when: tests say where tasks run, and this machine is busy now and then.
func newLAN(t *testing.T, nodes int, o Options) *lan {
	o.Schedule.Overhead = cmp.Or(o.Schedule.Overhead, 1000*holo.Second)
	l := &lan{
		T: t, rng: rand.New(rand.NewPCG(1, uint64(nodes))), start: time.Now(),
		arrays: map[holo.ArrayID]Array{}, pages: map[holo.PageID]Page{}, commits: map[taskKey]int{}, applied: map[taskKey]holo.JobEpoch{},
		homes: map[holo.ShardID]int{}, modules: map[holo.ModuleID][]byte{}, ended: map[holo.JobID]Job{},
	}
	l.changed.L = &l.mu
	for i := range nodes {
		l.peers = append(l.peers, &peer{lan: l, number: i, signer: key.GenerateSigner(), dead: make(chan struct{})})
	}
	for s := range holo.ShardID(holo.MaxClass * holo.ShardCount) {
		l.homes[s] = int(s) % nodes
	}
	for _, p := range l.peers {
		p.runner = New(t.Context(), p, o)
		t.Cleanup(p.runner.Close)
	}
	return l
}

func (p *peer) id() holo.NodeID { return holo.NodeID{31: byte(p.number + 1)} }

func (l *lan) peer(id holo.NodeID) *peer { return l.peers[id[31]-1] }

// module makes a sample kernel known.
func (l *lan) module(name string) holo.ModuleID {
	wasm := kernels.Get(name)
	if wasm == nil {
		l.Fatalf("no sample kernel %s", name)
	}
	return l.add(wasm)
}

// add makes a module known to all peers.
func (l *lan) add(wasm []byte) holo.ModuleID {
	id := module.ID(wasm)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.modules[id] = wasm
	return id
}

// array makes an array of whole pages from little-endian elements.
func (l *lan) array(a Array, content []byte) holo.ArrayID {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.ID = holo.ArrayID(len(l.arrays) + 1)
	a.Shape.Length = uint64(len(content)) / a.Shape.Type.Size()
	a.Name = fmt.Sprintf("array%d", a.ID)
	if a.Class == 0 {
		a.Class = 1
	}
	l.arrays[a.ID] = a
	for i := range a.Shape.Pages() {
		page := make([]byte, holo.PageSize)
		copy(page, content[i*holo.PageSize:])
		l.pages[holo.PageID{Array: a.ID, Index: holo.PageIndex(i)}] = Page{Kind: wire.PageData, Data: page}
	}
	return a.ID
}

// content is what an array holds now.
func (l *lan) content(id holo.ArrayID) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b []byte
	for i := range l.arrays[id].Shape.Pages() {
		b = append(b, l.pages[holo.PageID{Array: id, Index: holo.PageIndex(i)}].Data...)
	}
	return b[:l.arrays[id].Shape.Bytes()]
}

// kill ends a node as SIGKILL would, and lets the cluster notice.
func (l *lan) kill(victim int) {
	l.mu.Lock()
	close(l.peers[victim].dead)
	alive := slices.DeleteFunc(slices.Clone(l.peers), func(p *peer) bool { return p.isDead() })
	for s, home := range l.homes {
		if home == victim {
			l.homes[s] = alive[int(s)%len(alive)].number
		}
	}
	l.mu.Unlock()
	for _, p := range alive {
		p.runner.NodeLost(l.peers[victim].id())
	}
}

func (p *peer) isDead() bool {
	select {
	case <-p.dead:
		return true
	default:
		return false
	}
}

// roll is true for the given percentage of calls.
func (l *lan) roll(percent int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rng.IntN(100) < percent
}

func (p *peer) Self() holo.NodeID { return p.id() }
func (p *peer) Now() holo.Time    { return holo.Time(time.Since(p.lan.start)) }

func (p *peer) Array(_ context.Context, id holo.ArrayID) (Array, error) {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	a, ok := p.lan.arrays[id]
	if !ok {
		return a, holo.Errorf(holo.NotFound, "array a%d does not exist", uint64(id))
	}
	return a, nil
}

func (p *peer) Shard(a Array, extent uint64) holo.ShardID {
	var hash uint64
	for _, c := range []byte(a.Affinity) {
		hash = hash*31 + uint64(c)
	}
	return holo.MakeShardID(a.Class, hash+extent)
}

func (p *peer) Home(s holo.ShardID) (holo.NodeID, bool) {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	return p.lan.peers[p.lan.homes[s]].id(), true
}

func (p *peer) Module(_ context.Context, id holo.ModuleID) ([]byte, error) {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	wasm, ok := p.lan.modules[id]
	if !ok {
		return nil, holo.Errorf(holo.NotFound, "kernel %s is not known", id)
	}
	return wasm, nil
}

func (p *peer) RecordJob(context.Context, *Spec) (holo.JobID, holo.JobEpoch, error) {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	p.lan.lastJob++
	return p.lan.lastJob, 1, nil
}

func (p *peer) RecordEnd(_ context.Context, j Job) error {
	if p.isDead() || p.lan.roll(p.lan.chaos) {
		return holo.Refuse(holo.Unavailable, "not_leader", "no leader")
	}
	if p.lan.onEnd != nil {
		if err := p.lan.onEnd(p.number, j); err != nil {
			return err
		}
	}
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	p.lan.ended[j.ID] = j
	p.lan.changed.Broadcast()
	return nil
}

func (p *peer) RunTask(ctx context.Context, node holo.NodeID, t *wire.RunTask) (*wire.TaskResult, error) {
	to := p.lan.peer(node)
	if to.isDead() || p.isDead() {
		return nil, holo.Errorf(holo.Unavailable, "no connection to %s", node)
	}
	if p.lan.roll(p.lan.chaos) {
		return nil, holo.Refuse(holo.Unavailable, "reconfiguring", "node %s refuses", node)
	}
	m, err := wire.Decode(wire.Encode(t))
	if err != nil {
		return nil, err
	}
	if p.lan.onRun != nil {
		p.lan.onRun(to.number, t)
	}
	if p.lan.hangs[to.number] {
		<-ctx.Done()
		p.lan.mu.Lock()
		defer p.lan.mu.Unlock()
		p.lan.recalled++
		return nil, holo.Errorf(holo.Cancelled, "recalled")
	}
	r := to.runner.RunTask(ctx, m.(*wire.RunTask))
	if to.isDead() || p.lan.roll(p.lan.chaos) {
		return nil, holo.Errorf(holo.Indeterminate, "the connection to %s ended", node)
	}
	m, err = wire.Decode(wire.Encode(r))
	if err != nil {
		return nil, err
	}
	if p.lan.onAnswer != nil {
		p.lan.onAnswer(to.number, m.(*wire.TaskResult))
	}
	return m.(*wire.TaskResult), nil
}

func (p *peer) Date() int64 { return 1 }

func (p *peer) SignReceipt(t *wire.RunTask, r *wire.Receipt) {
	copy(r.Signature[:], p.signer.Sign(r.Proof(holo.ClusterID{1}, t)))
}

func (p *peer) SignStep(r *wire.StepReceipt) {
	copy(r.Signature[:], p.signer.Sign(r.Proof(holo.ClusterID{1})))
}

func (p *peer) CheckReceipt(t *wire.RunTask, r *wire.Receipt) bool {
	return key.Verify(p.lan.peer(r.Node).signer.Public(), r.Proof(holo.ClusterID{1}, t), r.Signature[:])
}

func (p *peer) CancelTasks(_ context.Context, node holo.NodeID, c *wire.CancelTasks) error {
	p.lan.peer(node).runner.CancelTasks(c)
	return nil
}

func (p *peer) ReadPages(_ context.Context, array holo.ArrayID, shard holo.ShardID, first holo.PageIndex, count uint32) (Pages, error) {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	a := p.lan.arrays[array]
	if want := p.Shard(a, uint64(first)/a.Shape.ExtentPages()); want != shard || uint64(first)/a.Shape.ExtentPages() != (uint64(first)+uint64(count)-1)/a.Shape.ExtentPages() {
		p.lan.Errorf("pages %d to %d of array a%d do not lie in shard %d", first, uint64(first)+uint64(count)-1, uint64(array), shard)
	}
	got := Pages{Moved: p.lan.homes[shard] != p.number}
	for i := range holo.PageIndex(count) {
		got.Pages = append(got.Pages, p.lan.pages[holo.PageID{Array: array, Index: first + i}])
	}
	return got, nil
}

func (p *peer) CommitTask(_ context.Context, c *TaskCommit) (again bool, err error) {
	if p.lan.onCommit != nil {
		p.lan.onCommit(p.number, c)
	}
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	if p.isDead() {
		return false, holo.Errorf(holo.Unavailable, "this node is dead")
	}
	key := taskKey{c.Job, c.Task}
	p.lan.commits[key]++
	if _, twice := p.lan.applied[key]; twice {
		return true, nil
	}
	p.lan.applied[key] = c.Epoch
	for i, page := range c.Pages {
		p.lan.pages[holo.PageID{Array: c.Array, Index: c.First + holo.PageIndex(i)}] = Page{Kind: wire.PageData, Data: page}
	}
	return false, nil
}

// finish waits for the end of a job and checks that it was recorded so.
func (l *lan) finish(p *peer, id holo.JobID) Job {
	l.Helper()
	var last Progress
	err := p.runner.Watch(l.Context(), id, func(now Progress) error {
		if now.Committed < last.Committed || now.Retried < last.Retried || now.Gas < last.Gas {
			l.Errorf("progress went back: %+v, then %+v", last, now)
		}
		last = now
		return nil
	})
	if err != nil {
		l.Fatal(err)
	}
	j, err := p.runner.Job(id)
	if err != nil || !j.State.Final() || j.Progress.State != j.State {
		l.Fatalf("job %d after its end: %+v, %v", id, j, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ok := l.ended[id]; !ok; _, ok = l.ended[id] {
		l.changed.Wait()
	}
	if l.ended[id].State != j.State {
		l.Fatalf("job %d ended as %s and is recorded as %s", id, j.State, l.ended[id].State)
	}
	return j
}

// do runs a job on node 0 and wants it done.
func (l *lan) do(s Spec) Job {
	l.Helper()
	id, err := l.peers[0].runner.Submit(l.Context(), s)
	if err != nil {
		l.Fatal(err)
	}
	j := l.finish(l.peers[0], id)
	if j.State != Done {
		l.Fatalf("job %d: %s: %v", id, j.State, j.Err)
	}
	return j
}
