//go:build unix

package identity

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// keyFile makes a node.key in a folder of its own.
func keyFile(t *testing.T) (path string, signer key.Signer) {
	t.Helper()
	path, signer = filepath.Join(t.TempDir(), NodeKeyFile), key.GenerateSigner()
	if err := WriteSigner(path, signer); err != nil {
		t.Fatal(err)
	}
	return path, signer
}

func TestKeysComeBackFromDisk(t *testing.T) {
	path, signer := keyFile(t)
	again, err := ReadSigner(path)
	if err != nil || again.Public() != signer.Public() {
		t.Errorf("another identity: %v", err)
	}
	secretPath := filepath.Join(t.TempDir(), ClusterKeyFile)
	for range 2 { // the second replaces the first
		secret := key.Random()
		if err := WriteSecret(secretPath, secret); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadSecret(secretPath); err != nil || !got.Equal(secret) {
			t.Errorf("another secret: %v", err)
		}
	}
}

func TestKeyFilesArePrivateAndAlone(t *testing.T) {
	path, _ := keyFile(t)
	if err := WriteSecret(filepath.Join(filepath.Dir(path), ClusterKeyFile), key.Random()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 2 {
		t.Fatalf("%d files are left in the folder: %v", len(entries), err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has mode %s, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestKeyThatOthersCanReachIsRefused(t *testing.T) {
	path, _ := keyFile(t)
	for mode := range fs.FileMode(0o1000) {
		if mode&0o400 == 0 {
			continue // nobody can read that, the owner included
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := ReadSigner(path)
		if mode&0o077 == 0 {
			if err != nil {
				t.Errorf("mode %04o: %v", mode, err)
			}
			continue
		}
		wantReason(t, mode.String(), err, holo.Denied, ReasonWrongMode)
		if !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %04o: the error does not say what to do: %v", mode, err)
		}
	}
}

func TestLinksPipesAndFoldersAreNoKeys(t *testing.T) {
	path, _ := keyFile(t)
	beside := func(name string) string { return filepath.Join(filepath.Dir(path), name) }
	for what, make := range map[string]func(name string) error{
		"symlink": func(name string) error { return os.Symlink(path, name) },
		"pipe":    func(name string) error { return syscall.Mkfifo(name, 0o600) },
		"folder":  func(name string) error { return os.Mkdir(name, 0o700) },
	} {
		if err := make(beside(what)); err != nil {
			t.Fatal(err)
		}
		_, err := ReadSigner(beside(what))
		wantReason(t, what, err, holo.Denied, ReasonNotPlain)
	}
	if err := os.Link(path, beside("second name")); err != nil {
		t.Fatal(err)
	}
	_, err := ReadSigner(path)
	wantReason(t, "hard link", err, holo.Denied, ReasonNotPlain)
	_, err = ReadSigner(beside("nothing"))
	wantReason(t, "no file", err, holo.NotFound, "")
}

func TestAnothersFileIsRefused(t *testing.T) {
	path, _ := keyFile(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	theirs := *info.Sys().(*syscall.Stat_t)
	theirs.Uid++
	wantReason(t, "owner", checkOwner(path, withStat{info, &theirs}), holo.Denied, ReasonWrongOwner)
	if err := checkOwner(path, info); err != nil {
		t.Errorf("control: %v", err)
	}
}

// withStat is a file's information with another owner.
type withStat struct {
	fs.FileInfo
	stat *syscall.Stat_t
}

func (w withStat) Sys() any { return w.stat }

func TestIdentityIsNeverOverwritten(t *testing.T) {
	path, signer := keyFile(t)
	wantReason(t, "second key", WriteSigner(path, key.GenerateSigner()), holo.Exists, "")
	if again, err := ReadSigner(path); err != nil || again.Public() != signer.Public() {
		t.Errorf("the first key is gone: %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("%d files are left", len(entries))
	}
}

func TestFailedWriteLeavesTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), ClusterKeyFile)
	secret := key.Random()
	if err := WriteSecret(path, secret); err != nil {
		t.Fatal(err)
	}
	crash := errors.New("crash")
	err := writeFile(path, []byte("half of a n"), func(string, string) error { return crash })
	if !errors.Is(err, crash) {
		t.Error(err)
	}
	if got, err := ReadSecret(path); err != nil || !got.Equal(secret) {
		t.Errorf("the old secret is gone: %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("%d files are left", len(entries))
	}
	wantReason(t, "no folder", WriteSecret(filepath.Join(t.TempDir(), "no", "such"), secret), holo.Unavailable, "")
}

// TestEveryDamageToAKeyFileIsNoticed: a flipped bit in a seed would silently be
// another identity.
func TestEveryDamageToAKeyFileIsNoticed(t *testing.T) {
	path, _ := keyFile(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadSigner(path)
		wantReason(t, what, err, holo.Corrupt, ReasonDamaged)
	}
	for n := range good {
		for _, bit := range []byte{1, 0x20} { // 0x20 is the case of a letter
			bad := bytes.Clone(good)
			bad[n] ^= bit
			try("changed", bad)
		}
		try("truncated", good[:n])
	}
	try("longer", append(bytes.Clone(good), '\n'))
	try("much longer", bytes.Repeat(good, 10))
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSigner(path); err != nil {
		t.Errorf("control: %v", err)
	}
	_, err = ReadSecret(path)
	wantReason(t, "a signer is no secret", err, holo.Corrupt, ReasonDamaged)
}

func TestNoKeyIsNotWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	for what, err := range map[string]error{
		"no signer": WriteSigner(path, key.Signer{}), "no secret": WriteSecret(path, key.Secret{}), "a seed": WriteSecret(path, key.RandomOf(20)),
	} {
		wantReason(t, what, err, holo.Invalid, "")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("there is a file")
	}
}

func TestErrorsDoNotTellTheKey(t *testing.T) {
	path, signer := keyFile(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	digits := strings.Fields(string(good))[1]
	bad := strings.Replace(string(good), digits[:2], "zz", 1)
	if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = ReadSigner(path)
	if err == nil || strings.Contains(err.Error(), digits[2:10]) || strings.Contains(err.Error(), string(signer.Seed().Bytes())) {
		t.Errorf("%v", err)
	}
}

func TestFoldersAreForOneUser(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := PrepareDir(dir); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := PrepareDir(dir); err != nil {
		t.Errorf("the second time: %v", err)
	}
	for _, mode := range []fs.FileMode{0o750, 0o701, 0o777, 0o710} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		wantReason(t, mode.String(), PrepareDir(dir), holo.Denied, ReasonWrongMode)
	}
	path, _ := keyFile(t)
	if PrepareDir(path) == nil || PrepareDir(filepath.Join(path, "x")) == nil {
		t.Error("a file is a folder")
	}
}

func TestDefaultFolders(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", "/x/data")
	t.Setenv("XDG_CONFIG_HOME", "/x/config")
	t.Setenv("HOME", "/x/home")
	data, err := DefaultDataDir()
	if err != nil || !strings.HasSuffix(data, "holo") && !strings.HasSuffix(data, "node") || !filepath.IsAbs(data) {
		t.Errorf("%q, %v", data, err)
	}
	config, err := DefaultConfigDir()
	if err != nil || !strings.HasSuffix(config, "holo") || config == data {
		t.Errorf("%q, %v", config, err)
	}
	t.Setenv("XDG_DATA_HOME", "relative")
	if data, err := DefaultDataDir(); err != nil || !strings.HasPrefix(data, "/x/") {
		t.Errorf("%q, %v", data, err)
	}
	t.Setenv("XDG_DATA_HOME", "")
	t.Setenv("HOME", "")
	if data, err := DefaultDataDir(); err == nil {
		t.Errorf("%q without a home", data)
	}
}
