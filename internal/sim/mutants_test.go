package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// mutant is a deliberate mistake, as a patch of the source: a mitigation is
// switched off in no other way. The file is made of lines:
//
//	# what it does
//	test: the directed test that fails on it
//	--- file
//	-old text, which is in the file exactly once
//	+new text
type mutant struct {
	name, why, test string
	hunks           []hunk
}

type hunk struct {
	file     string
	old, new []string
}

func readMutant(t *testing.T, path string) mutant {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := mutant{name: strings.TrimSuffix(filepath.Base(path), ".patch")}
	for _, line := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "# "):
			m.why = line[2:]
		case strings.HasPrefix(line, "test: "):
			m.test = line[6:]
		case strings.HasPrefix(line, "--- "):
			m.hunks = append(m.hunks, hunk{file: line[4:]})
		case strings.HasPrefix(line, "-") && len(m.hunks) > 0:
			h := &m.hunks[len(m.hunks)-1]
			h.old = append(h.old, line[1:])
		case strings.HasPrefix(line, "+") && len(m.hunks) > 0:
			h := &m.hunks[len(m.hunks)-1]
			h.new = append(h.new, line[1:])
		default:
			t.Fatalf("%s: %q is no line of a mutant", path, line)
		}
	}
	if m.why == "" || m.test == "" || len(m.hunks) == 0 {
		t.Fatalf("%s: no reason, no test or no change", path)
	}
	return m
}

func mutants(t *testing.T) (ms []mutant) {
	t.Helper()
	paths, err := filepath.Glob("mutants/*.patch")
	if err != nil || len(paths) < 21 {
		t.Fatalf("%d mutants, %v", len(paths), err)
	}
	for _, p := range paths {
		ms = append(ms, readMutant(t, p))
	}
	return ms
}

// build makes a test binary of this package with the patch applied, through an
// overlay: the tree itself is not touched. A patch that does not apply, or does
// not compile, is a failure.
func (m *mutant) build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	replace, texts := map[string]string{}, map[string]string{}
	for _, h := range m.hunks {
		path := filepath.Join(root, filepath.FromSlash(h.file))
		if _, patched := texts[path]; !patched {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			texts[path] = string(b)
			replace[path] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		}
		old := strings.Join(h.old, "\n")
		if n := strings.Count(texts[path], old); n != 1 {
			t.Fatalf("mutant %s does not apply: its text is %d times in %s:\n%s", m.name, n, h.file, old)
		}
		texts[path] = strings.Replace(texts[path], old, strings.Join(h.new, "\n"), 1)
	}
	for path, text := range texts {
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "mutant.test")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", file, "-o", binary, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("mutant %s does not compile: %v\n%s", m.name, err, out)
	}
	return binary
}

// run runs tests of a mutant. The limit is for one that goes round for ever.
func run(t *testing.T, binary string, limit time.Duration, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// Each mistake is caught by the test that was written for it. A short run
// builds only the eleven errors of the protocol's first draft.
func TestMutantsFailTheirTests(t *testing.T) {
	ms := mutants(t)
	if testing.Short() {
		ms = ms[:11]
	}
	for _, m := range ms {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			out, err := run(t, m.build(t), time.Minute, "-test.run", "^"+m.test+"$", "-test.v")
			if err == nil || !strings.Contains(out, "--- FAIL: "+m.test) {
				t.Errorf("%s: %s does not notice (%v):\n%s", m.why, m.test, err, out)
			}
		})
	}
}

var failedSeed = regexp.MustCompile(`(?m)^.*seed (\d+): (.*)$`)

// The judges of a random run are not blind: a few of the mistakes that chance
// finds most often are found in a handful of seeds.
func TestChanceFindsWhatItShould(t *testing.T) {
	often := regexp.MustCompile(`^(21|28|22)-`)
	for _, m := range mutants(t) {
		if !often.MatchString(m.name) {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			out, _ := run(t, m.build(t), 5*time.Minute, "-test.run", "^TestSeeds$", "-test.v", "-n", "40")
			if found := failedSeed.FindAllString(out, -1); len(found) == 0 {
				t.Errorf("%s: none of 40 seeds notices:\n%s", m.why, out)
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
		if !wanted.MatchString(m.name) {
			continue
		}
		out, err := run(t, m.build(t), 20*time.Minute, "-test.run", "^TestSeeds$", "-test.v", "-test.timeout", "20m", "-n", fmt.Sprint(*mutantN))
		found := failedSeed.FindAllStringSubmatch(out, -1)
		switch {
		case len(found) > 0:
			caught++
			t.Logf("%-28s %4d of %d seeds, first %s: %s", m.name, len(found), *mutantN, found[0][1], found[0][2])
		case err != nil:
			t.Errorf("%s: %v\n%.2000s", m.name, err, out)
		default:
			t.Logf("%-28s none of %d seeds", m.name, *mutantN)
		}
	}
	if caught < 12 && *only == "" {
		t.Errorf("%d mutants were caught by seeds, want at least 12", caught)
	}
}
