package identity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// TokenKeyDir is the folder, in a user's configuration folder, of the keys that
// tokens are signed with. A node never reads it.
const TokenKeyDir = "token-keys"

// maxTokenFile is enough for the longest token.
const maxTokenFile = 32 << 10

// AddTokenKey keeps a token key, under its thumbprint.
func AddTokenKey(config string, s key.Signer) error {
	dir := filepath.Join(config, TokenKeyDir)
	if err := PrepareDir(dir); err != nil {
		return err
	}
	return WriteSigner(filepath.Join(dir, key.Thumbprint(s.Public()).Hex()+".key"), s)
}

// DropTokenKey removes a token key that nobody knows of.
func DropTokenKey(config string, id holo.Thumbprint) error {
	if err := os.Remove(filepath.Join(config, TokenKeyDir, id.Hex()+".key")); err != nil {
		return holo.Errorf(holo.Unavailable, "remove token key: %w", err)
	}
	return nil
}

// TokenKeyFiles lists the files of the token keys that lie here, by the
// thumbprint that each is named by. What is in one is seen when it is read.
func TokenKeyFiles(config string) (map[holo.Thumbprint]string, error) {
	dir := filepath.Join(config, TokenKeyDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, holo.Errorf(holo.Unavailable, "list token keys: %w", err)
	}
	files := map[holo.Thumbprint]string{}
	for _, e := range entries {
		name, found := strings.CutSuffix(e.Name(), ".key")
		if id, err := holo.ParseThumbprint(name); found && err == nil {
			files[id] = filepath.Join(dir, e.Name())
		}
	}
	return files, nil
}

// ReadTokenKey reads a token key out of a file that TokenKeyFiles has found, and
// refuses another key than the one that the file is named by.
func (k Keys) ReadTokenKey(path string, id holo.Thumbprint) (key.Signer, error) {
	s, err := k.ReadSigner(path)
	if err == nil && key.Thumbprint(s.Public()) != id {
		return key.Signer{}, damaged(path, "it holds another key than its name says")
	}
	return s, err
}

// ReadToken reads a token from a file that nobody else can read.
func ReadToken(path string) (string, error) {
	b, err := readFile(path, maxTokenFile, 0o077)
	return strings.TrimSuffix(string(b), "\n"), err
}

// WriteToken puts a token into a file that nobody else can read, in the place of
// an older one.
func WriteToken(path, token string) error {
	return writeFile(path, []byte(token+"\n"), os.Rename)
}
