package module

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
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

// How each language names what it imports from its host.
var imports = map[string]struct{ files, pattern string }{
	"c":              {"../../kernels/holo.h", `(?:HOLO_IMPORT|import_name)\("(\w+)"\)`},
	"go":             {"../../kernels/sdk/go/holo.go.txt", `//go:wasmimport holo (\w+)`},
	"rust":           {"../../kernels/sdk/rust/holo.rs", `link_name = "(\w+)"`},
	"assemblyscript": {"../../kernels/sdk/assemblyscript/holo.ts", `@external\("holo", "(\w+)"\)`},
	"wat":            {"../../kernels/sdk/wat/*.wat", `\(import "holo" "(\w+)"`},
}

// What is on the list can be called in every language of the SDK, and nothing else.
func TestEveryLanguageHasEveryHostCall(t *testing.T) {
	for language, im := range imports {
		files, err := filepath.Glob(filepath.FromSlash(im.files))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", language, files, err)
		}
		found := map[string]bool{}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(im.pattern).FindAllSubmatch(b, -1) {
				found[HostModule+"."+string(m[1])] = true
			}
		}
		if have, want := slices.Sorted(maps.Keys(found)), slices.Sorted(maps.Keys(allowedImports)); !slices.Equal(have, want) {
			t.Errorf("%s declares %s, and a kernel may import %s", language, have, want)
		}
	}
}

// A general task reaches its handles and nothing of the system: whatever else it
// imports is refused before an engine sees it, and so is what is on the list under
// another type.
func TestATaskThatImportsTheSystemIsRefused(t *testing.T) {
	wasi, env, host := "wasi_snapshot_preview1", "env", HostModule
	for _, im := range [][2]string{
		{wasi, "path_open"}, {wasi, "fd_write"}, {wasi, "environ_get"}, {wasi, "args_get"}, {wasi, "sock_send"}, {wasi, "clock_time_get"},
		{wasi, "random_get"}, {wasi, "proc_exit"}, {wasi, "proc_raise"}, {wasi, "sched_yield"}, {env, "system"}, {env, HostRead}, {host, "open"},
		{host, "prefetch"}, {host, HostYield}, {host, HostGrow}, {host, HostRead}, {host, HostWrite}, {host, HostLength}, {"", HostRead},
	} {
		b := logging()
		b.imports = [][]byte{imported(im[0], im[1], kindFunc, 4)} // of the type of log
		b.exports[3] = exported("holo_task_f", kindFunc, 3)
		_, err := Admit(b.bytes())
		if holo.ReasonOf(err) != Forbidden || !strings.Contains(err.Error(), strconv.Quote(im[1])) {
			t.Errorf("a task that imports %s.%s: %v", im[0], im[1], err)
		}
	}
	b := logging()
	b.types[4] = []byte{0x60, 4, byte(i32), byte(i64), byte(i32), byte(i32), 1, byte(i32)}
	b.imports = [][]byte{imported(HostModule, HostRead, kindFunc, 4)}
	b.exports[3] = exported("holo_task_f", kindFunc, 3)
	if m, err := Admit(b.bytes()); err != nil || !m.Has(Task, "f") {
		t.Errorf("a task that imports read: %v", err)
	}
}
