//go:build unix

package workers

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// forbidden is what ends a process that makes a system call which it may not make.
const forbidden = syscall.SIGSYS

func mapRegion(f *os.File) (region, error) {
	return unix.Mmap(int(f.Fd()), 0, regionBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func (r region) free() { _ = unix.Munmap(r) } // it was mapped

// inputWaits reports whether standard input has something, or has ended.
func inputWaits() bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: 0, Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}
