package mutant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Scripted is a program of scripts/, and the product with a mistake in it or
// without, at which it looks from outside. It is run by scripts/alone.sh, with a
// network of its own.
type Scripted struct{ root, name, script, product string }

// BuildScript makes the mutant's script, and the product with the patch applied,
// in dir, which the caller removes.
func (m *Mutant) BuildScript(ctx context.Context, dir string) (*Scripted, error) {
	file, err := m.overlay(dir)
	if err != nil {
		return nil, err
	}
	return m.buildScript(ctx, dir, "-overlay", file)
}

// BuildScriptUnchanged makes the mutant's script and the product as it is.
func (m *Mutant) BuildScriptUnchanged(ctx context.Context, dir string) (*Scripted, error) {
	return m.buildScript(ctx, dir)
}

func (m *Mutant) buildScript(ctx context.Context, dir string, flags ...string) (*Scripted, error) {
	s := &Scripted{root: m.root, name: path.Base(m.Script), script: filepath.Join(dir, "script"), product: filepath.Join(dir, "holo")}
	for _, args := range [][]string{{"-o", s.script, "./" + m.Script}, append([]string{"-o", s.product, "-ldflags=-s -w"}, append(flags, "./cmd/holo")...)} {
		cmd := exec.CommandContext(ctx, "go", append([]string{"build"}, args...)...)
		cmd.Dir = m.root
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("mutant %s does not compile: %w\n%s", m.Name, err, out)
		}
	}
	return s, nil
}

// run runs the script, and gives what it printed.
func (s *Scripted) run(ctx context.Context, limit time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "bash", "scripts/alone.sh", s.script, s.product)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = s.root, &out, &out, waitAfter
	err := cmd.Run()
	return out.String(), err
}

// Passes is nil when the script finds nothing wrong.
func (s *Scripted) Passes(ctx context.Context, limit time.Duration) error {
	if out, err := s.run(ctx, limit); err != nil {
		return fmt.Errorf("%w\n%s", err, tail(out))
	}
	return nil
}

// CaughtAtStep is nil when the mutant's step fails, and none before it.
func (m *Mutant) CaughtAtStep(ctx context.Context, s *Scripted, limit time.Duration) error {
	out, err := s.run(ctx, limit)
	if _, ended := errors.AsType[*exec.ExitError](err); !ended || s.failed(out) != m.Step {
		return fmt.Errorf("%s: the step %q does not notice (%v):\n%s", m.Why, m.Step, err, tail(out))
	}
	return nil
}

// failed is the step that a script says has failed: its line is the one that
// names a step and not that it is well.
func (s *Scripted) failed(out string) string {
	line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(s.name) + `: ([^:\n]+): (.*)$`)
	for _, found := range line.FindAllStringSubmatch(out, -1) {
		if !strings.HasPrefix(found[2], "ok (") && !measured.MatchString(found[2]) {
			return found[1]
		}
	}
	return ""
}

// measured is what a script prints between its steps: seconds.
var measured = regexp.MustCompile(`^[0-9.]+ s$`)
