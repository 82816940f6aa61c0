package mutant

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// waitAfter is how long a test's own children may keep its output open after
// it has ended.
const waitAfter = 10 * time.Second

// Binary is the test binary of a package, with the mistake in it or without.
// What its tests build themselves has the same mistake.
type Binary struct{ path, dir, overlay string }

// Build makes the test binary of the mutant's package with the patch applied,
// in dir, which the caller removes. A patch that does not compile is an error.
func (m *Mutant) Build(ctx context.Context, dir string) (*Binary, error) {
	file, err := m.overlay(dir)
	if err != nil {
		return nil, err
	}
	b, err := build(ctx, m.root, m.Package, dir, "-overlay", file)
	if err != nil {
		return nil, fmt.Errorf("mutant %s does not compile: %w", m.Name, err)
	}
	b.overlay = file
	return b, nil
}

// Program builds the program of the mutant's package with the patch applied, in
// dir: another release of it, say.
func (m *Mutant) Program(ctx context.Context, dir string) (path string, err error) {
	file, err := m.overlay(dir)
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, m.Name)
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", path, "-overlay", file, "./"+m.Package)
	cmd.Dir = m.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("program %s does not compile: %w\n%s", m.Name, err, out)
	}
	return path, nil
}

// overlay writes the patched files and their list into dir, and gives its path.
func (m *Mutant) overlay(dir string) (string, error) {
	texts, err := m.patched()
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for path, text := range texts {
		replace[path] = filepath.Join(dir, strconv.Itoa(len(replace))+".go")
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, list, 0o600)
}

// BuildUnchanged makes the test binary of the mutant's package as it is.
func (m *Mutant) BuildUnchanged(ctx context.Context, dir string) (*Binary, error) {
	return build(ctx, m.root, m.Package, dir)
}

func build(ctx context.Context, root, pkg, dir string, flags ...string) (*Binary, error) {
	b := &Binary{path: filepath.Join(dir, "mutant.test"), dir: filepath.Join(root, filepath.FromSlash(pkg))}
	args := append([]string{"test", "-c", "-vet=off", "-ldflags=-s -w", "-o", b.path}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./"+pkg)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return b, nil
}

// Run runs tests where go test would, with the arguments of a test binary, and
// gives what they printed. The limit is for one that goes round for ever.
func (b *Binary) Run(ctx context.Context, limit time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, b.path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = b.dir, &out, &out, waitAfter
	if b.overlay != "" {
		cmd.Env = append(os.Environ(), "GOFLAGS=-overlay="+b.overlay)
	}
	err := cmd.Run()
	return out.String(), err
}

// Caught is nil when the mutant's test fails on the mistake.
func (m *Mutant) Caught(ctx context.Context, b *Binary, limit time.Duration) error {
	out, err := b.Run(ctx, limit, "-test.run", "^"+m.Test+"$", "-test.v")
	if err == nil || !says(out, "FAIL", m.Test) {
		return fmt.Errorf("%s: %s does not notice (%v):\n%s", m.Why, m.Test, err, tail(out))
	}
	return nil
}

// Passes is nil when all the tests pass: without the mistake they do, or their
// failure would say nothing about it.
func (b *Binary) Passes(ctx context.Context, limit time.Duration, tests []string) error {
	out, err := b.Run(ctx, limit, "-test.run", "^("+strings.Join(tests, "|")+")$", "-test.v")
	for _, test := range tests {
		if !says(out, "PASS", test) {
			err = errors.Join(err, fmt.Errorf("%s does not pass", test))
		}
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, tail(out))
	}
	return nil
}

// says reports whether a verdict about just this test is in the output.
func says(out, verdict, test string) bool {
	return regexp.MustCompile(`(?m)^--- ` + verdict + `: ` + regexp.QuoteMeta(test) + ` \(`).MatchString(out)
}

// tail is the end of an output, where the reason is.
func tail(out string) string { return out[max(0, len(out)-8000):] }
