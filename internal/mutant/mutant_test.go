package mutant

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// module is a module of one function and its test, with patches.
func module(t *testing.T, patches map[string]string) (dir string) {
	t.Helper()
	root := t.TempDir()
	files := map[string]string{
		"go.mod":        "module example\n\ngo 1.26\n",
		"p/p.go":        "package p\n\nfunc Safe(n int) bool {\n\tif n > 10 {\n\t\treturn false\n\t}\n\treturn true\n}\n",
		"p/p_test.go":   "package p\n\nimport \"testing\"\n\nfunc TestBound(t *testing.T) {\n\tif Safe(11) {\n\t\tt.Error(\"11 is let through\")\n\t}\n}\n\nfunc TestBoundless(t *testing.T) {}\n",
		"p/mutants/x.y": "no patch",
	}
	for name, text := range patches {
		files["p/mutants/"+name+".patch"] = text
	}
	for name, text := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(root, "p", "mutants")
}

const (
	off    = "# the bound is not checked\nrow: S1 S1-4\n"
	change = "--- p/p.go\n-\tif n > 10 {\n+\tif n > 100 {\n"
	soon   = time.Minute
)

func caught(t *testing.T, patch string) error {
	t.Helper()
	ms, err := ReadAll(module(t, map[string]string{"a": patch}))
	if err != nil {
		return err
	}
	b, err := ms[0].Build(t.Context(), t.TempDir())
	if err != nil {
		return err
	}
	return ms[0].Caught(t.Context(), b, soon)
}

func TestMistakeIsCaughtByItsTestAndNoOther(t *testing.T) {
	if err := caught(t, off+"test: TestBound\n"+change); err != nil {
		t.Error(err)
	}
	for name, patch := range map[string]string{
		"does not notice": off + "test: TestBoundless\n" + change,
		"a test of another name, which the failing one begins with": off + "test: TestBou\n" + change,
		"does not compile":           off + "test: TestBound\n--- p/p.go\n-\tif n > 10 {\n+\tif n > ten {\n",
		"is 0 times":                 off + "test: TestBound\n--- p/p.go\n-\tif n > 11 {\n+\tif n > 100 {\n",
		"is 2 times":                 off + "test: TestBound\n--- p/p.go\n-return \n+panic \n",
		"does not change":            off + "test: TestBound\n--- p/p.go\n-\tif n > 10 {\n+\tif n > 10 {\n",
		"no test":                    off + change,
		"no reason":                  "test: TestBound\n" + change,
		"no change":                  off + "test: TestBound\n",
		"no line":                    off + "test: TestBound\nwhat is this\n" + change,
		"no such file":               off + "test: TestBound\n--- p/q.go\n-a\n+b\n",
		"a crash before the verdict": off + "test: TestBound\n--- p/p.go\n-package p\n+package p\n+\n+import \"os\"\n+\n+func init() { os.Exit(1) }\n",
	} {
		if err := caught(t, patch); err == nil {
			t.Errorf("%s: counts as caught", name)
		}
	}
}

func TestPatchesHavePackageAndRows(t *testing.T) {
	ms, err := ReadAll(module(t, map[string]string{
		"b": off + "test: TestBound\n" + change, "a": "# one\n# two\npackage: p\ntest: TestBound\n" + change,
	}))
	if err != nil || len(ms) != 2 {
		t.Fatal(ms, err)
	}
	if a := ms[0]; a.Name != "a" || a.Why != "one two" || a.Package != "p" {
		t.Errorf("%+v", a)
	}
	if b := ms[1]; b.Name != "b" || b.Package != "p" || strings.Join(b.Rows, " ") != "S1 S1-4" {
		t.Errorf("%+v", b)
	}
	if _, err := ReadAll(t.TempDir()); err == nil {
		t.Error("a folder without a module is read")
	}
	if _, err := ReadAll(module(t, nil)); err == nil {
		t.Error("no patch is enough")
	}
}

func TestUnchangedPackagePasses(t *testing.T) {
	ms, err := ReadAll(module(t, map[string]string{"a": off + "test: TestBound\n" + change}))
	if err != nil {
		t.Fatal(err)
	}
	good, err := ms[0].BuildUnchanged(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := good.Passes(t.Context(), soon, []string{"TestBound", "TestBoundless"}); err != nil {
		t.Error(err)
	}
	if err := good.Passes(t.Context(), soon, []string{"TestBound", "TestAbsent"}); err == nil {
		t.Error("a test that is not there passes")
	}
	bad, err := ms[0].Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := bad.Passes(t.Context(), soon, []string{"TestBound"}); err == nil {
		t.Error("a test that fails passes")
	}
}

// TestScriptIsNoTest: a patch names a test or a script with a step, and which step
// has failed is read from what the script says.
func TestScriptIsNoTest(t *testing.T) {
	for name, head := range map[string]string{
		"a script and a test":       "test: TestBound\nscript: scripts/look\nstep: one\n",
		"a script without its step": "script: scripts/look\n",
		"a step without its script": "step: one\n",
		"a script and a package":    "script: scripts/look\nstep: one\npackage: p\n",
	} {
		if _, err := ReadAll(module(t, map[string]string{"a": off + head + change})); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	ms, err := ReadAll(module(t, map[string]string{"a": off + "script: scripts/look\nstep: two of them\n" + change}))
	if err != nil || ms[0].Script != "scripts/look" || ms[0].Step != "two of them" || ms[0].Package != "" {
		t.Fatalf("%+v, %v", ms, err)
	}
	s := &Scripted{name: "look"}
	for out, want := range map[string]string{
		"":                          "",
		"look: one: ok (0.1 s)\n":   "",
		"look: it took: 4.5 s\n":    "",
		"look: 5 packets\n":         "",
		"cannot look: one: no\n":    "",
		"look: one: it is not so\n": "one",
		"look: one: ok (0.1 s)\nlook: two of them: no: one: ok\n--- more\nlook: three: no\n": "two of them",
	} {
		if got := s.failed(out); got != want {
			t.Errorf("%q says that %q failed, want %q", out, got, want)
		}
	}
}
