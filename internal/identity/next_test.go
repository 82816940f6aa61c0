//go:build unix

package identity

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func nextTo(path string) string { return filepath.Join(filepath.Dir(path), NextKeyFile) }

func TestNextKeyTakesThePlaceOfTheKey(t *testing.T) {
	path, old := keyFile(t)
	k := Keys{}
	if err := k.Promote(path, nextTo(path)); holo.KindOf(err) != holo.NotFound {
		t.Errorf("without a next key: %v", err)
	}
	next, err := k.NextSigner(path, nextTo(path))
	if err != nil || next.Public() == old.Public() {
		t.Fatal(err)
	}
	if again, err := k.NextSigner(path, nextTo(path)); err != nil || again.Public() != next.Public() {
		t.Errorf("another next key: %v", err)
	}
	if now, err := k.ReadSigner(path); err != nil || now.Public() != old.Public() {
		t.Errorf("the key changed before it was to: %v", err)
	}
	if err := k.Promote(path, nextTo(path)); err != nil {
		t.Fatal(err)
	}
	if now, err := k.ReadSigner(path); err != nil || now.Public() != next.Public() {
		t.Errorf("it did not change: %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("%d files are left", len(entries))
	}
}

// A next key never lies in the plain where the key that it follows does not.
func TestNextKeyIsProtectedAsTheKeyIs(t *testing.T) {
	path, _ := keyFile(t)
	k := knowing(passphrase)
	if err := k.Protect(path); err != nil {
		t.Fatal(err)
	}
	_, err := Keys{}.NextSigner(path, nextTo(path))
	wantReason(t, "without the passphrase", err, holo.Denied, ReasonProtected)
	next, err := k.NextSigner(path, nextTo(path))
	if err != nil {
		t.Fatal(err)
	}
	if protected, err := Protected(nextTo(path)); err != nil || !protected {
		t.Errorf("the next key is protected: %t, %v", protected, err)
	}
	if err := k.Promote(path, nextTo(path)); err != nil {
		t.Fatal(err)
	}
	if now, err := k.ReadSigner(path); err != nil || now.Public() != next.Public() {
		t.Error(err)
	}
}

// A process that replaces a key is killed just before and just after each of its
// two files gets its name: there is a working key always, and the next attempt
// ends as the first would have.
func TestKilledRotationLeavesAWorkingKey(t *testing.T) {
	for _, step := range []string{"prepare", "promote"} {
		for _, when := range []string{"before", "after"} {
			path, old := keyFile(t)
			k := knowing(passphrase)
			prepared := old
			if step == "promote" {
				var err error
				if prepared, err = k.NextSigner(path, nextTo(path)); err != nil {
					t.Fatal(err)
				}
			}
			out, err := exec.Command(os.Args[0], step, path, when).CombinedOutput()
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("%s: it was not killed: %v: %s", step, err, out)
			}
			now, err := k.ReadSigner(path)
			if want := step == "promote" && when == "after"; err != nil || (now.Public() == old.Public()) == want {
				t.Errorf("killed %s %s: %v", when, step, err)
			}
			if step == "promote" && when == "after" {
				continue
			}
			next, err := k.NextSigner(path, nextTo(path))
			if err != nil || step == "promote" && next.Public() != prepared.Public() {
				t.Errorf("killed %s %s: the next key is another: %v", when, step, err)
			}
			if err := k.Promote(path, nextTo(path)); err != nil {
				t.Fatal(err)
			}
			if now, err := k.ReadSigner(path); err != nil || now.Public() != next.Public() {
				t.Errorf("killed %s %s, and again: %v", when, step, err)
			}
			if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
				t.Errorf("killed %s %s: %d files are left, one of them perhaps a key", when, step, len(entries))
			}
		}
	}
}
