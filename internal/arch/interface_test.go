package arch

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/interface.txt anew")

const interfaceHead = `# What a program that imports this module can name, a line for each: constants with their values, functions, types with
# their fields and methods, those of a package inside too where a name here stands for one. A line that goes or changes
# breaks programs; one that comes does not. Written by go test ./internal/arch -args -rewrite.
`

// TestGoInterfaceIsTheRecordedOne: what programs can name changes only together with
// the record of it, so that nobody breaks them unawares.
func TestGoInterfaceIsTheRecordedOne(t *testing.T) {
	lines := interfaceOf(t, packages(t)[0].Module.Path)
	path := filepath.Join("testdata", "interface.txt")
	if *rewrite {
		if err := os.WriteFile(path, []byte(interfaceHead+strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	recorded := strings.Split(strings.TrimSpace(strings.TrimPrefix(string(b), interfaceHead)), "\n")
	if len(recorded) < 300 {
		t.Fatalf("only %d lines are recorded: the check would pass for the wrong reason", len(recorded))
	}
	for _, line := range without(recorded, lines) {
		t.Errorf("gone or changed, which breaks programs that use it: %s", line)
	}
	for _, line := range without(lines, recorded) {
		t.Errorf("new, or what a line was changed to: %s", line)
	}
	if t.Failed() {
		t.Log("if that is meant, say so in the commit and record it: go test ./internal/arch -args -rewrite")
	}
}

func without(lines, others []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return slices.Contains(others, l) })
}

// interfaceOf reads what the compiler tells those who import a package.
func interfaceOf(t *testing.T, path string) []string {
	t.Helper()
	exports := exportsOf(t)
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	pkg, err := importer.ForCompiler(token.NewFileSet(), "gc", lookup).Import(path)
	if err != nil {
		t.Fatal(err)
	}
	s := surface{of: pkg, told: map[*types.TypeName]bool{}}
	for _, name := range pkg.Scope().Names() {
		if object := pkg.Scope().Lookup(name); object.Exported() {
			s.object(object)
		}
	}
	slices.Sort(s.lines)
	return slices.Compact(s.lines)
}

// exportsOf are the files of the compiler for the module's packages and those that
// they import.
func exportsOf(t *testing.T) map[string]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", ".")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list the exports: %v", err)
	}
	files := map[string]string{}
	for in := bufio.NewScanner(bytes.NewReader(out)); in.Scan(); {
		path, file, _ := strings.Cut(in.Text(), " ")
		files[path] = file
	}
	return files
}

// surface gathers the lines of what can be named.
type surface struct {
	of    *types.Package
	told  map[*types.TypeName]bool
	lines []string
}

func (s *surface) say(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func (s *surface) object(o types.Object) {
	switch o := o.(type) {
	case *types.Const:
		s.say("const %s %s = %s", s.name(o), s.typ(o.Type()), o.Val().ExactString())
	case *types.Var:
		s.say("var %s %s", s.name(o), s.typ(o.Type()))
	case *types.Func:
		s.say("func %s%s", s.name(o), s.signature(o.Signature()))
	case *types.TypeName:
		s.typeName(o)
	}
	s.reachable(o.Type())
}

func (s *surface) typeName(o *types.TypeName) {
	if s.told[o] {
		return
	}
	s.told[o] = true
	if alias, ok := o.Type().(*types.Alias); ok {
		s.say("type %s = %s", s.name(o), s.typ(alias.Rhs()))
		return
	}
	named := o.Type().(*types.Named)
	s.say("type %s%s %s", s.name(o), s.parameters(named.TypeParams()), s.kind(named.Underlying()))
	s.members(s.name(o), named)
}

// kind is what a type is, without the fields that have lines of their own.
func (s *surface) kind(under types.Type) string {
	structure, ok := under.(*types.Struct)
	if !ok {
		return s.typ(under)
	}
	for field := range structure.Fields() {
		if !field.Exported() {
			return "struct with fields of its own"
		}
	}
	return "struct"
}

// members are the fields and methods of a type. The methods are those that a pointer
// to it has.
func (s *surface) members(name string, named *types.Named) {
	if structure, ok := named.Underlying().(*types.Struct); ok {
		for field := range structure.Fields() {
			if field.Exported() {
				s.say("field %s.%s %s", name, field.Name(), s.typ(field.Type()))
				s.reachable(field.Type())
			}
		}
	}
	for method := range named.Methods() {
		if method.Exported() {
			s.say("method (%s) %s%s", s.typ(method.Signature().Recv().Type()), method.Name(), s.signature(method.Signature()))
			s.reachable(method.Signature())
		}
	}
}

// reachable tells of the module's types that a type is made of: a program that gets
// a value uses its fields and methods, whatever package they are written in.
func (s *surface) reachable(t types.Type) {
	switch t := t.(type) {
	case *types.Alias:
		s.reachable(t.Rhs())
	case *types.Named:
		o := t.Origin().Obj()
		if o.Pkg() != nil && o.Exported() && strings.HasPrefix(o.Pkg().Path(), s.of.Path()) {
			s.typeName(o)
		}
	case *types.Signature:
		for _, tuple := range []*types.Tuple{t.Params(), t.Results()} {
			for v := range tuple.Variables() {
				s.reachable(v.Type())
			}
		}
	case *types.Map:
		s.reachable(t.Key())
		s.reachable(t.Elem())
	case interface{ Elem() types.Type }: // pointers, slices, arrays, channels
		s.reachable(t.Elem())
	}
}

// signature is a function's, without the names of its parameters: nobody can use them.
func (s *surface) signature(f *types.Signature) string {
	bare := types.NewSignatureType(nil, nil, nil, nameless(f.Params()), nameless(f.Results()), f.Variadic())
	return s.parameters(f.TypeParams()) + strings.TrimPrefix(s.typ(bare), "func")
}

func nameless(tuple *types.Tuple) *types.Tuple {
	var vars []*types.Var
	for v := range tuple.Variables() {
		vars = append(vars, types.NewParam(token.NoPos, nil, "", v.Type()))
	}
	return types.NewTuple(vars...)
}

func (s *surface) parameters(list *types.TypeParamList) string {
	var all []string
	for p := range list.TypeParams() {
		all = append(all, p.Obj().Name()+" "+s.typ(p.Constraint()))
	}
	if len(all) == 0 {
		return ""
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func (s *surface) typ(t types.Type) string { return types.TypeString(t, s.qualify) }

// name is how the interface calls an object: one of a package inside is called by
// that package's path.
func (s *surface) name(o types.Object) string {
	if at := s.qualify(o.Pkg()); at != "" {
		return at + "." + o.Name()
	}
	return o.Name()
}

func (s *surface) qualify(p *types.Package) string {
	return strings.TrimPrefix(strings.TrimPrefix(p.Path(), s.of.Path()), "/")
}
