package claim

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/kernels/std"
)

// Standard finds a kernel that is part of the program: see catalog.Reader.
func (Reader) Standard(reference string) (name string, module holo.ModuleID, ok bool) {
	m, ok := std.Named(reference)
	if id, err := holo.ParseModuleID(reference); !ok && err == nil {
		m, ok = std.Find(id)
	}
	return m.Name, m.ID, ok
}
