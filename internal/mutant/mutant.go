// Package mutant makes a deliberate mistake in a copy of the source and shows
// that a named test notices it: a test that cannot fail proves nothing. It is
// used by tests only.
//
// A mistake is a patch file, applied with go build -overlay, so the tree is
// never touched and no flag, variable or build tag that switches a mitigation
// off exists in it. The files are made of lines:
//
//	# what the mistake is
//	row: the lines of the threat model and mission table that it undoes
//	package: the folder of the test, from the module's root
//	test: the test that fails on it
//	script: and step: in place of both, a program of scripts/ and which of its
//	        steps fails on the product with the mistake
//	--- file
//	-old text, which is in the file exactly once
//	+new text
//
// Without a package line the test is in the folder that the patches' folder
// lies in. Nothing is kept between runs but Go's own build cache, which knows
// packages by their content.
//
// It does not judge a mistake by anything but its test's "--- FAIL" line: a
// patch that does not apply or compile, a test that hangs, or a crash before
// the test says that it failed is an error, never a success.
package mutant

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Mutant is one mistake.
type Mutant struct {
	Name    string   // of the file, without ".patch"
	Why     string   // what the mistake is
	Rows    []string // of the threat model and the mission table
	Package string   // of the test, from the module's root with slashes
	Test    string   // that must fail
	Script  string   // or this program, from the module's root
	Step    string   // at this step
	root    string   // of the module
	hunks   []hunk
}

type hunk struct {
	file     string
	old, new []string
}

// ReadAll reads all patches of a folder, in order of their names. Every one
// must apply to the source as it is.
func ReadAll(dir string) ([]*Mutant, error) {
	root, err := moduleRoot(dir)
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	var all []*Mutant
	for _, path := range paths {
		m, err := read(root, path)
		if err != nil {
			return nil, err
		}
		if _, err := m.patched(); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no mutants in %s", dir)
	}
	return all, nil
}

// moduleRoot is the folder with go.mod in or above dir.
func moduleRoot(dir string) (string, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at, nil
		}
		if filepath.Dir(at) == at {
			return "", fmt.Errorf("no go.mod above %s", dir)
		}
		at = filepath.Dir(at)
	}
}

func read(root, path string) (*Mutant, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := &Mutant{Name: strings.TrimSuffix(filepath.Base(path), ".patch"), root: root}
	for line := range strings.Lines(string(b)) {
		if !m.line(strings.TrimSuffix(line, "\n")) {
			return nil, fmt.Errorf("%s: %q is no line of a mutant", path, line)
		}
	}
	if m.Package == "" && m.Script == "" {
		if m.Package, err = holder(root, path); err != nil {
			return nil, err
		}
	}
	tested, scripted := m.Test != "", m.Script != "" && m.Step != "" && m.Package == ""
	if m.Why == "" || tested == scripted || len(m.hunks) == 0 {
		return nil, fmt.Errorf("%s: no reason, no test or no change", path)
	}
	return m, nil
}

// holder is the package in whose folder the patches' folder lies.
func holder(root, path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(root, filepath.Dir(filepath.Dir(abs)))
	return filepath.ToSlash(rel), err
}

// line takes one line of a patch file, and reports whether it is one.
func (m *Mutant) line(line string) bool {
	key, value, _ := strings.Cut(line, " ")
	switch {
	case key == "---":
		m.hunks = append(m.hunks, hunk{file: value})
	case len(m.hunks) > 0:
		return m.hunks[len(m.hunks)-1].line(line)
	case key == "#":
		m.Why = strings.TrimSpace(m.Why + " " + value)
	case key == "row:":
		m.Rows = strings.Fields(value)
	case key == "package:":
		m.Package = value
	case key == "test:":
		m.Test = value
	case key == "script:":
		m.Script = value
	case key == "step:":
		m.Step = value
	default:
		return false
	}
	return true
}

// line takes a line of a change: what goes stands before what comes.
func (h *hunk) line(line string) bool {
	switch {
	case strings.HasPrefix(line, "-") && len(h.new) == 0:
		h.old = append(h.old, line[1:])
	case strings.HasPrefix(line, "+") && len(h.old) > 0:
		h.new = append(h.new, line[1:])
	default:
		return false
	}
	return true
}

// patched gives the changed text of each file, by path.
func (m *Mutant) patched() (map[string]string, error) {
	texts := map[string]string{}
	for _, h := range m.hunks {
		path := filepath.Join(m.root, filepath.FromSlash(h.file))
		if _, already := texts[path]; !already {
			b, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("mutant %s: %w", m.Name, err)
			}
			texts[path] = string(b)
		}
		old, now := strings.Join(h.old, "\n"), strings.Join(h.new, "\n")
		if n := strings.Count(texts[path], old); n != 1 || slices.Equal(h.old, h.new) {
			return nil, fmt.Errorf("mutant %s does not apply: its text is %d times in %s, or does not change:\n%s", m.Name, n, h.file, old)
		}
		texts[path] = strings.Replace(texts[path], old, now, 1)
	}
	return texts, nil
}
