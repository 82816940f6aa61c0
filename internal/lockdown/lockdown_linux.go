package lockdown

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Both are needed: a core_pattern that pipes to a program ignores the limit,
// and what a child starts with inherits the limit but not the flag.
func engage() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // a failure shows in the posture
	dropCore()
}

func posture() []Measure { return []Measure{memoryPrivate(), noCore(), noSwap()} }

func memoryPrivate() Measure {
	m := Measure{Name: MemoryPrivate, Expected: true}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	switch m.Holds = err == nil && dumpable == 0; {
	case m.Holds:
		m.Detail = "other processes of this user cannot read the memory; root can"
	case err != nil:
		m.Detail = "the system does not say whether other processes of this user can read the memory: " + err.Error()
	default:
		m.Detail = "other processes of this user can read the memory: the process is dumpable"
	}
	return m
}

const swapsFile = "/proc/swaps"

// noSwap looks for swap space on a disk. Memory is not locked: a node's pages
// are most of it, and the limit of lockable memory is a few MiB.
func noSwap() Measure {
	text, err := os.ReadFile(swapsFile)
	if err != nil {
		return Measure{Name: NoSwap, Detail: "the system does not say whether it swaps: " + err.Error()}
	}
	return swapMeasure(string(text))
}

// swapMeasure reads what the system tells of its swap spaces: a heading, and a
// line for each.
func swapMeasure(text string) Measure {
	m := Measure{Name: NoSwap}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n")[1:] {
		device, _, _ := strings.Cut(line, " ")
		if !strings.HasPrefix(device, "/dev/zram") { // compressed memory, no disk
			m.Detail = "keys and pages can be written to the swap space " + device + ": encrypt it, or switch it off with swapoff"
			return m
		}
	}
	m.Holds, m.Detail = true, "this machine has no swap space on a disk"
	return m
}
