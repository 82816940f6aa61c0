package node

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/core/handshake"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/routes.txt anew")

var quotaNames = [quotas_]string{"protocol", "raft", "control", "data", "job", "join", "wait"}

// Which session may send which message, for people to read. What is in no line
// is open to nobody.
func TestMatrixOfSessionsAndMessages(t *testing.T) {
	kinds := []handshake.Kind{handshake.KindNode, handshake.KindJoin, handshake.KindClient}
	var b strings.Builder
	fmt.Fprintf(&b, "# Which session may send which message: its action, its quota, and the kinds of session. Written by go test -rewrite.\n\n%-18s%-20s%-12s", "message", "action", "quota")
	for _, k := range kinds {
		fmt.Fprintf(&b, "%-8s", k)
	}
	b.WriteString("\n")
	var lines []string
	for typ, rt := range routes {
		line := fmt.Sprintf("%-18s%-20s%-12s", fmt.Sprintf("%#04x", uint16(typ)), rt.action, quotaNames[rt.quota])
		for _, k := range kinds {
			cell := "."
			if slices.Contains(rt.kinds, k) {
				cell = "yes"
			}
			line += fmt.Sprintf("%-8s", cell)
		}
		lines = append(lines, strings.TrimRight(line, " "))
	}
	slices.Sort(lines)
	got := strings.ReplaceAll(b.String(), "  \n", "\n") + strings.Join(lines, "\n") + "\n"
	path := filepath.Join("testdata", "routes.txt")
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the matrix is not that of %s: look at the difference, then go test -rewrite\n%s", path, got)
	}
}
