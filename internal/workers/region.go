package workers

import (
	"os"
	"runtime/debug"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/sandbox"
)

// The memory that a node shares with a worker: first where small calls are handed
// over, many at a time, as large as the largest call, which has 16 views of 1 MiB,
// an accumulator and parameters; then the linear memory of the worker's kernel,
// where the node puts the parts of large calls itself. Pages of it that no task
// needed take no memory.
const (
	handoverBytes = sandbox.MaxViews*sandbox.MaxViewPages*holo.PageSize + sandbox.MaxAccBytes + sandbox.MaxParamBytes
	linearAt      = (handoverBytes + 1<<16 - 1) >> 16 << 16
	linearBytes   = sandbox.DefaultMemoryPages * 65536 // sandbox.PageBytes
	regionBytes   = linearAt + linearBytes
)

// region is shared memory. The other side may change it at any moment, so what
// is read of it is copied out once and looked at afterwards.
type region []byte

// newRegion makes a region and the file that a child maps.
func newRegion() (region, *os.File, error) {
	f, err := regionFile()
	if err != nil {
		return nil, nil, holo.Errorf(holo.Exhausted, "make shared memory for a worker: %w", err)
	}
	r, err := mapRegion(f)
	if err == nil {
		err = sealRegion(f)
	}
	if err != nil {
		f.Close()
		return nil, nil, holo.Errorf(holo.Exhausted, "share memory with a worker: %w", err)
	}
	return r, f, nil
}

// linear is the kernel's memory.
func (r region) linear() []byte { return r[linearAt:regionBytes:regionBytes] }

// guarded runs f, which copies into or out of the region. Where the system
// cannot seal the region's size the worker may cut it off; then touching it is
// a fault, which becomes an error here.
func (r region) guarded(f func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch why := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }:
			err = holo.Refuse(holo.Corrupt, WorkerFault, "copy between node and worker: the shared memory is gone")
		default:
			panic(why)
		}
	}()
	f()
	return nil
}
