//go:build unix

package bench

import (
	"syscall"
	"time"
)

// ProcessorTime is what all threads of this process have used, in user and
// kernel mode.
func ProcessorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // the ratio of processor times is then left out
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
