// Package std holds the standard kernels: WebAssembly modules of ABI holo/1 that
// are part of the program, for sums, counts and arithmetic. Their sources are in
// kernels/src/std, kernels/build.sh rebuilds and compares them, and they run in
// the same sandbox as everybody's. The package only carries bytes and names:
// internal/question knows what they answer.
package std

import (
	"crypto/sha256"
	"embed"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
)

// Prefix begins the names of standard kernels and of no others.
const Prefix = holo.StandardKernels + "/"

// The names of the modules.
const (
	Stats       = Prefix + "stats"       // least, greatest, exact sums
	Dot         = Prefix + "dot"         // exact sums of products
	Count       = Prefix + "count"       // comparisons with a constant, histograms
	Top         = Prefix + "top"         // the largest or smallest elements
	KMeans      = Prefix + "kmeans"      // a step of k-means
	CumSum      = Prefix + "cumsum"      // cumulative sums
	Elementwise = Prefix + "elementwise" // arithmetic and comparisons
	Stencil     = Prefix + "stencil"     // weighted sums of neighbours
)

//go:embed *.wasm
var files embed.FS

// Module is one standard kernel.
type Module struct {
	Name string // std/stats
	ID   holo.ModuleID
	Wasm []byte // only to read
}

var all = load(Count, CumSum, Dot, Elementwise, KMeans, Stats, Stencil, Top)

func load(names ...string) []Module {
	modules := make([]Module, len(names))
	for i, name := range names {
		wasm, err := files.ReadFile(strings.TrimPrefix(name, Prefix) + ".wasm")
		if err != nil {
			panic("bug: a standard kernel without its module: " + err.Error())
		}
		modules[i] = Module{name, sha256.Sum256(wasm), wasm}
	}
	return modules
}

// All is every standard kernel, by name.
func All() []Module { return all }

// Named finds a standard kernel by its name.
func Named(name string) (Module, bool) {
	return find(func(m *Module) bool { return m.Name == name })
}

// Find finds a standard kernel by its module's hash.
func Find(id holo.ModuleID) (Module, bool) {
	return find(func(m *Module) bool { return m.ID == id })
}

func find(is func(*Module) bool) (Module, bool) {
	for i := range all {
		if is(&all[i]) {
			return all[i], true
		}
	}
	return Module{}, false
}
