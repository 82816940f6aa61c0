//go:build unix

package lockdown

import "golang.org/x/sys/unix"

// dropCore sets both limits, so that nothing the process starts can raise it.
func dropCore() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) } // a failure shows in the posture

func noCore() Measure {
	m := Measure{Name: NoCore, Expected: true}
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_CORE, &limit)
	switch m.Holds = err == nil && limit.Cur == 0 && limit.Max == 0; {
	case m.Holds:
		m.Detail = "a crash leaves no core file"
	case err != nil:
		m.Detail = "the system does not say whether a crash leaves a core file: " + err.Error()
	default:
		m.Detail = "a crash can leave a core file with keys in it: the limit of core files is not 0"
	}
	return m
}
