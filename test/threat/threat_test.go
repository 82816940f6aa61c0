// Package threat proves that the tests of the threat model can fail: for each
// mitigation there is a patch that takes it away (mutants/*.patch, the format
// is internal/mutant's), and the test that carries out the attack must fail on
// it. It does not attack anything itself.
package threat

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/mutant"
)

var (
	carryOut = flag.Bool("threats", false, "build every mutant and run its test: make threats")
	only     = flag.String("only", "", "a pattern of the mutants' names")
	part     = flag.String("part", "0/1", "K/N: every N-th mutant from the K-th on")
)

const (
	// fewest is how many mitigations can be taken away today; it only grows.
	fewest = 631
	// limit ends a test that hangs on its mutant, which is no proof.
	limit = 2 * time.Minute
)

func mutants(t *testing.T) []*mutant.Mutant {
	t.Helper()
	all, err := mutant.ReadAll("mutants")
	if err != nil || len(all) < fewest {
		t.Fatalf("%d mutants, want at least %d: %v", len(all), fewest, err)
	}
	wanted := regexp.MustCompile(*only)
	return slices.DeleteFunc(all, func(m *mutant.Mutant) bool { return !wanted.MatchString(m.Name) })
}

// TestMutantsApplyAndNameTheirTests keeps the patches true without building
// them: each applies, has rows, and names a test of its package.
func TestMutantsApplyAndNameTheirTests(t *testing.T) {
	row := regexp.MustCompile(`^[A-Z]+\d*(-\d+)?$`)
	for _, m := range mutants(t) {
		if len(m.Rows) == 0 || slices.ContainsFunc(m.Rows, func(r string) bool { return !row.MatchString(r) }) {
			t.Errorf("%s: rows %q", m.Name, m.Rows)
		}
		if !hasTest(t, m) {
			t.Errorf("%s: there is no %s in %s", m.Name, m.Test, m.Package)
		}
	}
}

func hasTest(t *testing.T, m *mutant.Mutant) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(m.Package), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		b, err := os.ReadFile(file)
		return err == nil && regexp.MustCompile(`(?m)^func `+regexp.QuoteMeta(m.Test)+`\(t \*testing\.T\)`).Match(b)
	})
}

// TestMutantsFailTheirTests is make threats: first the tests pass on each
// package as it is, run the same way; then each fails on its mutant. Two at a
// time, as go test's -parallel says.
func TestMutantsFailTheirTests(t *testing.T) {
	if !*carryOut {
		return // minutes; go test ./... has the tests themselves
	}
	packages := map[string][]string{}
	chosen := partOf(t, mutants(t))
	for _, m := range chosen {
		if tests := packages[m.Package]; !slices.Contains(tests, m.Test) {
			packages[m.Package] = append(tests, m.Test)
		}
	}
	for _, m := range chosen {
		if tests, first := packages[m.Package]; first {
			delete(packages, m.Package)
			t.Run("unchanged/"+m.Package, func(t *testing.T) { t.Parallel(); passes(t, m, tests) })
		}
		t.Run(m.Name, func(t *testing.T) { t.Parallel(); fails(t, m) })
	}
}

// partOf chooses what the flag says.
func partOf(t *testing.T, all []*mutant.Mutant) (chosen []*mutant.Mutant) {
	var k, n int
	if _, err := fmt.Sscanf(*part, "%d/%d", &k, &n); err != nil || n < 1 || k < 0 || k >= n {
		t.Fatalf("-part %q: want K/N with 0 <= K < N", *part)
	}
	for i, m := range all {
		if i%n == k {
			chosen = append(chosen, m)
		}
	}
	t.Logf("%d of %d mutants", len(chosen), len(all))
	return chosen
}

// TestVariantsPassTheirTests runs tests on source in which a limit is so low
// that what it brings about happens all the time: nothing may be lost to it. The
// limits are constants, and no setting of the product moves them.
func TestVariantsPassTheirTests(t *testing.T) {
	all, err := mutant.ReadAll("variants")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if !hasTest(t, m) {
			t.Errorf("%s: there is no %s in %s", m.Name, m.Test, m.Package)
		}
		if !*carryOut {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			b, err := m.Build(t.Context(), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Passes(t.Context(), limit, []string{m.Test}); err != nil {
				t.Errorf("%s: %v", m.Why, err)
			}
		})
	}
}

func passes(t *testing.T, m *mutant.Mutant, tests []string) {
	b, err := m.BuildUnchanged(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Passes(t.Context(), limit, tests); err != nil {
		t.Error(err)
	}
}

func fails(t *testing.T, m *mutant.Mutant) {
	b, err := m.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Caught(t.Context(), b, limit); err != nil {
		t.Error(err)
	}
}
