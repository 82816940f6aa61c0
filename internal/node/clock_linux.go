package node

import (
	"golang.org/x/sys/unix"

	"github.com/holocompute/holocompute/internal/holo"
)

// asleep is how long the machine has been suspended since it was booted: the
// boot-time clock counts suspension and the monotonic clock does not. It is 0
// where the clocks cannot be read.
func asleep() holo.Duration {
	return between(func() (before, boot, after holo.Duration) {
		var one, two, three unix.Timespec
		if unix.ClockGettime(unix.CLOCK_MONOTONIC, &one) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &two) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &three) != nil {
			return 0, 0, 0
		}
		return holo.Duration(one.Nano()), holo.Duration(two.Nano()), holo.Duration(three.Nano())
	})
}
