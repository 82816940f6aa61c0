//go:build !linux

package node

import "github.com/holocompute/holocompute/internal/holo"

// asleep is unknown here: monotonic clocks of these systems either count
// suspension themselves or give no second clock to compare with.
func asleep() holo.Duration { return 0 }
