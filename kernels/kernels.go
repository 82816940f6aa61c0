// Package kernels holds the sample kernels of HoloCompute as WebAssembly
// modules of ABI holo/1, built from the sources beside them. The committed
// bytes are what runs; build.sh rebuilds them and compares. The package only
// carries bytes: internal/module decides whether they are admitted.
package kernels

import (
	"embed"
	"io/fs"
	"path"
	"strings"
)

//go:embed *.wasm hostile/*.wasm holo.h sdk
var files embed.FS

// Template is the first kernel in a language, with what it needs, by file name.
func Template(language string) (map[string][]byte, error) {
	dir := path.Join("sdk", language)
	entries, err := files.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, e := range entries {
		if path.Ext(e.Name()) == ".wasm" {
			continue
		}
		// What Go would take for parts of this module has .txt after its name.
		if out[strings.TrimSuffix(e.Name(), ".txt")], err = files.ReadFile(path.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	if language == "c" {
		out["holo.h"], err = files.ReadFile("holo.h")
	}
	return out, err
}

// Built is the template of a language as it was built, and nil where it was not.
func Built(language string) []byte {
	wasm, err := files.ReadFile(path.Join("sdk", language, "template.wasm"))
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
