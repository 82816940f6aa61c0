//go:build unix

package storage

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// TestFolderOfAnotherLifeIsWiped: what a process that died left behind is
// removed, and a folder that is somebody's or in use is left alone.
func TestFolderOfAnotherLifeIsWiped(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spill")
	s := openAt(t, dir)
	write(t, s, pageOf(1))
	if _, err := Open(Config{Dir: dir, Limit: MinLimit}); holo.ReasonOf(err) != ReasonInUse {
		t.Errorf("a folder in use: %v", err)
	}
	if err := s.folder.(*directory).lock.Close(); err != nil { // as the end of the process does
		t.Fatal(err)
	}
	openAt(t, dir)
	if _, err := os.Lstat(filepath.Join(dir, segmentName(1))); !os.IsNotExist(err) {
		t.Errorf("the old file: %v", err)
	}
}

func TestCloseRemovesTheFilesAndWipesTheKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spill")
	s := openAt(t, dir)
	write(t, s, pageOf(1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 || entries[0].Name() != lockName {
		t.Errorf("left behind: %v (%v)", entries, err)
	}
	if !s.mu.key.secret.IsZero() {
		t.Error("the secret is not wiped")
	}
	if err := s.Write(pageOf(2), content(pageOf(2))); holo.ReasonOf(err) != ReasonClosed {
		t.Errorf("a write after the end: %v", err)
	}
	if err := s.Read(pageOf(1), make([]byte, holo.PageSize)); holo.ReasonOf(err) != ReasonClosed {
		t.Errorf("a read after the end: %v", err)
	}
}

func TestFolderMustBeThisUsersAlone(t *testing.T) {
	at := func(name string) string { return filepath.Join(t.TempDir(), name) }
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	cases := map[string]struct {
		make func(path string)
		want string
	}{
		"open to the group":  {func(p string) { must(os.Mkdir(p, 0o700)); must(os.Chmod(p, 0o750)) }, ReasonMode},
		"open to all":        {func(p string) { must(os.Mkdir(p, 0o700)); must(os.Chmod(p, 0o777)) }, ReasonMode},
		"a file":             {func(p string) { must(os.WriteFile(p, nil, 0o600)) }, ReasonPlain},
		"a link to a folder": {func(p string) { must(os.Mkdir(p+"x", 0o700)); must(os.Symlink(p+"x", p)) }, ReasonPlain},
		"somebody's folder": {func(p string) {
			must(os.Mkdir(p, 0o700))
			must(os.WriteFile(filepath.Join(p, "thesis.tex"), []byte("mine"), 0o600))
		}, ReasonForeign},
		"a link in it": {func(p string) {
			must(os.Mkdir(p, 0o700))
			must(os.Symlink("/etc/passwd", filepath.Join(p, segmentName(1))))
		}, ReasonPlain},
		"no parent": {func(string) {}, ReasonDisk},
	}
	for name, c := range cases {
		path := at("spill")
		if name == "no parent" {
			path = filepath.Join(path, "deeper")
		}
		c.make(path)
		if _, err := Open(Config{Dir: path, Limit: MinLimit}); holo.ReasonOf(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if name == "somebody's folder" {
			if got, err := os.ReadFile(filepath.Join(path, "thesis.tex")); err != nil || string(got) != "mine" {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	}
	if err := private("x", foreign{}); holo.ReasonOf(err) != ReasonOwner {
		t.Errorf("another user's folder: %v", err)
	}
	if _, err := Open(Config{Dir: at("spill"), Limit: MinLimit - 1}); holo.KindOf(err) != holo.Invalid {
		t.Errorf("a limit that is too small: %v", err)
	}
}

// foreign is a folder of another user.
type foreign struct{ fs.FileInfo }

func (foreign) IsDir() bool       { return true }
func (foreign) Mode() fs.FileMode { return fs.ModeDir | 0o700 }
func (foreign) Sys() any          { return &syscall.Stat_t{Uid: uint32(os.Geteuid()) + 1} }
