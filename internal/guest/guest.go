// Package guest makes kernels out of source: it writes a first kernel in one of
// several languages, and builds a source file with the compiler that this
// machine has.
//
// Its one idea is that it knows command lines and nothing else: the compilers are
// what the user installed, nothing is fetched, and what comes out is admitted as
// a node would, or it is not written. It runs no kernel.
package guest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/kernels"
)

// Language is one that kernels are written in.
type Language struct {
	Name    string
	Suffix  string // of its source files
	Install string // what to install where its compiler is missing
}

var languages = []Language{
	{"c", ".c", "clang 22 and its linker; on Debian: apt-get install clang-22 lld-22"},
	{"go", ".go", "TinyGo 0.41, as tinygo on the path; kernels/README.md of the source says how it is built"},
	{"rust", ".rs", "rustc with the target wasm32-unknown-unknown; rustup target add wasm32-unknown-unknown, or on Debian: apt-get install rustc libstd-rust-dev-wasm32 lld-14"},
	{"assemblyscript", ".ts", "the AssemblyScript compiler, as asc on the path; npm install --global assemblyscript@0.28.20"},
	{"wat", ".wat", "the WebAssembly Binary Toolkit; on Debian: apt-get install wabt"},
}

// Languages are all that there are.
func Languages() []Language { return slices.Clone(languages) }

func names(of func(Language) string) string {
	list := make([]string, len(languages))
	for i, l := range languages {
		list[i] = of(l)
	}
	return strings.Join(list, " ")
}

// Kinds are those of first kernels: columns, a map and a reduction, and task.
func Kinds() []string {
	var list []string
	for _, k := range kernels.Kinds() {
		list = append(list, string(k))
	}
	return list
}

// New writes a first kernel of a kind in a language into a folder, which is made if
// it is not there. It overwrites nothing. It gives the source file to build.
func New(language, kind, dir string) (string, error) {
	if !slices.ContainsFunc(languages, func(l Language) bool { return l.Name == language }) {
		return "", holo.Errorf(holo.Invalid, "new kernel: there is no language %q: want one of %s", language, names(func(l Language) string { return l.Name }))
	}
	if !slices.Contains(Kinds(), kind) {
		return "", holo.Errorf(holo.Invalid, "new kernel: there is no kind %q: want one of %s", kind, strings.Join(Kinds(), " "))
	}
	files, source, err := kernels.Template(language, kernels.Kind(kind))
	if err != nil {
		return "", holo.Errorf(holo.Internal, "new kernel: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", holo.Errorf(holo.Denied, "new kernel: %w", err)
	}
	for _, name := range sorted(files) {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return "", holo.Errorf(holo.Exists, "new kernel: there is a %s already", filepath.Join(dir, name))
		}
	}
	for _, name := range sorted(files) {
		if err := write(filepath.Join(dir, name), files[name]); err != nil {
			return "", holo.Errorf(holo.Denied, "new kernel: %w", err)
		}
	}
	return filepath.Join(dir, source), nil
}

// write makes a file that was not there a moment ago.
func write(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		_ = f.Close() // the write's error says more
		return err
	}
	return f.Close()
}

func sorted(files map[string][]byte) (list []string) {
	for name := range files {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}
