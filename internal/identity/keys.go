package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
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
	maxKeyFile  = 256
)

// ReadSigner reads a signing key: node.key, owner.key or user.key.
func ReadSigner(path string) (key.Signer, error) {
	raw, err := readKey(path, signerLabel)
	if err != nil {
		return key.Signer{}, err
	}
	defer clear(raw)
	return key.SignerFromSeed((*[key.Size]byte)(raw)), nil
}

// WriteSigner makes a key file, and refuses (holo.Exists) when there is a file:
// an identity that is overwritten is lost.
func WriteSigner(path string, s key.Signer) error {
	if s.IsZero() {
		return holo.Errorf(holo.Invalid, "write %s: there is no key to write", path)
	}
	seed := s.Seed()
	defer seed.Wipe()
	return writeKey(path, signerLabel, seed, os.Link)
}

// ReadSecret reads a secret of 32 bytes: cluster.key.
func ReadSecret(path string) (key.Secret, error) {
	raw, err := readKey(path, secretLabel)
	if err != nil {
		return key.Secret{}, err
	}
	defer clear(raw)
	return key.NewSecret(raw)
}

// WriteSecret writes a secret of 32 bytes, in the place of an older one where
// there is one: the cluster's key changes when a node is evicted.
func WriteSecret(path string, s key.Secret) error {
	if s.Len() != key.Size {
		return holo.Errorf(holo.Invalid, "write %s: a secret of %d bytes, want %d", path, s.Len(), key.Size)
	}
	return writeKey(path, secretLabel, s, os.Rename)
}

func writeKey(path, label string, s key.Secret, place func(from, to string) error) error {
	line := []byte(label + " ")
	line = hex.AppendEncode(line, s.Bytes())
	line = append(line, ' ')
	line = append(line, checksum(label, s.Bytes())...)
	line = append(line, '\n')
	defer clear(line)
	return writeFile(path, line, place)
}

func readKey(path, label string) (raw []byte, err error) {
	line, err := readFile(path, maxKeyFile, 0o077)
	if err != nil {
		return nil, err
	}
	defer clear(line)
	body, whole := strings.CutSuffix(string(line), "\n")
	fields := strings.Split(body, " ")
	if !whole || len(fields) != 3 || fields[0] != label {
		return nil, damaged(path, "it is no file of kind %s", label)
	}
	raw, err = hex.DecodeString(fields[1])
	if err != nil || len(raw) != key.Size || strings.ToLower(fields[1]) != fields[1] || checksum(label, raw) != fields[2] {
		clear(raw)
		return nil, damaged(path, "the key does not match its checksum")
	}
	return raw, nil
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
