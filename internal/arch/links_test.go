package arch

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link     = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)
	named    = regexp.MustCompile("`(Test\\w+|Fuzz\\w+)`")
	anyTests = regexp.MustCompile(`(?m)^func (Test\w+|Fuzz\w+)\(`)
)

// Documents say what is: what they link to exists, and so does each test that
// they name.
func TestDocumentsNameWhatExists(t *testing.T) {
	root := filepath.Join("..", "..")
	tests, links := testsIn(t, root), 0
	walk(t, root, ".md", func(path string, text string) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", path, m[1])
			}
		}
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if !tests[m[1]] && !strings.HasSuffix(path, "STYLE.md") {
				t.Errorf("%s names the test %s, which does not exist", path, m[1])
			}
		}
	})
	if links < 20 {
		t.Fatalf("only %d links found: the check would pass for the wrong reason", links)
	}
}

func testsIn(t *testing.T, root string) map[string]bool {
	tests := map[string]bool{}
	walk(t, root, "_test.go", func(_, text string) {
		for _, m := range anyTests.FindAllStringSubmatch(text, -1) {
			tests[m[1]] = true
		}
	})
	return tests
}

// walk reads all files of the tree that end so, hidden folders aside.
func walk(t *testing.T, root, ending string, f func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2 {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ending) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil {
			f(path, string(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
