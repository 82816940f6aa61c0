//go:build !unix

package bench

import "time"

// processorTime is not measured here; the ratio of processor times is left out.
func processorTime() time.Duration { return 0 }
