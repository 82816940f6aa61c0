//go:build !unix

package lockdown

import "runtime"

func engage() {}

func posture() []Measure {
	var out []Measure
	for _, name := range []string{MemoryPrivate, NoCore, NoSwap} {
		out = append(out, Measure{Name: name, Detail: "nothing is done about it on " + runtime.GOOS})
	}
	return out
}
