package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

type pkg struct {
	ImportPath   string
	Dir          string
	GoFiles      []string
	Imports      []string
	TestImports  []string
	XTestImports []string
	TestGoFiles  []string
	XTestGoFiles []string
	Module       struct{ Path, Dir string }
}

// rel is the package's folder relative to the module, "." for the root.
func (p pkg) rel() string { return local(p.Module.Path, p.ImportPath) }

// pure reports whether the package is one of the words or machines.
func (p pkg) pure() bool {
	for _, word := range words {
		if p.rel() == word {
			return true
		}
	}
	return strings.HasPrefix(p.rel(), "internal/core/")
}

// generated reports whether the package's Go code is made by a tool.
func (p pkg) generated() bool { return strings.HasPrefix(p.rel(), "internal/api/holo") }

func local(module, importPath string) string {
	if importPath == module {
		return "."
	}
	s, ok := strings.CutPrefix(importPath, module+"/")
	if !ok {
		return ""
	}
	return s
}

var load = sync.OnceValues(func() ([]pkg, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports,TestImports,XTestImports,TestGoFiles,XTestGoFiles,Module", "./...")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var ps []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return ps, nil
		} else if err != nil {
			return nil, err
		}
		ps = append(ps, p)
	}
})

func packages(t *testing.T) []pkg {
	t.Helper()
	ps, err := load()
	if err != nil {
		t.Fatalf("list the packages: %v", err)
	}
	if len(ps) < 5 {
		t.Fatalf("only %d packages found: the check would pass for the wrong reason", len(ps))
	}
	return ps
}

// eachFile parses the named files of a package.
func eachFile(t *testing.T, p pkg, names []string, f func(rel string, fset *token.FileSet, file *ast.File)) {
	t.Helper()
	for _, name := range names {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		f(path.Join(p.rel(), name), fset, file)
	}
}
