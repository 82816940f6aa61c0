package identity

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

func sealed(t *testing.T, s key.Secret, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := SealBackup(&b, s)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func opened(b []byte, s key.Secret) ([]byte, error) {
	r, err := OpenBackup(bytes.NewReader(b), s)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestBackupOpensWithItsKeyAlone(t *testing.T) {
	s, plain := key.Random(), bytes.Repeat([]byte("canary of a checkpoint "), 10_000)
	b := sealed(t, s, plain)
	if bytes.Contains(b, []byte("canary")) {
		t.Error("the file shows what it holds")
	}
	if got, err := opened(b, s); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if _, err := opened(b, key.Random()); holo.KindOf(err) != holo.Denied || holo.ReasonOf(err) != ReasonBackupKey {
		t.Errorf("another key: %v", err)
	}
	if again := sealed(t, s, plain); bytes.Equal(again, b) {
		t.Error("two files of one content are alike")
	}
}

// Every part is authentic: a changed, cut, swapped or repeated one does not open.
func TestChangedBackupDoesNotOpen(t *testing.T) {
	s := key.Random()
	plain := make([]byte, 3*65536+100)
	for i := range plain {
		plain[i] = byte(i >> 16)
	}
	b := sealed(t, s, plain)
	for at := 0; at < len(b); at += 1 + at/300 {
		b[at] ^= 4
		if got, err := opened(b, s); err == nil {
			t.Fatalf("byte %d of %d changed, and %d bytes are given", at, len(b), len(got))
		}
		b[at] ^= 4
	}
	for _, n := range []int{0, 10, 100, len(b) / 2, len(b) - 65536 - 16, len(b) - 116, len(b) - 1} {
		if _, err := opened(b[:n], s); err == nil {
			t.Errorf("the first %d of %d bytes open", n, len(b))
		}
	}
	chunk, first := 65536+16, len(b)-3*(65536+16)-116
	swapped := bytes.Clone(b)
	copy(swapped[first:], b[first+chunk:first+2*chunk])
	copy(swapped[first+chunk:], b[first:first+chunk])
	if _, err := opened(swapped, s); err == nil {
		t.Error("two parts swapped open")
	}
	if _, err := opened(append(bytes.Clone(b), b[first:]...), s); err == nil {
		t.Error("a file with more behind it opens")
	}
}

func TestBackupKeyIsMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	if _, err := (Keys{}).BackupKey(dir); holo.KindOf(err) != holo.NotFound {
		t.Errorf("before there is one: %v", err)
	}
	one, made, err := Keys{}.BackupKeyAt(dir)
	if err != nil || !made {
		t.Fatal(made, err)
	}
	two, made, err := Keys{}.BackupKeyAt(dir)
	if err != nil || made || !one.Equal(two) {
		t.Errorf("made again: %v, %v", made, err)
	}
	if err := os.Chmod(filepath.Join(dir, BackupKeyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := (Keys{}).BackupKeyAt(dir); err == nil {
		t.Error("a key that others can read is used")
	}
}
