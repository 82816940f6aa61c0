//go:build !linux

package confine

import (
	"os"
	"runtime"
	"syscall"
)

var lacking = runtime.GOOS + " is not supported"

// Program is the path under which a child of this process finds its program.
func Program() (string, error) { return os.Executable() }

// Restrict takes nothing here.
func Restrict() []Gap { return []Gap{{NoNewPrivileges, lacking}, {Landlock, lacking}} }

// Seal marks nothing here: descriptors made in Go are marked already.
func Seal() {}

// Way is one way to start a child.
type Way struct {
	Attr    *syscall.SysProcAttr
	Missing []Gap
}

// Ways is the one way that every system has.
func Ways() []Way {
	return []Way{{&syscall.SysProcAttr{}, []Gap{{Namespaces, lacking}}}}
}

// Why are the gaps of a way.
func (w Way) Why(error) []Gap { return w.Missing }

// Data is not known here.
func Data(int) (uint64, error) { return 0, nil }

// Self takes nothing here.
func Self(uint64) []Gap { return []Gap{{Seccomp, lacking}, {Undumpable, lacking}, {Limits, lacking}} }
