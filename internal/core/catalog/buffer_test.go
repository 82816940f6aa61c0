package catalog

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

func bufferOf(t holo.ElementType, length, extent uint64) *wire.ArrayCreate {
	return &wire.ArrayCreate{Name: "records", Shape: holo.Shape{Type: t, Length: length, Extent: extent}, Class: 1, Buffer: true}
}

func TestBufferIsWholeLanesEachInAShardOfItsOwn(t *testing.T) {
	w := settled(t, 2)
	const lane = 8 * holo.PageSize
	for name, m := range map[string]*wire.ArrayCreate{
		"of numbers":        bufferOf(holo.I64, 2*lane/8, lane/8),
		"of a short lane":   bufferOf(holo.U8, 3*holo.PageSize, 3*holo.PageSize),
		"of no lane":        bufferOf(holo.U8, 0, lane),
		"of half a lane":    bufferOf(holo.U8, lane+holo.PageSize, lane),
		"of too many lanes": bufferOf(holo.U8, 257*4*holo.PageSize, 4*holo.PageSize),
	} {
		if err := w.refused("", m); holo.KindOf(err) != holo.Invalid {
			t.Errorf("a buffer %s: %v", name, err)
		}
	}
	if a := w.do(bufferOf(holo.U8, 256*4*holo.PageSize, 4*holo.PageSize)).(*wire.ArrayRecord); !a.Buffer {
		t.Error("it is not noted as a buffer")
	}
}

// What would make a buffer's pages immutable, or have kernels read or write them,
// is refused.
func TestBufferIsNeitherSealedNorComputedOn(t *testing.T) {
	w := settled(t, 2)
	b := w.do(bufferOf(holo.U8, 8*holo.PageSize, 4*holo.PageSize)).(*wire.ArrayRecord)
	plain := w.array("plain", 1, 1)
	if err := w.refused("", &wire.ArraySealing{Array: b.ID}); holo.KindOf(err) != holo.Invalid {
		t.Errorf("seal: %v", err)
	}
	job := wire.JobRecord{Coordinator: node(1), Module: holo.ModuleID{1}, Kind: wire.TaskMap, Inputs: []holo.ArrayID{plain.ID}, Output: b.ID}
	w.refused("", &wire.JobPut{Job: job})
	job.Inputs, job.Output = []holo.ArrayID{b.ID}, plain.ID
	w.refused("", &wire.JobPut{Job: job})
	job.Inputs = []holo.ArrayID{plain.ID}
	w.do(&wire.JobPut{Job: job})
}
