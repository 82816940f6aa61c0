//go:build !unix

package audit

import (
	"os"

	"github.com/holocompute/holocompute/internal/holo"
)

// lock is not there on this system, and without it no log is appended to.
// Verifying one needs no lock.
func lock(path string) (*os.File, error) {
	return nil, holo.Errorf(holo.Unavailable, "open audit log: %s cannot be locked on this system", path)
}
