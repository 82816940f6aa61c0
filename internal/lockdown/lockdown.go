// Package lockdown keeps a process's memory, and with it the keys, from other
// processes of the same user and from core files.
//
// Its one idea is that a posture is read, not remembered: Engage asks the
// system for protection, and Posture asks the system what holds now. Where a
// system has no such protection it says so, and nothing pretends otherwise.
//
// It does not protect from root, from whoever can load a kernel module, or
// from whoever holds the machine; and it does not wipe the runtime's own copies
// of a key, which live until the process ends.
package lockdown

// Measure is one protection and whether it holds.
type Measure struct {
	Name  string // snake_case, stable: scripts read it
	Holds bool
	// Expected is false where this system has no such protection: that it does
	// not hold is then a limit to be told, and no fault.
	Expected bool
	Detail   string // a sentence for people: what holds, or why not and what to do
}

// The names of the measures of a process.
const (
	MemoryPrivate = "memory_private" // other processes of the same user cannot read its memory
	NoCore        = "no_core"        // a crash leaves no core file
	NoSwap        = "no_swap"        // memory is not written to a disk's swap space
)

// Engage takes away the process's core files and, where the system can, other
// processes' access to its memory. It must be the first thing that a command
// does, before there is a secret. What it could not do shows in Posture, so
// that a command which needs no protection still runs.
func Engage() { engage() }

// Posture says what holds now, in a fixed order.
func Posture() []Measure { return posture() }
