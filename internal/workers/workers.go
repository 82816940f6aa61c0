// Package workers runs kernels in processes of their own: the node's program,
// executed again, with nothing but two pipes and a region of shared memory.
//
// The one idea is that the WebAssembly engine is taken for breakable. Code that
// breaks out of it finds itself in a process that holds no key, no file, no
// socket and no other owner's data, that can make no system call but to
// compute and to answer (package confine), and that the node kills when it is
// late. The node believes nothing that a worker says: answers are short, parsed
// strictly and bounded in time; bytes in the region are copied out once. What a
// general task asks of its handles the node alone decides (reach.go).
//
// A Pool has a bounded number of workers, each running one task at a time. A
// task gets an instance of its own; a worker serves one owner until it ends,
// so that no process ever holds the data of two. A worker that crashes, lies or
// is late is killed and costs its task one try.
//
// The program's main function calls Main first: that is where the child turns
// off. The package decides nothing about what runs where. It follows
// research/wasm, sections 2.4, 6.3 and 7.
package workers

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/holocompute/holocompute/internal/code"
	"github.com/holocompute/holocompute/internal/confine"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/sandbox"
)

// Reasons of errors. They are counted (Options.Count).
const (
	WorkerDied    = "worker_died"    // it ended while it ran a task; another try may do
	WorkerFault   = "worker_fault"   // it answered with what is no answer
	ForbiddenCall = "forbidden_call" // the system ended it for a call that is not on the list
	WallClock     = "wall_clock"     // it ran past the deadline that its gas stands for
	CompileTime   = "compile_time"   // the module takes too long to compile
	CompileMemory = "compile_memory" // the module's compiler crashed or ran out of memory
	NotIsolated   = "not_isolated"   // strict isolation is wanted and cannot be had
)

// Limits of a worker.
const (
	// MemoryBytes bounds what a worker may write to, the region aside: linear
	// memory (64 MiB, and what the collector has not freed of the task before),
	// machine code, and what compiling takes.
	MemoryBytes = 512 << 20
	// collectPercent has the worker's collector run after four times the memory
	// in use and not after one: each task leaves its linear memory behind, and
	// with the default the collector took a fifth of a light task's time.
	// collectAt has it run more often before the limit is hit.
	collectPercent = 400
	collectAt      = MemoryBytes * 3 / 4

	// startLimit bounds the start of a process, compileLimit one compilation:
	// the engine gives up after ten seconds between two functions, and one
	// function takes less than a second.
	startLimit   = 30 * time.Second
	compileLimit = 15 * time.Second

	// A task may take wallBase, and a second for each wallRate of its gas: some
	// 500 times what kernels take that compute, and ten times what they take
	// that wait for memory at every instruction. The interpreter is 70 times
	// slower. wallMost is the end of any task.
	wallBase          = 10 * time.Second
	wallRate          = 20_000_000
	wallRateInterpret = wallRate / 100
	wallMost          = 4 * time.Hour

	// cancelGrace is how long a worker may take to notice that nobody wants its
	// answer. Kernels look every 0.1 ms.
	cancelGrace = 200 * time.Millisecond

	// idleLimit is how long a worker waits for another task of its owner, and
	// maxModules how many modules it compiles before it is replaced.
	idleLimit  = time.Minute
	maxModules = 8
)

// wall is how long a task with that gas may take.
func wall(engine sandbox.EngineKind, gas holo.Gas) time.Duration {
	rate := holo.Gas(wallRate)
	if engine == sandbox.Interpreter {
		rate = wallRateInterpret
	}
	seconds := min(gas/rate, holo.Gas(wallMost/time.Second))
	return min(wallBase+time.Duration(seconds)*time.Second, wallMost)
}

// Options are a pool's. The zero value of each means its default.
type Options struct {
	Max    int                 // processes at once; default 2
	Strict bool                // run nothing below confine.Full
	Logger *slog.Logger        // default: none
	Count  func(reason string) // told each worker that ended badly; default: nothing
	Code   *code.Store         // machine code of modules; nil: each worker compiles its own. The pool does not close it
}

// Pool runs tasks in workers. It is safe for concurrent use. Close ends all
// workers and waits for tasks: their contexts are to end first.
type Pool struct {
	opt     Options
	argv    string // what a worker is called; tests have workers of their own
	wall    func(sandbox.EngineKind, holo.Gas) time.Duration
	compile time.Duration
	group   *group
	busy    chan struct{} // holds one token per task that has, or starts, a worker
	starts  chan start
	closed  chan struct{} // closed by Close

	finding sync.Mutex // held by who finds the way to start workers

	mu struct {
		sync.Mutex
		closed  bool
		total   int
		idle    []*process // the longest idle first
		way     int        // of confine.Ways
		tried   error      // why the way before this one failed
		checked bool
		report  confine.Report
		started uint64
	}
}

// New makes a pool. It starts no process yet.
func New(o Options) *Pool {
	o.Max = cmp.Or(o.Max, 2)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Count == nil {
		o.Count = func(string) {}
	}
	p := &Pool{opt: o, argv: name, wall: wall, compile: compileLimit, group: newGroup(), busy: make(chan struct{}, o.Max), starts: make(chan start), closed: make(chan struct{})}
	p.group.startOn(p.starts)
	return p
}

// Close waits for tasks, and ends all workers.
func (p *Pool) Close() {
	p.mu.Lock()
	closed, idle := p.mu.closed, p.mu.idle
	p.mu.closed, p.mu.idle = true, nil
	p.mu.Unlock()
	if closed {
		return
	}
	close(p.closed)
	for _, w := range idle {
		w.idle.Stop()
		p.bury(w)
	}
	for range p.opt.Max { // whoever has a worker gives it back, and it is killed
		p.busy <- struct{}{}
	}
	p.group.close()
}

// State describes a pool.
type State struct {
	confine.Report
	Running, Max int
	Started      uint64 // since the pool was made
	WorkerBytes  uint64 // the most memory of one worker
	Code         code.State
}

// State tells how workers are isolated; it starts one if none was started yet.
// With Strict it is an error when they are not fully isolated.
func (p *Pool) State(ctx context.Context) (State, error) {
	if err := p.check(ctx); err != nil {
		return State{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return State{p.mu.report, p.mu.total, p.opt.Max, p.mu.started, MemoryBytes + regionBytes, p.opt.Code.State()}, nil
}

func (p *Pool) check(ctx context.Context) error {
	p.mu.Lock()
	checked := p.mu.checked
	p.mu.Unlock()
	if checked {
		return p.strict()
	}
	w, err := p.acquire(ctx, nil)
	if err != nil {
		return err
	}
	p.release(w, true)
	return nil
}

// strict refuses to go on where full isolation is wanted and not had.
func (p *Pool) strict() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.opt.Strict || p.mu.report.Level() == confine.Full {
		return nil
	}
	return holo.Refuse(holo.Denied, NotIsolated, "run kernels with strict isolation: this system gives workers level %q only, it lacks %s", p.mu.report.Level(), p.mu.report)
}
