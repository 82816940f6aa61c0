//go:build unix && !linux

package lockdown

import "runtime"

func engage() { dropCore() }

func posture() []Measure {
	return []Measure{
		{Name: MemoryPrivate, Detail: "on " + runtime.GOOS + " nothing keeps other processes of this user from the memory"},
		noCore(),
		{Name: NoSwap, Detail: "on " + runtime.GOOS + " it is not looked whether memory is written to a disk"},
	}
}
