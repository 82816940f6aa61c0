package confine

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// The limits of a confined process.
const (
	maxFiles   = 16        // its pipes, and what the Go runtime opens
	maxThreads = 64        // of its user; a Go program of two processors has about ten
	maxCPU     = 12 * 3600 // seconds: more than a life of tasks that all take as long as they may
)

// Self takes from this process what it can give up by itself: core files,
// debuggers, memory beyond a limit (bytes that it can write to and shares with
// nobody, all that it has now included), and in the end all system calls but
// those of the list.
func Self(memory uint64) (missing []Gap) {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		missing = append(missing, Gap{Undumpable, err.Error()})
	}
	if err := limit(memory); err != nil {
		missing = append(missing, Gap{Limits, err.Error()})
	}
	if err := filter(); err != nil {
		missing = append(missing, Gap{Seccomp, why(err)})
	}
	return missing
}

func limit(memory uint64) error {
	limits := map[int]uint64{
		unix.RLIMIT_DATA: memory,
		unix.RLIMIT_CORE: 0, unix.RLIMIT_FSIZE: 0, unix.RLIMIT_NOFILE: maxFiles, unix.RLIMIT_MEMLOCK: 0, unix.RLIMIT_MSGQUEUE: 0,
		unix.RLIMIT_CPU: maxCPU,
	}
	if threadsAreCountedApart() {
		limits[unix.RLIMIT_NPROC] = maxThreads
	}
	for what, most := range limits {
		if err := unix.Setrlimit(what, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("limit %d: %w", what, err)
		}
	}
	return nil
}

// threadsAreCountedApart reports whether the system counts this process's
// threads without those of whoever started it: the user is one that owns
// nothing, or none (65534) in a namespace of its own on a kernel that counts by
// namespace, 5.14. Else the limit would hit at once.
func threadsAreCountedApart() bool {
	if unix.Getuid() >= ownUser {
		return true
	}
	var name unix.Utsname
	if unix.Getpid() != 1 || unix.Getuid() != 65534 || unix.Uname(&name) != nil {
		return false
	}
	var major, minor int
	_, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor)
	return err == nil && (major > 5 || major == 5 && minor >= 14)
}
