package jobs

import (
	"context"
	"sync"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
)

// maxModules bounds the admitted modules that are kept; metered, one is about
// twice as long. Modules in use are never dropped.
const maxModules = 32

// modules keeps admitted modules by their hash, so that one is fetched,
// verified and admitted once however many tasks need it. Workers compile it.
type modules struct {
	fetch func(context.Context, holo.ModuleID) ([]byte, error)

	mu struct {
		sync.Mutex
		clock   uint64
		entries map[holo.ModuleID]*entry
	}
}

// entry is one module. Its turn is held by whoever loads it; all but module
// is guarded by modules.mu.
type entry struct {
	turn   chan struct{} // holds one token while somebody loads
	module *module.Module
	users  int
	used   uint64 // clock of the last get
}

func newModules(fetch func(context.Context, holo.ModuleID) ([]byte, error)) *modules {
	p := &modules{fetch: fetch}
	p.mu.entries = map[holo.ModuleID]*entry{}
	return p
}

// get gives the admitted module, and the function that gives it back.
func (p *modules) get(ctx context.Context, id holo.ModuleID) (*module.Module, func(), error) {
	e := p.use(id)
	select {
	case e.turn <- struct{}{}:
	case <-ctx.Done():
		p.unuse(id, e)
		return nil, nil, holo.Errorf(holo.Cancelled, "load kernel %s: %w", id, context.Cause(ctx))
	}
	defer func() { <-e.turn }()
	if e.module == nil {
		m, err := p.load(ctx, id)
		if err != nil {
			p.unuse(id, e)
			return nil, nil, err
		}
		e.module = m
	}
	return e.module, sync.OnceFunc(func() { p.unuse(id, e) }), nil
}

// ReasonModuleHash is why a module is not run: its bytes are not those of its hash.
const ReasonModuleHash = "bad_module_hash"

// load fetches and admits. The hash is verified before the bytes are parsed:
// they may come from another node.
func (p *modules) load(ctx context.Context, id holo.ModuleID) (*module.Module, error) {
	wasm, err := p.fetch(ctx, id)
	if err != nil {
		return nil, err
	}
	if got := module.ID(wasm); got != id {
		return nil, holo.Refuse(holo.Corrupt, ReasonModuleHash, "load kernel %s: the bytes hash to %s", id, got)
	}
	return module.Admit(wasm)
}

func (p *modules) use(id holo.ModuleID) *entry {
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
func (p *modules) unuse(id holo.ModuleID, e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.users--
	if e.users == 0 && e.module == nil {
		delete(p.mu.entries, id)
	}
	for len(p.mu.entries) > maxModules {
		oldest, found := p.idle()
		if !found {
			return
		}
		delete(p.mu.entries, oldest)
	}
}

// idle finds the module without users that was used the longest ago.
func (p *modules) idle() (oldest holo.ModuleID, found bool) {
	var used uint64
	for id, e := range p.mu.entries {
		if e.users == 0 && e.module != nil && (!found || e.used < used) {
			oldest, used, found = id, e.used, true
		}
	}
	return oldest, found
}
