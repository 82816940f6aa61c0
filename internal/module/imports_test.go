package module

import (
	"maps"
	"slices"
	"testing"
)

// tested names for every import that a kernel may have the test that shows what
// it can do and what it cannot: a name that is added to allowedImports fails here
// until it has its test.
var tested = map[string]string{
	"holo.log":   "internal/sandbox: TestLogsAreBoundedPaidForAndChangeNothing",
	"holo.read":  "internal/sandbox: TestATaskReachesWhatItWasGrantedAndNothingElse",
	"holo.write": "internal/sandbox: TestATaskReachesWhatItWasGrantedAndNothingElse",
	"holo.len":   "internal/sandbox: TestATaskReachesWhatItWasGrantedAndNothingElse",
}

// logging is a kernel that imports log, and does not call it: one function more
// comes before its own.
func logging() *builder {
	b := kernel(zero()...)
	b.types = append(b.types, []byte{0x60, 2, byte(i32), byte(i32), 0})
	b.imports = [][]byte{imported(HostModule, HostLog, kindFunc, 4)}
	b.exports = [][]byte{
		exported("memory", kindMemory, 0), exported("holo_abi", kindFunc, 1), exported("holo_alloc", kindFunc, 2), exported("holo_map_f", kindFunc, 3),
	}
	return b
}

// Mission row EX-1: the allow-list is this file's neighbour, and nothing gets on it
// without a test.
func TestEveryAllowedImportHasATest(t *testing.T) {
	for name := range allowedImports {
		if tested[name] == "" {
			t.Errorf("a kernel may import %s, and no test says what that lets it do: name one here", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tested)) {
		if _, ok := allowedImports[name]; !ok {
			t.Errorf("%s is tested by %s and is not allowed", name, tested[name])
		}
	}
	for _, host := range []string{HostYield, HostGrow} {
		if _, ok := allowedImports[HostModule+"."+host]; ok {
			t.Errorf("a kernel may import %s.%s: it would give itself gas", HostModule, host)
		}
	}
}
