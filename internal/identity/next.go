package identity

import (
	"os"
	"path/filepath"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// NextKeyFile is the user's key that is to take the place of user.key: it lies
// beside that until every cluster has changed over.
const NextKeyFile = "user.next.key"

// NextOwnerFile is the same for the owner's key.
const NextOwnerFile = "owner.next.key"

// NextSigner reads the key that is to take the place of the one at path, or
// makes it at next where there is none: protected, where that one is, under the
// passphrase that Ask gives for next.
func (k Keys) NextSigner(path, next string) (key.Signer, error) {
	s, err := k.ReadSigner(next)
	if err == nil || holo.KindOf(err) != holo.NotFound {
		return s, err
	}
	protected, err := Protected(path)
	if err != nil {
		return key.Signer{}, err
	}
	s = key.GenerateSigner()
	seed := s.Seed()
	defer seed.Wipe()
	line := keyLine(signerLabel, seed)
	defer clear(line)
	if protected {
		return s, k.seal(next, line)
	}
	return s, k.replace(next, line)
}

// Promote puts the next key in the place of the one at path, in one step. What
// was there before is gone; what a change that was cut short has left beside
// either is removed.
func (k Keys) Promote(path, next string) error {
	rename := k.rename
	if rename == nil {
		rename = os.Rename
	}
	if _, _, err := readLine(next); err != nil {
		return err
	}
	if err := rename(next, path); err != nil {
		return holo.Errorf(holo.Unavailable, "write %s: %w", path, err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	for _, p := range []string{path, next} {
		if err := removeLeftovers(p); err != nil {
			return err
		}
	}
	return nil
}

// Exclusive has one process at a time change the key at path.
func Exclusive(path string) (release func(), err error) { return lock(path + ".lock") }

// AsProtected makes sure that the secret which will be written at to is
// protected from its first byte on, where the one at from is: by that one, which
// the other replaces.
func (k Keys) AsProtected(from, to string) error {
	line, _, err := readLine(from)
	if err != nil || !isProtected(line) {
		return err
	}
	return k.replace(to, line)
}
