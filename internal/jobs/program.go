package jobs

import (
	"context"
	"sync"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
)

// maxPrograms bounds the compiled modules that are kept; machine code is about
// ten times the module. Programs in use are never dropped.
const maxPrograms = 32

// programs keeps compiled modules by their hash, so that a module is fetched,
// verified, admitted and compiled once however many tasks need it.
type programs struct {
	engine *sandbox.Engine
	fetch  func(context.Context, holo.ModuleID) ([]byte, error)

	mu struct {
		sync.Mutex
		clock   uint64
		entries map[holo.ModuleID]*entry
	}
}

// entry is one module. Its turn is held by whoever loads it; all but program
// is guarded by programs.mu.
type entry struct {
	turn    chan struct{} // holds one token while somebody loads
	program *sandbox.Program
	users   int
	used    uint64 // clock of the last get
}

func newPrograms(e *sandbox.Engine, fetch func(context.Context, holo.ModuleID) ([]byte, error)) *programs {
	p := &programs{engine: e, fetch: fetch}
	p.mu.entries = map[holo.ModuleID]*entry{}
	return p
}

// get gives the compiled module, and the function that gives it back.
func (p *programs) get(ctx context.Context, id holo.ModuleID) (*sandbox.Program, func(), error) {
	e := p.use(id)
	select {
	case e.turn <- struct{}{}:
	case <-ctx.Done():
		p.unuse(id, e)
		return nil, nil, holo.Errorf(holo.Cancelled, "load kernel %s: %w", id, context.Cause(ctx))
	}
	defer func() { <-e.turn }()
	if e.program == nil {
		program, err := p.load(ctx, id)
		if err != nil {
			p.unuse(id, e)
			return nil, nil, err
		}
		e.program = program
	}
	return e.program, sync.OnceFunc(func() { p.unuse(id, e) }), nil
}

// load fetches and compiles. The hash is verified before the bytes are parsed:
// they may come from another node.
func (p *programs) load(ctx context.Context, id holo.ModuleID) (*sandbox.Program, error) {
	wasm, err := p.fetch(ctx, id)
	if err != nil {
		return nil, err
	}
	if got := module.ID(wasm); got != id {
		return nil, holo.Refuse(holo.Corrupt, "bad_module_hash", "load kernel %s: the bytes hash to %s", id, got)
	}
	m, err := module.Admit(wasm)
	if err != nil {
		return nil, err
	}
	return p.engine.Load(ctx, m)
}

func (p *programs) use(id holo.ModuleID) *entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.mu.entries[id]
	if !ok {
		e = &entry{turn: make(chan struct{}, 1)}
		p.mu.entries[id] = e
	}
	p.mu.clock++
	e.users, e.used = e.users+1, p.mu.clock
	return e
}

// unuse gives an entry back. One that was never loaded is dropped at once, and
// of too many idle ones that which was used the longest ago.
func (p *programs) unuse(id holo.ModuleID, e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.users--
	if e.users == 0 && e.program == nil {
		delete(p.mu.entries, id)
	}
	for len(p.mu.entries) > maxPrograms {
		oldest, found := p.idle()
		if !found {
			return
		}
		_ = p.mu.entries[oldest].program.Close(context.Background()) // frees memory, cannot fail
		delete(p.mu.entries, oldest)
	}
}

// idle finds the program without users that was used the longest ago.
func (p *programs) idle() (oldest holo.ModuleID, found bool) {
	var used uint64
	for id, e := range p.mu.entries {
		if e.users == 0 && e.program != nil && (!found || e.used < used) {
			oldest, used, found = id, e.used, true
		}
	}
	return oldest, found
}
