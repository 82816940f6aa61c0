package node

import (
	"golang.org/x/sys/unix"

	"github.com/holocompute/holocompute/internal/holo"
)

// asleep is how long the machine has been suspended since it was booted: the
// boot-time clock counts suspension and the monotonic clock does not. It is 0
// where the clocks cannot be read.
func asleep() holo.Duration {
	var boot, mono unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) != nil {
		return 0
	}
	return holo.Duration(boot.Nano() - mono.Nano())
}
