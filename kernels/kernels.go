// Package kernels holds the sample kernels of HoloCompute as WebAssembly
// modules of ABI holo/1, built from the sources beside them. The committed
// bytes are what runs; build.sh rebuilds them and compares. The package only
// carries bytes: internal/module decides whether they are admitted.
package kernels

import (
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed *.wasm hostile/*.wasm holo.h sdk
var files embed.FS

// Kind is what a first kernel shows.
type Kind string

// The kinds of first kernels.
const (
	Columns Kind = "columns" // a map and a reduction
	Task    Kind = "task"    // a general task
)

// Kinds are all that there are.
func Kinds() []Kind { return []Kind{Columns, Task} }

// source is what its files are called, without suffix.
func (k Kind) source() string {
	if k == Task {
		return "task"
	}
	return "template"
}

// Template is the first kernel of a kind in a language, with what it needs, by file
// name, and the name of its source.
func Template(language string, kind Kind) (out map[string][]byte, source string, err error) {
	dir := path.Join("sdk", language)
	entries, err := files.ReadDir(dir)
	if err != nil {
		return nil, "", err
	}
	out = map[string][]byte{}
	for _, e := range entries {
		// What Go would take for parts of this module has .txt after its name.
		name := strings.TrimSuffix(e.Name(), ".txt")
		stem, _, _ := strings.Cut(name, ".")
		switch {
		case path.Ext(name) == ".wasm":
			continue
		case stem == kind.source():
			source = name
		case slices.ContainsFunc(Kinds(), func(k Kind) bool { return k.source() == stem }):
			continue // another kind's
		}
		if out[name], err = files.ReadFile(path.Join(dir, e.Name())); err != nil {
			return nil, "", err
		}
	}
	if language == "c" {
		out["holo.h"], err = files.ReadFile("holo.h")
	}
	return out, source, err
}

// Built is a template as it was built, and nil where there is none.
func Built(language string, kind Kind) []byte {
	wasm, err := files.ReadFile(path.Join("sdk", language, kind.source()+".wasm"))
	if err != nil {
		return nil
	}
	return wasm
}

// Sample is one kernel module.
type Sample struct {
	Name string // file name without .wasm: flights
	Wasm []byte
}

// All is every useful sample, by name.
func All() []Sample { return in(".") }

// Hostile is every module that attacks its node: within the validator's limits,
// and stopped by gas, depth or memory when it runs.
func Hostile() []Sample { return in("hostile") }

// Get is the sample of that name, useful or hostile, and nil where there is none.
func Get(name string) []byte {
	for _, dir := range []string{".", "hostile"} {
		if wasm, err := files.ReadFile(path.Join(dir, name+".wasm")); err == nil {
			return wasm
		}
	}
	return nil
}

func in(dir string) []Sample {
	names, _ := fs.Glob(files, path.Join(dir, "*.wasm")) // the pattern is constant and valid
	samples := make([]Sample, 0, len(names))
	for _, name := range names {
		wasm, _ := files.ReadFile(name) // it was just listed
		samples = append(samples, Sample{strings.TrimSuffix(path.Base(name), ".wasm"), wasm})
	}
	return samples
}
