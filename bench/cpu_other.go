//go:build !unix

package bench

import "time"

// ProcessorTime is not measured here; the ratio of processor times is left out.
func ProcessorTime() time.Duration { return 0 }
