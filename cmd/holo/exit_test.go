package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// TestErrorsReachTheTerminalAsPlainText: whoever chose a name in an error, it
// cannot write over the line that says what went wrong.
func TestErrorsReachTheTerminalAsPlainText(t *testing.T) {
	path := filepath.Join(t.TempDir(), "err")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	a := &app{begun: true, err: f}
	joined := errors.Join(holo.Errorf(holo.NotFound, "open array \x1b[2Jx: not there"), errors.New("and\ttwo\u202e"))
	if code := a.finish(joined); code != exitNotFound {
		t.Errorf("exit code %d", code)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if want := `holo: open array \x1b[2Jx: not there; and\ttwo\u202e` + "\n"; err != nil || string(got) != want {
		t.Errorf("%q, want %q: %v", got, want, err)
	}
}
