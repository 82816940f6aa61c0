package guest

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/kernels"
)

// checked type-checks the files of a first kernel in Go as one package for a machine
// with addresses of 32 bits, and gives what they export to a host.
func checked(t *testing.T, kind kernels.Kind) (exports []string) {
	t.Helper()
	files, _, err := kernels.Template("go", kind)
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	var list []*ast.File
	for _, name := range sorted(files) {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		f, err := parser.ParseFile(set, name, files[name], parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, f)
		for _, group := range f.Comments {
			for _, c := range group.List {
				if export, ok := strings.CutPrefix(c.Text, "//go:wasmexport "); ok {
					exports = append(exports, export)
				}
			}
		}
	}
	config := types.Config{Sizes: types.SizesFor("gc", "386"), GoVersion: "go1.24", Importer: importer.Default()}
	if _, err := config.Check("kernel", set, list, nil); err != nil {
		t.Errorf("%s: %v", kind, err)
	}
	return exports
}

// TinyGo has no package, and not every gate has it: the sources are Go all the same,
// and export what the module has that was built of them.
func TestFirstKernelsInGoAreGo(t *testing.T) {
	for _, kind := range kernels.Kinds() {
		exports := checked(t, kind)
		m, err := module.Admit(kernels.Built("go", kind))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"holo_abi", "holo_alloc"}
		for _, f := range m.Functions {
			want = append(want, f.Export())
		}
		slices.Sort(exports)
		slices.Sort(want)
		if !slices.Equal(exports, want) {
			t.Errorf("%s: the source exports %s, the module %s", kind, exports, want)
		}
	}
}
