package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// A key file is one line: what it is, the key in hexadecimal, and the first
// bytes of a hash of both, because a damaged seed is a valid seed of somebody
// else.
const (
	signerLabel = "holo-signer-1"
	secretLabel = "holo-secret-1"
	checkSize   = 4
	maxKeyFile  = 512
)

// ReadSigner reads a signing key: node.key, owner.key or user.key.
func ReadSigner(path string) (key.Signer, error) { return Keys{}.ReadSigner(path) }

// WriteSigner makes a key file, and refuses (holo.Exists) when there is a file:
// an identity that is overwritten is lost.
func WriteSigner(path string, s key.Signer) error {
	if s.IsZero() {
		return holo.Errorf(holo.Invalid, "write %s: there is no key to write", path)
	}
	seed := s.Seed()
	defer seed.Wipe()
	line := keyLine(signerLabel, seed)
	defer clear(line)
	return writeFile(path, line, os.Link)
}

// ReadSecret reads a secret of 32 bytes: cluster.key.
func ReadSecret(path string) (key.Secret, error) { return Keys{}.ReadSecret(path) }

// WriteSecret writes a secret of 32 bytes, in the place of an older one where
// there is one: the cluster's key changes when a node is evicted.
func WriteSecret(path string, s key.Secret) error { return Keys{}.WriteSecret(path, s) }

// RemoveSecret takes a secret's file away, if there is one.
func RemoveSecret(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return holo.Errorf(holo.Unavailable, "remove %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// keyLine is the contents of a plain key file. The caller clears it.
func keyLine(label string, s key.Secret) []byte {
	line := make([]byte, 0, maxKeyFile) // no copy is left behind by growing
	line = append(line, label+" "...)
	line = hex.AppendEncode(line, s.Bytes())
	line = append(line, ' ')
	line = append(line, checksum(label, s.Bytes())...)
	return append(line, '\n')
}

// parseLine reads the contents of a plain key file, of either kind.
func parseLine(path string, line []byte) (label string, raw []byte, err error) {
	body, whole := strings.CutSuffix(string(line), "\n")
	fields := strings.Split(body, " ")
	if !whole || len(fields) != 3 || fields[0] != signerLabel && fields[0] != secretLabel {
		return "", nil, damaged(path, "it is no key file")
	}
	label = fields[0]
	raw, err = hex.DecodeString(fields[1])
	if err != nil || len(raw) != key.Size || strings.ToLower(fields[1]) != fields[1] || checksum(label, raw) != fields[2] {
		clear(raw)
		return "", nil, damaged(path, "the key does not match its checksum")
	}
	return label, raw, nil
}

func checksum(label string, raw []byte) string {
	h := sha256.New()
	h.Write([]byte(label + "\x00"))
	h.Write(raw)
	return hex.EncodeToString(h.Sum(nil)[:checkSize])
}

func damaged(path, format string, args ...any) error {
	return holo.Refuse(holo.Corrupt, ReasonDamaged, "read %s: "+format, append([]any{path}, args...)...)
}
