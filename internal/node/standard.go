package node

import (
	"sync"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/kernels/std"
)

// The standard kernels are in this program and in no catalogue, so nobody's
// name stands in their way and nobody can give theirs to anything else. They are
// admitted and run like any other module; who runs them needs RUN on their names.

// standardKernels are their records, as the catalogue would hold them.
var standardKernels = sync.OnceValue(func() []*wire.KernelRecord {
	var records []*wire.KernelRecord
	for _, s := range std.All() {
		m, err := module.Admit(s.Wasm)
		if err != nil {
			panic("bug: a standard kernel is not admitted: " + err.Error())
		}
		records = append(records, &wire.KernelRecord{Name: s.Name, Module: s.ID, Size: uint64(len(s.Wasm)), Functions: m.Names()})
	}
	return records
})

// standardKernel finds one by its name or its module's hash.
func standardKernel(reference string) (*wire.KernelRecord, bool) {
	id, err := holo.ParseModuleID(reference)
	for _, k := range standardKernels() {
		if k.Name == reference || err == nil && k.Module == id {
			return k, true
		}
	}
	return nil, false
}
