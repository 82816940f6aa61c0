package sim

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/mutant"
)

func mutants(t *testing.T) []*mutant.Mutant {
	t.Helper()
	ms, err := mutant.ReadAll("mutants")
	if err != nil || len(ms) < 21 {
		t.Fatalf("%d mutants, %v", len(ms), err)
	}
	return ms
}

func build(t *testing.T, m *mutant.Mutant) *mutant.Binary {
	t.Helper()
	b, err := m.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Each mistake is caught by the test that was written for it. A short run
// builds only the eleven errors of the protocol's first draft.
func TestMutantsFailTheirTests(t *testing.T) {
	ms := mutants(t)
	if testing.Short() {
		ms = ms[:11]
	}
	for _, m := range ms {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			if err := m.Caught(t.Context(), build(t, m), time.Minute); err != nil {
				t.Error(err)
			}
		})
	}
}

var failedSeed = regexp.MustCompile(`(?m)^.*seed (\d+): (.*)$`)

// The judges of a random run are not blind: a few of the mistakes that chance
// finds most often are found in a handful of seeds.
func TestChanceFindsWhatItShould(t *testing.T) {
	seeds := map[string]string{"21": "40", "22": "200", "28": "40", "59": "40"}
	for _, m := range mutants(t) {
		n, often := seeds[m.Name[:2]]
		if !often {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			out, _ := build(t, m).Run(t.Context(), 5*time.Minute, "-test.run", "^TestSeeds$", "-test.v", "-n", n)
			if found := failedSeed.FindAllString(out, -1); len(found) == 0 {
				t.Errorf("%s: none of %s seeds notices:\n%s", m.Why, n, out)
			}
		})
	}
}

// At least 12 of the mistakes are caught by chance alone: the checkers see what
// nobody thought of too.
func TestMutantsBySeeds(t *testing.T) {
	if *mutantN == 0 {
		return // only `make mutants` asks for it: it takes some minutes
	}
	caught, wanted := 0, regexp.MustCompile(*only)
	for _, m := range mutants(t) {
		if !wanted.MatchString(m.Name) {
			continue
		}
		out, err := build(t, m).Run(t.Context(), 20*time.Minute, "-test.run", "^TestSeeds$", "-test.v", "-test.timeout", "20m", "-n", fmt.Sprint(*mutantN))
		found := failedSeed.FindAllStringSubmatch(out, -1)
		switch {
		case len(found) > 0:
			caught++
			t.Logf("%-28s %4d of %d seeds, first %s: %s", m.Name, len(found), *mutantN, found[0][1], found[0][2])
		case err != nil:
			t.Errorf("%s: %v\n%.2000s", m.Name, err, out)
		default:
			t.Logf("%-28s none of %d seeds", m.Name, *mutantN)
		}
	}
	if caught < 12 && *only == "" {
		t.Errorf("%d mutants were caught by seeds, want at least 12", caught)
	}
}
