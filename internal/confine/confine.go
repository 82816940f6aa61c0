// Package confine takes from a process what it does not need. It hides what an
// operating system has for that: limits, namespaces, Landlock, seccomp.
//
// The one idea is that rights are given up where everything that comes later
// inherits the loss. A parent gives up, on one thread that it keeps for
// starting children and for nothing else, the files, the network and new
// privileges (Restrict): the child is born without them, whatever threads it
// has. The child then gives up the rest for itself (Self): system calls,
// limits, and that anybody looks into its memory. What a system lacks is
// reported as missing with the reason, never left out in silence.
//
// It does not start processes and knows nothing of what they do. It follows
// research on plugins, section 2: the layers and the attacks on each of them.
package confine

import (
	"slices"
	"strings"
)

// Layer is one way in which a process is held.
type Layer string

// The layers, the strongest first.
const (
	Seccomp         Layer = "seccomp"           // only the system calls on a list; any other kills
	Landlock        Layer = "landlock"          // no files, no TCP, no signals and sockets outside
	Namespaces      Layer = "namespaces"        // own users or a user of its own, own processes, network and IPC
	NoNewPrivileges Layer = "no_new_privileges" // nothing that it executes gains any
	Undumpable      Layer = "not_dumpable"      // no core, no debugger, no reading of its memory
	Limits          Layer = "limits"            // of memory, processor time, threads, files
)

var layers = []Layer{Seccomp, Landlock, Namespaces, NoNewPrivileges, Undumpable, Limits}

// Level sums a report up.
type Level string

// The levels. Process is what every system gives: memory of its own. Filtered
// is without files, network and other processes, by the system call filter
// alone or with some other layers. Full is all layers.
const (
	Process  Level = "process"
	Filtered Level = "filtered"
	Full     Level = "full"
)

// Gap is a layer that is missing, and why.
type Gap struct {
	Layer Layer
	Why   string
}

// Report says how a process is held.
type Report struct{ Missing []Gap }

// Active lists the layers that hold.
func (r Report) Active() []Layer {
	return slices.DeleteFunc(slices.Clone(layers), func(l Layer) bool {
		return slices.ContainsFunc(r.Missing, func(g Gap) bool { return g.Layer == l })
	})
}

// Level sums the report up.
func (r Report) Level() Level {
	active := r.Active()
	switch {
	case len(active) == len(layers):
		return Full
	case slices.Contains(active, Seccomp):
		return Filtered
	}
	return Process
}

// String names what is missing, for people: "landlock (the kernel has none)".
func (r Report) String() string {
	var parts []string
	for _, g := range r.Missing {
		parts = append(parts, string(g.Layer)+" ("+g.Why+")")
	}
	return strings.Join(parts, ", ")
}
