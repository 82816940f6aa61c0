// Package sandbox runs admitted kernels. It hides the WebAssembly engine,
// wazero: it lays the typed views of a call into a kernel's linear memory by
// ABI holo/1 (abi.go, testdata/abi.golden, kernels/holo.h), gives it gas in
// slices, and takes back results and typed errors.
//
// The engine's own interruption is never used: it costs five times the work
// and is not deterministic. All limits are in the bytecode that
// internal/module wrote; the engine only adds isolation of memory. A kernel
// reaches nothing but its memory, and can hand a text to log over; a general task
// can ask for what is behind its handles, which its host answers (reach.go).
//
// One Instance is one task: memory starts as the module defines it and ends
// with Close. A node runs instances in processes of their own, which package
// workers is about; what is here knows nothing of that. The yield
// call keeps them from holding up the garbage collector and other goroutines.
package sandbox

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
)

// EngineKind is how the engine executes code. Both kinds give the same bytes
// and the same gas; the interpreter is about 70 times slower.
type EngineKind uint8

// The kinds of engine. Auto is the compiler where the platform has one.
const (
	Auto EngineKind = iota
	Compiler
	Interpreter
)

// String is "compiler" or "interpreter".
func (k EngineKind) String() string {
	return [...]string{"auto", "compiler", "interpreter"}[k]
}

// Config are the limits of an Engine.
type Config struct {
	MaxMemoryPages uint32     // of one instance; 0 is DefaultMemoryPages
	Engine         EngineKind // zero: Auto
	// Memory is where linear memory lies, of one instance at a time; at least
	// MaxMemoryPages. nil: each instance has its own.
	Memory []byte
}

const (
	// DefaultMemoryPages lets an instance have 64 MiB: 16 views of 1 MiB, an
	// accumulator and three quarters for itself.
	DefaultMemoryPages = 1024
	// compileTime bounds the compilation of one module. The engine looks at it
	// between functions; the validator bounds each function (about 0.3 s).
	compileTime = 10 * time.Second
	// compileWorkers is more than one because the engine looks at its context
	// only when it compiles in parallel.
	compileWorkers = 2
)

// Engine compiles and runs modules. It is safe for concurrent use; Close ends
// all its programs.
type Engine struct {
	runtime  wazero.Runtime
	cache    wazero.CompilationCache
	slot     *slot
	memory   *memory // nil: of the engine's making
	kind     EngineKind
	maxPages uint32
}

// New starts an engine.
func New(ctx context.Context, c Config) (*Engine, error) {
	if c.MaxMemoryPages == 0 {
		c.MaxMemoryPages = DefaultMemoryPages
	}
	if c.MaxMemoryPages > 65536 {
		return nil, holo.Errorf(holo.Invalid, "start kernel engine: %d pages of memory, at most 65536", c.MaxMemoryPages)
	}
	if c.Memory != nil && uint64(len(c.Memory)) < uint64(c.MaxMemoryPages)*uint64(PageBytes) {
		return nil, holo.Errorf(holo.Invalid, "start kernel engine: %d bytes for %d pages of memory", len(c.Memory), c.MaxMemoryPages)
	}
	slot := &slot{}
	cache, err := cacheOf(slot)
	if err != nil {
		return nil, err
	}
	kind, rt, err := start(ctx, c, cache)
	if err != nil {
		return nil, err
	}
	if err := meterModule(ctx, rt); err != nil {
		return nil, holo.Errorf(holo.Internal, "start kernel engine: %w", err)
	}
	e := &Engine{runtime: rt, cache: cache, slot: slot, kind: kind, maxPages: c.MaxMemoryPages}
	if c.Memory != nil {
		e.memory = &memory{all: c.Memory}
	}
	return e, nil
}

// start makes the runtime of the kind wanted. The engine panics when a
// platform has no compiler, which is how Auto finds out.
func start(ctx context.Context, c Config, cache wazero.CompilationCache) (kind EngineKind, rt wazero.Runtime, err error) {
	features := api.CoreFeaturesV2
	limits := func(rc wazero.RuntimeConfig) wazero.RuntimeConfig {
		return rc.WithCoreFeatures(features).WithMemoryLimitPages(c.MaxMemoryPages).WithDebugInfoEnabled(false)
	}
	if c.Engine == Interpreter {
		return Interpreter, wazero.NewRuntimeWithConfig(ctx, limits(wazero.NewRuntimeConfigInterpreter())), nil
	}
	defer func() {
		if why := recover(); why != nil && c.Engine == Auto {
			kind, rt = Interpreter, wazero.NewRuntimeWithConfig(ctx, limits(wazero.NewRuntimeConfigInterpreter()))
		} else if why != nil {
			err = holo.Errorf(holo.Unavailable, "start kernel engine: no compiler for %s/%s", runtime.GOOS, runtime.GOARCH)
		}
	}()
	return Compiler, wazero.NewRuntimeWithConfig(ctx, limits(wazero.NewRuntimeConfigCompiler().WithCompilationCache(cache))), nil
}

// Kind is how this engine executes: Compiler or Interpreter.
func (e *Engine) Kind() EngineKind { return e.kind }

// Close ends the engine and everything in it.
func (e *Engine) Close(ctx context.Context) error {
	return errors.Join(e.runtime.Close(ctx), e.cache.Close(ctx))
}

// Program is a module compiled by an engine. It is safe for concurrent use.
type Program struct {
	engine   *Engine
	module   *module.Module
	compiled wazero.CompiledModule
}

// Load compiles an admitted module. A module that starts with more memory than
// the engine gives is out of memory before it runs.
func (e *Engine) Load(ctx context.Context, m *module.Module) (*Program, error) {
	p, _, err := e.Compile(ctx, m, nil)
	return p, err
}

// compile compiles with what is in the slot. The caller has its turn.
func (e *Engine) compile(ctx context.Context, m *module.Module) (*Program, error) {
	if m.MinPages > e.maxPages {
		return nil, trapped(OutOfMemory, "kernel "+m.ID.String(), "it starts with %d pages of memory, the engine's limit is %d", m.MinPages, e.maxPages)
	}
	limited, cancel := context.WithTimeout(ctx, compileTime)
	defer cancel()
	compiled, err := e.runtime.CompileModule(experimental.WithCompilationWorkers(limited, compileWorkers), m.Metered)
	if ctx.Err() != nil {
		return nil, holo.Errorf(holo.Cancelled, "compile kernel %s: %w", m.ID, ctx.Err())
	}
	if limited.Err() != nil {
		return nil, holo.Refuse(holo.Invalid, "compile_time", "compile kernel %s: not done after %s", m.ID, compileTime)
	}
	if err != nil {
		return nil, holo.Errorf(holo.Invalid, "compile kernel %s: %s", m.ID, firstLine(err))
	}
	return &Program{engine: e, module: m, compiled: compiled}, nil
}

// Module is what the program was compiled from.
func (p *Program) Module() *module.Module { return p.module }

// Close frees the machine code. Instances must be closed before.
func (p *Program) Close(ctx context.Context) error { return p.compiled.Close(ctx) }

// Map runs one map call in an instance of its own.
func (p *Program) Map(ctx context.Context, c Call) (Result, error) { return p.once(ctx, module.Map, c) }

// Reduce runs one red call in an instance of its own.
func (p *Program) Reduce(ctx context.Context, c Call) (Result, error) {
	return p.once(ctx, module.Reduce, c)
}

// Combine adds other to c.Acc by the module's comb function.
func (p *Program) Combine(ctx context.Context, c Call, other []byte) (Result, error) {
	c.Inputs = []View{{Type: holo.U8, Bytes: other}}
	return p.once(ctx, module.Combine, c)
}

// Finish makes c.Outputs from c.Acc by the module's fin function.
func (p *Program) Finish(ctx context.Context, c Call) (Result, error) {
	return p.once(ctx, module.Finish, c)
}

func (p *Program) once(ctx context.Context, k module.Kind, c Call) (Result, error) {
	i, err := p.NewInstance(ctx, c.Gas, c.MemoryPages)
	if err != nil {
		return Result{}, err
	}
	defer i.Close()
	return i.Run(ctx, k, c)
}
