// Package invariant stops the process when the program itself is wrong. Bad
// input is an error and is returned; a state that the code promised could not
// be is a bug, and going on would spread it.
package invariant

import "fmt"

// Check panics with the prefix "bug:" unless the condition holds.
func Check(holds bool, format string, args ...any) {
	if !holds {
		panic("bug: " + fmt.Sprintf(format, args...))
	}
}
