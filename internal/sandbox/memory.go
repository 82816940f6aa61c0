package sandbox

import (
	"context"

	"github.com/tetratelabs/wazero/experimental"
)

// memory is linear memory in a place that the engine was given: one instance has
// all of it at a time. It begins as zeros for each, as memory does; what is beyond
// the largest instance so far was never touched.
type memory struct {
	all  []byte
	used uint64 // by the largest instance since it was cleared
}

// place has the instance that is made with the context lie in the engine's memory.
func (e *Engine) place(ctx context.Context) context.Context {
	if e.memory == nil {
		return ctx
	}
	return experimental.WithMemoryAllocator(ctx, e.memory)
}

// Allocate gives the memory to a new instance, empty.
func (m *memory) Allocate(_, _ uint64) experimental.LinearMemory {
	clear(m.all[:m.used])
	m.used = 0
	return m
}

// Reallocate gives the first so many bytes, which never move, or nil.
func (m *memory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	m.used = max(m.used, size)
	return m.all[:size:size]
}

// Free leaves the bytes: who shares the memory may still read results.
func (m *memory) Free() {}
