// Package access proves that the tests about who may do what notice when a
// mitigation is gone. Each file in mutants takes one away, as a patch of the
// source; the test that it names must then fail. There is no other way to
// switch a mitigation off.
package access

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is one change of one file, and the test that must fail on it.
type mutant struct{ why, pkg, test, file, old, new string }

// readMutant reads "# why", "test: package.Test", "--- file", and lines of old
// and new text behind - and +, as internal/sim's mutants have them.
func readMutant(t *testing.T, path string) (m mutant) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var old, replacement []string
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "# "):
			m.why = line[2:]
		case strings.HasPrefix(line, "test: "):
			m.pkg, m.test, _ = strings.Cut(line[6:], ".")
		case strings.HasPrefix(line, "--- "):
			m.file = line[4:]
		case strings.HasPrefix(line, "-"):
			old = append(old, line[1:])
		case strings.HasPrefix(line, "+"):
			replacement = append(replacement, line[1:])
		}
	}
	m.old, m.new = strings.Join(old, "\n"), strings.Join(replacement, "\n")
	if m.why == "" || m.test == "" || m.file == "" || m.old == "" {
		t.Fatalf("%s is not complete: %+v", path, m)
	}
	return m
}

// overlay writes the changed file and says where it stands in for which.
func (m *mutant) overlay(t *testing.T, root string) string {
	t.Helper()
	path, dir := filepath.Join(root, filepath.FromSlash(m.file)), t.TempDir()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), m.old); n != 1 {
		t.Fatalf("it does not apply: its text is %d times in %s:\n%s", n, m.file, m.old)
	}
	changed, list := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{changed: strings.Replace(string(b), m.old, m.new, 1), list: string(text)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func TestEachMitigationIsMissedWhenItIsGone(t *testing.T) {
	paths, err := filepath.Glob("mutants/*.patch")
	if err != nil || len(paths) < 16 {
		t.Fatalf("%d mutants, %v", len(paths), err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".patch"), func(t *testing.T) {
			m := readMutant(t, path)
			cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-overlay", m.overlay(t, root), "./"+m.pkg, "-run", "^"+m.test+"$")
			cmd.Dir = root
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), fmt.Sprintf("--- FAIL: %s ", m.test)) {
				t.Errorf("%s: %s.%s does not notice: %v\n%s", m.why, m.pkg, m.test, err, out)
			}
		})
	}
}
