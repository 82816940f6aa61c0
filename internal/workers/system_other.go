//go:build !unix

package workers

import (
	"os"
	"runtime"
	"syscall"

	"github.com/holocompute/holocompute/internal/holo"
)

// forbidden is no signal: no process is ended by one here.
const forbidden = syscall.Signal(-1)

// errSystem is why no worker starts: all the rest of this file is never reached.
func errSystem() error {
	return holo.Errorf(holo.Unavailable, "memory that processes share is not supported on %s", runtime.GOOS)
}

func regionFile() (*os.File, error) { return nil, errSystem() }

func sealRegion(*os.File) error { return errSystem() }

func mapRegion(*os.File) (region, error) { return nil, errSystem() }

func (r region) free() {}

func inputWaits() bool { return false }
