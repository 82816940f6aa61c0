package threat

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/mutant"
)

var exposed = flag.Bool("exposed", false, "run scripts/exposure on the product without each protection: make exposed; Linux, root")

// scriptLimit is several times what a whole run of the script takes.
const scriptLimit = 5 * time.Minute

// TestExposureFailsWithoutTheProtection is make exposed: the script that looks at a
// cluster from outside finds nothing wrong with the product as it is, and fails at
// its step on each that lacks a protection. Without the flag it looks that each
// patch applies and names a step of the script.
func TestExposureFailsWithoutTheProtection(t *testing.T) {
	all, err := mutant.ReadAll("exposed")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if len(m.Rows) == 0 || !hasStep(t, m) {
			t.Errorf("%s: rows %q, and %s has no step %q", m.Name, m.Rows, m.Script, m.Step)
		}
	}
	if !*exposed || t.Failed() {
		return // it makes network namespaces; go test ./... must not
	}
	if err := canIsolate(); err != nil {
		t.Fatal(err)
	}
	t.Run("unchanged", func(t *testing.T) {
		t.Parallel()
		s, err := all[0].BuildScriptUnchanged(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Passes(t.Context(), scriptLimit); err != nil {
			t.Error(err)
		}
	})
	for _, m := range all {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			s, err := m.BuildScript(t.Context(), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if err := m.CaughtAtStep(t.Context(), s, scriptLimit); err != nil {
				t.Error(err)
			}
		})
	}
}

// hasStep reports whether a program of scripts/ has the step that a mutant names.
func hasStep(t *testing.T, m *mutant.Mutant) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(m.Script), "*.go"))
	if err != nil || !strings.HasPrefix(m.Script, "scripts/") {
		return false
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "{"+fmt.Sprintf("%q", m.Step)+", ") {
			return true
		}
	}
	return false
}

// canIsolate says what is missing here to make network namespaces.
func canIsolate() error {
	if os.Getuid() != 0 {
		return fmt.Errorf("scripts/exposure makes network namespaces: run this as root, on Linux")
	}
	for _, name := range []string{"unshare", "ip", "nft", "iptables"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("scripts/exposure needs %s: install util-linux, iproute2, nftables and iptables", name)
		}
	}
	if out, err := exec.Command("unshare", "-n", "-m", "true").CombinedOutput(); err != nil {
		return fmt.Errorf("scripts/exposure makes network namespaces, which this machine does not let it: %w: %s", err, out)
	}
	return nil
}
