//go:build unix

package identity

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

const passphrase = "several unlike machines"

func knowing(p string) Keys {
	return Keys{Ask: func(string) ([]byte, error) { return []byte(p), nil }}
}

// TestMain is also the process that is killed while it changes a key file:
// program, change, path, and whether before or after the new file has its name.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && slices.Contains([]string{"protect", "unprotect", "prepare", "promote"}, os.Args[1]) {
		k := knowing(passphrase)
		k.rename = func(from, to string) error {
			if os.Args[3] == "after" {
				if err := os.Rename(from, to); err != nil {
					return err
				}
			}
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		change := map[string]func(Keys, string) error{
			"protect": Keys.Protect, "unprotect": Keys.Unprotect,
			"prepare": func(k Keys, path string) error { _, err := k.NextSigner(path, nextTo(path)); return err },
			"promote": func(k Keys, path string) error { return k.Promote(path, nextTo(path)) },
		}[os.Args[1]]
		println("not killed:", change(k, os.Args[2]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestProtectedKeyNeedsItsPassphrase(t *testing.T) {
	path, signer := keyFile(t)
	plain, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	made := time.Now().Add(-100 * 24 * time.Hour).Truncate(time.Second)
	if err := os.Chtimes(path, made, made); err != nil {
		t.Fatal(err)
	}
	wantReason(t, "no passphrase to protect with", Keys{}.Protect(path), holo.Denied, ReasonProtected)
	wantReason(t, "a short one", knowing("1234567").Protect(path), holo.Invalid, "")
	if err := knowing(passphrase).Protect(path); err != nil {
		t.Fatal(err)
	}
	sealed, err := os.ReadFile(path)
	digits := strings.Fields(string(plain))[1]
	if err != nil || bytes.Contains(sealed, []byte(digits[:8])) || bytes.Contains(sealed, signer.Seed().Bytes()) || !bytes.HasPrefix(sealed, []byte(ageHeader)) {
		t.Errorf("the key is still in the file: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 || !info.ModTime().Equal(made) {
		t.Errorf("mode %s, made %s, %v", info.Mode(), info.ModTime(), err)
	}
	_, err = ReadSigner(path)
	wantReason(t, "no passphrase", err, holo.Denied, ReasonProtected)
	_, err = knowing("several other machines").ReadSigner(path)
	wantReason(t, "another passphrase", err, holo.Denied, ReasonWrongPassphrase)
	wantReason(t, "twice", knowing(passphrase).Protect(path), holo.Conflict, "")
	if again, err := knowing(passphrase).ReadSigner(path); err != nil || again.Public() != signer.Public() {
		t.Errorf("the right passphrase: %v", err)
	}
	wantReason(t, "unprotect with another", knowing("several other machines").Unprotect(path), holo.Denied, ReasonWrongPassphrase)
	if err := knowing(passphrase).Unprotect(path); err != nil {
		t.Fatal(err)
	}
	if back, err := os.ReadFile(path); err != nil || !bytes.Equal(back, plain) {
		t.Errorf("it is not as it was: %v", err)
	}
	wantReason(t, "unprotect a plain one", knowing(passphrase).Unprotect(path), holo.Conflict, "")
}

// TestNewSecretIsProtectedAsTheOldWas: a cluster's key is replaced by a running
// node, which must not put it down in the plain.
func TestNewSecretIsProtectedAsTheOldWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), ClusterKeyFile)
	if err := WriteSecret(path, key.Random()); err != nil {
		t.Fatal(err)
	}
	if err := knowing(passphrase).Protect(path); err != nil {
		t.Fatal(err)
	}
	second := key.Random()
	wantReason(t, "without the passphrase", WriteSecret(path, second), holo.Denied, ReasonProtected)
	if err := knowing(passphrase).WriteSecret(path, second); err != nil {
		t.Fatal(err)
	}
	if protected, err := Protected(path); err != nil || !protected {
		t.Errorf("the new secret is in the plain: %v", err)
	}
	if got, err := knowing(passphrase).ReadSecret(path); err != nil || !got.Equal(second) {
		t.Errorf("another secret: %v", err)
	}
}

// A secret that gives way to a newer one stays as well protected as it was.
func TestReplacedSecretIsKeptAndStaysProtected(t *testing.T) {
	path, first, second := filepath.Join(t.TempDir(), ClusterKeyFile), key.Random(), key.Random()
	former := filepath.Join(filepath.Dir(path), FormerKeyFile)
	if err := WriteSecret(path, first); err != nil {
		t.Fatal(err)
	}
	for _, k := range []Keys{{}, knowing(passphrase)} {
		if k.Ask != nil {
			if err := k.Protect(path); err != nil {
				t.Fatal(err)
			}
		}
		if err := k.ReplaceSecret(path, former, second); err != nil {
			t.Fatal(err)
		}
		newest, errNewest := k.ReadSecret(path)
		before, errBefore := k.ReadSecret(former)
		if err := errors.Join(errNewest, errBefore); err != nil || !newest.Equal(second) || !before.Equal(first) {
			t.Fatalf("newest equal %v, former equal %v: %v", newest.Equal(second), before.Equal(first), err)
		}
		for _, file := range []string{path, former} {
			if is, err := Protected(file); err != nil || is != (k.Ask != nil) {
				t.Errorf("%s: protected %v, want %v: %v", file, is, k.Ask != nil, err)
			}
		}
		first, second = second, key.Random()
	}
}

func TestDamagedProtectedKeyIsNoKey(t *testing.T) {
	path, _ := keyFile(t)
	if err := knowing(passphrase).Protect(path); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string][]byte{
		"a flipped bit":   append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1),
		"cut off":         good[:len(good)-20],
		"no recipient":    []byte(ageHeader + "--- aaaa\n"),
		"a costly scrypt": bytes.Replace(good, []byte(" 18\n"), []byte(" 30\n"), 1),
	} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := knowing(passphrase).ReadSigner(path); holo.KindOf(err) != holo.Corrupt {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestKilledChangeLeavesAWorkingKey: a process that changes the file is killed
// just before and just after the new file gets its name.
func TestKilledChangeLeavesAWorkingKey(t *testing.T) {
	for _, change := range []string{"protect", "unprotect"} {
		for _, when := range []string{"before", "after"} {
			path, signer := keyFile(t)
			if change == "unprotect" {
				if err := knowing(passphrase).Protect(path); err != nil {
					t.Fatal(err)
				}
			}
			out, err := exec.Command(os.Args[0], change, path, when).CombinedOutput()
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("%s: it was not killed: %v: %s", change, err, out)
			}
			protected, err := Protected(path)
			if want := (change == "protect") == (when == "after"); err != nil || protected != want {
				t.Errorf("killed %s %s: protected %v, %v", when, change, protected, err)
			}
			if again, err := knowing(passphrase).ReadSigner(path); err != nil || again.Public() != signer.Public() {
				t.Errorf("killed %s %s: the key is gone: %v", when, change, err)
			}
			if !protected && when == "before" {
				if err := knowing(passphrase).Protect(path); err != nil {
					t.Fatal(err)
				}
				if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
					t.Errorf("killed %s %s: protecting leaves %d files, one of them perhaps plain", when, change, len(entries))
				}
			}
		}
	}
}

func TestCredentialsAreForOneUser(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credential")
	for text, want := range map[string]string{"secret\n": "secret", "secret\r\n": "secret", "secret": "secret", " two words \n\n": " two words \n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadCredential(path); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, mode := range []fs.FileMode{0o604, 0o602, 0o620, 0o640, 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := ReadCredential(path)
		wantReason(t, mode.String(), err, holo.Denied, ReasonWrongMode)
	}
	if err := os.Symlink(path, path+".link"); err != nil {
		t.Fatal(err)
	}
	_, err := ReadCredential(path + ".link")
	wantReason(t, "a link", err, holo.Denied, ReasonNotPlain)
}

func TestInventoryListsTheKeysThatAreThere(t *testing.T) {
	node, user := t.TempDir(), t.TempDir()
	if err := WriteSigner(filepath.Join(node, NodeKeyFile), key.GenerateSigner()); err != nil {
		t.Fatal(err)
	}
	if err := WriteSigner(filepath.Join(user, OwnerKeyFile), key.GenerateSigner()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(user, OwnerKeyFile), []byte(ageHeader+"-> scrypt"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := Inventory(node, user)
	if err != nil || len(keys) != 2 || keys[0].Protected || !keys[1].Protected || keys[1].File != filepath.Join(user, OwnerKeyFile) {
		t.Errorf("%+v, %v", keys, err)
	}
	for _, k := range keys {
		if k.Purpose == "" || k.Algorithm == "" || !k.RotateBy.After(k.Created) {
			t.Errorf("%+v", k)
		}
	}
	if err := os.Chmod(filepath.Join(node, NodeKeyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Inventory(node, user)
	wantReason(t, "a key that others can read", err, holo.Denied, ReasonWrongMode)
}
