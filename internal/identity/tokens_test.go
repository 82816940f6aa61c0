package identity

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

func TestTokenKeysAreFoundAndAreWhatTheyAreCalled(t *testing.T) {
	config := t.TempDir()
	if files, err := TokenKeyFiles(config); err != nil || len(files) != 0 {
		t.Fatalf("before there are any: %v, %v", files, err)
	}
	k, other := key.GenerateSigner(), key.GenerateSigner()
	for _, s := range []key.Signer{k, other} {
		if err := AddTokenKey(config, s); err != nil {
			t.Fatal(err)
		}
	}
	id, otherID := key.Thumbprint(k.Public()), key.Thumbprint(other.Public())
	files, err := TokenKeyFiles(config)
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	if got, err := (Keys{}).ReadTokenKey(files[id], id); err != nil || got.Public() != k.Public() {
		t.Errorf("it reads as another: %v", err)
	}
	if err := os.Rename(files[otherID], files[id]); err != nil {
		t.Fatal(err)
	}
	if _, err := (Keys{}).ReadTokenKey(files[id], id); holo.ReasonOf(err) != ReasonDamaged {
		t.Errorf("another key under its name: %v", err)
	}
	if err := os.Chmod(files[id], 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := (Keys{}).ReadTokenKey(files[id], otherID); holo.ReasonOf(err) != ReasonWrongMode {
		t.Errorf("a key that others can read: %v", err)
	}
	if err := DropTokenKey(config, id); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(config, TokenKeyDir, "notes.key"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if files, err := TokenKeyFiles(config); err != nil || len(files) != 0 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestTokenFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := WriteToken(path, "a.b.c"); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadToken(path); err != nil || got != "a.b.c" {
		t.Fatalf("%q, %v", got, err)
	}
	for _, mode := range []os.FileMode{0o644, 0o640, 0o604} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadToken(path); holo.ReasonOf(err) != ReasonWrongMode {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
}
