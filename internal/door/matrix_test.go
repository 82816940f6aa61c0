package door

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/holocompute/holocompute/internal/holo"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/calls.txt anew")

var classNames = [classes]string{"read", "change", "bulk"}

// Every call of the service description with what it needs, and which roles,
// granted without a scope, can make it: for people to read.
func TestMatrixOfCallsAndRoles(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Each call: the name of its record (- for reads), its quota, what it needs, and the roles that have all of it. What is not\n" +
		"# here is denied. A job's own accesses are about its submitter too (docs/protocol/access.md). Written by go test -rewrite.\n\n")
	for _, procedure := range slices.Sorted(maps.Keys(routes)) {
		rt := routes[procedure]
		event := rt.event
		if event == "" {
			event = "-"
		}
		needs, roles := whatIt(procedure, rt)
		fmt.Fprintf(&b, "%-42s %-15s %-7s %-50s %s\n", strings.TrimPrefix(procedure, "/"), event, classNames[rt.class], needs, roles)
	}
	path := filepath.Join("testdata", "calls.txt")
	if *rewrite {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the matrix is not that of %s: look at the difference, then go test -rewrite\n%s", path, b.String())
	}
}

// whatIt needs, in words, and who has it.
func whatIt(procedure string, rt route) (needs, roles string) {
	var m proto.Message = &dataCall{array: 1}
	if rt.make != nil {
		m = sample(procedure)
	}
	var words, who []string
	for _, a := range rt.needs(m) {
		word := a.Action.String()
		if a.Or != 0 {
			word += " or " + a.Or.String()
		}
		words = append(words, word+" "+a.On.kind())
	}
	for _, r := range holo.Roles() {
		if !slices.ContainsFunc(rt.needs(m), func(a Access) bool { return !r.May(a.Action) && !r.May(a.Or) }) {
			who = append(who, r.String())
		}
	}
	return strings.Join(words, ", "), strings.Join(who, " ")
}

func (t Target) kind() string {
	switch {
	case t.Array != "":
		return "array"
	case t.Kernel != "":
		return "kernel"
	case t.Job != 0:
		return "job"
	}
	return "cluster"
}
