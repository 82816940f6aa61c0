package module

import (
	"maps"
	"slices"
	"testing"
)

// tested names for every import that a kernel may have the test that shows what
// it can do and what it cannot. There is none yet: a name that is added to
// allowedImports fails here until it has its test.
var tested = map[string]string{}

// Mission row EX-1: the allow-list is this file's neighbour, and nothing gets on it
// without a test.
func TestEveryAllowedImportHasATest(t *testing.T) {
	for name := range allowedImports {
		if tested[name] == "" {
			t.Errorf("a kernel may import %s, and no test says what that lets it do: name one here", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tested)) {
		if !allowedImports[name] {
			t.Errorf("%s is tested by %s and is not allowed", name, tested[name])
		}
	}
	for _, host := range []string{HostYield, HostGrow} {
		if allowedImports[HostModule+"."+host] {
			t.Errorf("a kernel may import %s.%s: it would give itself gas", HostModule, host)
		}
	}
}
