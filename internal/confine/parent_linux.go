package confine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Program is the path under which a child of this process finds its program.
func Program() (string, error) { return program, nil }

// Restrict takes files, network and new privileges from the calling thread and
// from every process that it starts from now on. The caller has locked its
// goroutine to the thread and never unlocks it: the thread is good for nothing
// else, and ends with the goroutine.
func Restrict() (missing []Gap) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return []Gap{{NoNewPrivileges, err.Error()}, {Landlock, "it needs no_new_privileges"}}
	}
	if err := landlock(); err != nil {
		missing = append(missing, Gap{Landlock, why(err)})
	}
	return missing
}

// why names an error of a call that a kernel may not have.
func why(err error) string {
	switch err {
	case unix.ENOSYS:
		return "the kernel has none"
	case unix.EOPNOTSUPP:
		return "the kernel has it switched off"
	case unix.ENOSPC:
		return "the system's limit on namespaces is reached or 0"
	}
	return err.Error()
}

// Seal marks every descriptor of this process to be closed in its children, in
// case one was inherited without the mark: those made in Go have it.
func Seal() {
	if unix.CloseRange(3, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	for fd := 3; fd < 1024; fd++ { // before Linux 5.11
		unix.CloseOnExec(fd)
	}
}

// Way is one way to start a child.
type Way struct {
	Attr    *syscall.SysProcAttr
	Missing []Gap // what this way does not give
}

// namespaces of a child. A user namespace without a mapping gives the child no
// user at all; it needs no right of the parent, not even to write the mapping,
// which a parent that is not dumpable could not.
const namespaces = syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS

// ownUser is the first of the users that own nothing, and ownUsers how many
// there are: each child of root is one of its own, by chance. So no two can
// signal each other, and each one's threads are counted apart.
const (
	ownUser  = 0x70000000
	ownUsers = 1 << 27
)

// Ways are the ways to start a child on this system, the strongest first. Which
// of them works is found by trying: error says of the last that did not.
func Ways() []Way {
	attr := func(flags uintptr) *syscall.SysProcAttr {
		return &syscall.SysProcAttr{Cloneflags: flags, Setsid: true, Pdeathsig: syscall.SIGKILL}
	}
	none := Way{attr(0), []Gap{{Namespaces, ""}}}
	unmapped := Way{attr(namespaces | syscall.CLONE_NEWUSER), nil}
	if os.Geteuid() != 0 {
		return []Way{unmapped, none}
	}
	user := ownUser + rand.Uint32N(ownUsers)
	apart, alone := Way{attr(namespaces), nil}, none
	apart.Attr.Credential = &syscall.Credential{Uid: user, Gid: user, Groups: []uint32{}}
	alone.Attr = attr(0)
	alone.Attr.Credential = apart.Attr.Credential
	return []Way{apart, unmapped, alone, none}
}

// Why completes the gaps of a way with why the stronger ones failed.
func (w Way) Why(err error) []Gap {
	gaps := make([]Gap, len(w.Missing))
	for i, g := range w.Missing {
		if g.Why = "not to be had"; err != nil {
			g.Why = why(unwrapErrno(err))
		}
		gaps[i] = g
	}
	return gaps
}

func unwrapErrno(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = u.Unwrap()
	}
}

// Data is the memory that a process can write to and shares with nobody, in
// bytes: what RLIMIT_DATA counts. A confined process cannot look for itself.
func Data(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmData:")); ok {
			var kib uint64
			_, err := fmt.Sscanf(string(rest), "%d kB", &kib)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("process %d: no VmData in its status", pid)
}
