//go:build unix

package audit

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/holocompute/holocompute/internal/holo"
)

// lock holds a file until it is closed, or the process ends.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(holo.Errorf(holo.Conflict, "open audit log: another process has it: %w", err), f.Close())
	}
	return f, nil
}
