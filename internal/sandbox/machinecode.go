package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"reflect"
	"runtime"
	"sync"
	"unsafe"

	"github.com/tetratelabs/wazero"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
)

// slot is the engine's cache of machine code: it holds what one compilation is
// offered, and takes what that compilation made. The engine has a cache on disk
// of its own, which trusts its folder and opens files, and a worker can open none.
// Its parts are not exported, so the slot is put in the place of the one on disk,
// by the type's layout; TestMachineCodeIsUsedAndMade fails when that changes.
type slot struct {
	turn  sync.Mutex // held by who compiles
	key   [sha256.Size]byte
	offer []byte
	made  []byte
}

// Get is asked by the engine before it compiles. The key is the engine's name
// for the module, its own version and the processor.
func (s *slot) Get(key [sha256.Size]byte) (io.ReadCloser, bool, error) {
	s.key = key
	return io.NopCloser(bytes.NewReader(s.offer)), len(s.offer) > 0, nil
}

// Add is given what the engine has compiled.
func (s *slot) Add(_ [sha256.Size]byte, code io.Reader) (err error) {
	s.made, err = io.ReadAll(code)
	return err
}

// Delete is told that the offer is of another version of the engine.
func (s *slot) Delete([sha256.Size]byte) error { return nil }

// cacheOf makes the engine's cache with the slot in it.
func cacheOf(s *slot) (wazero.CompilationCache, error) {
	cache := wazero.NewCompilationCache()
	v := reflect.ValueOf(cache)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return nil, holo.Errorf(holo.Internal, "start kernel engine: its cache is a %s", v.Type())
	}
	field := v.Elem().FieldByName("fileCache")
	if !field.IsValid() || field.Kind() != reflect.Interface || !reflect.TypeOf(s).Implements(field.Type()) {
		return nil, holo.Errorf(holo.Internal, "start kernel engine: its cache has no place for machine code")
	}
	reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Set(reflect.ValueOf(s))
	return cache, nil
}

// Compile compiles an admitted module, or takes its machine code, if some is
// offered. The caller knows that this engine made the code for this module: the
// engine believes it. made is what was compiled, nil where the offer was taken.
func (e *Engine) Compile(ctx context.Context, m *module.Module, offer []byte) (p *Program, made []byte, err error) {
	e.slot.turn.Lock()
	defer e.slot.turn.Unlock()
	e.slot.offer, e.slot.made = offer, nil
	defer func() { e.slot.offer, e.slot.made = nil, nil }()
	p, err = e.compile(ctx, m)
	if err != nil && len(offer) > 0 && ctx.Err() == nil { // an engine that finds nothing it knows in the offer
		e.slot.offer = nil
		p, err = e.compile(ctx, m)
	}
	return p, e.slot.made, err
}

// probe is a module with one empty function.
var probe = []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x04\x01\x02\x00\x0b")

// Fingerprint names what this engine makes code of and for: its version, its
// limits, the system, and the processor as the engine sees it. Code of one
// fingerprint must not run under another. It is zero where no code is made.
func (e *Engine) Fingerprint(ctx context.Context) (f [sha256.Size]byte, err error) {
	if e.kind != Compiler {
		return f, nil
	}
	e.slot.turn.Lock()
	defer e.slot.turn.Unlock()
	e.slot.made = nil
	compiled, err := e.runtime.CompileModule(ctx, probe)
	if err != nil {
		return f, holo.Errorf(holo.Internal, "try the kernel engine: %w", err)
	}
	h := sha256.New()
	h.Write([]byte("holo engine 1\x00" + runtime.GOOS + "/" + runtime.GOARCH + "\x00" + runtime.Version() + "\x00"))
	h.Write(binary.LittleEndian.AppendUint32(nil, e.maxPages))
	h.Write(e.slot.key[:])
	h.Write(e.slot.made) // begins with the engine's version
	h.Sum(f[:0])
	e.slot.made = nil
	return f, compiled.Close(ctx)
}
