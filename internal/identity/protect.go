package identity

import (
	"bytes"
	"errors"
	"io"
	"os"
	"time"

	"filippo.io/age"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// A protected key file is an age file (age-encryption.org/v1) under a
// passphrase, whose contents are those of the plain file. The age command
// opens it too, should this program be gone.
const (
	ageHeader = "age-encryption.org/v1\n"
	// workFactor is age's default: 2^18 rounds of scrypt take a second and
	// 256 MiB, for whoever guesses as well.
	workFactor = 18
	// maxWorkFactor keeps a file that somebody made from taking the memory of
	// the machine.
	maxWorkFactor = 20
	// minPassphrase stops a slip of the hand, not a weak choice.
	minPassphrase = 8
	maxPassphrase = 1 << 10
)

// Reasons of refusals about protected files.
const (
	ReasonProtected       = "protected"        // a passphrase is needed and none was given
	ReasonWrongPassphrase = "wrong_passphrase" // it does not open the file
)

// Keys reads and writes key files that may be protected by a passphrase.
// Ask is called once for each protected file; it gives the passphrase as the
// user typed or stored it. The zero value knows none: plain files only.
type Keys struct {
	Ask func(path string) ([]byte, error)

	rename func(from, to string) error // nil: os.Rename; tests end the process in it
}

func (k Keys) replace(path string, data []byte) error {
	if k.rename != nil {
		return writeFile(path, data, k.rename)
	}
	return writeFile(path, data, os.Rename)
}

// ReadSigner reads a signing key as the function of that name does.
func (k Keys) ReadSigner(path string) (key.Signer, error) {
	raw, err := k.readKey(path, signerLabel)
	if err != nil {
		return key.Signer{}, err
	}
	defer clear(raw)
	return key.SignerFromSeed((*[key.Size]byte)(raw)), nil
}

// SignerAt reads a signing key, or makes it where there is none.
func (k Keys) SignerAt(path string) (key.Signer, error) {
	s, err := k.ReadSigner(path)
	if err == nil || holo.KindOf(err) != holo.NotFound {
		return s, err
	}
	s = key.GenerateSigner()
	return s, WriteSigner(path, s)
}

// ReadSecret reads a secret as the function of that name does.
func (k Keys) ReadSecret(path string) (key.Secret, error) {
	raw, err := k.readKey(path, secretLabel)
	if err != nil {
		return key.Secret{}, err
	}
	defer clear(raw)
	return key.NewSecret(raw)
}

// WriteSecret writes a secret as the function of that name does, protected when
// the file that it replaces was.
func (k Keys) WriteSecret(path string, s key.Secret) error {
	if s.Len() != key.Size {
		return holo.Errorf(holo.Invalid, "write %s: a secret of %d bytes, want %d", path, s.Len(), key.Size)
	}
	line := keyLine(secretLabel, s)
	defer clear(line)
	was, err := Protected(path)
	switch {
	case err != nil && holo.KindOf(err) != holo.NotFound:
		return err
	case was:
		return k.seal(path, line)
	}
	return k.replace(path, line)
}

// ReplaceSecret puts a newer secret in the place of one, and first keeps that as
// former. Both are protected where the older one was.
func (k Keys) ReplaceSecret(path, former string, s key.Secret) error {
	line, _, err := readLine(path)
	if err != nil {
		return err
	}
	defer clear(line)
	if err := k.replace(former, line); err != nil {
		return err
	}
	return k.WriteSecret(path, s)
}

// Protect encrypts a plain key file in its place. Whatever ends it half way,
// the file is the old or the new one. What an earlier change that was cut short
// has left beside it, perhaps the plain key, is removed.
func (k Keys) Protect(path string) error {
	line, created, err := readLine(path)
	if err != nil {
		return err
	}
	defer clear(line)
	if isProtected(line) {
		return holo.Errorf(holo.Conflict, "protect %s: it is protected already", path)
	}
	if _, _, err := parseLine(path, line); err != nil {
		return err
	}
	if err := k.seal(path, line); err != nil {
		return err
	}
	return errors.Join(removeLeftovers(path), keepAge(path, created))
}

// Unprotect is the way back.
func (k Keys) Unprotect(path string) error {
	sealed, created, err := readLine(path)
	if err != nil {
		return err
	}
	if !isProtected(sealed) {
		return holo.Errorf(holo.Conflict, "unprotect %s: it is not protected", path)
	}
	line, err := k.open(path, sealed)
	if err != nil {
		return err
	}
	defer clear(line)
	if err := k.replace(path, line); err != nil {
		return err
	}
	return keepAge(path, created)
}

// Protected reports whether a key file is encrypted.
func Protected(path string) (bool, error) {
	line, _, err := readLine(path)
	defer clear(line)
	return err == nil && isProtected(line), err
}

func isProtected(line []byte) bool { return bytes.HasPrefix(line, []byte(ageHeader)) }

// readKey reads the key of a file of the kind that label names.
func (k Keys) readKey(path, label string) (raw []byte, err error) {
	line, _, err := readLine(path)
	if err != nil {
		return nil, err
	}
	defer func() { clear(line) }()
	if isProtected(line) {
		if line, err = k.open(path, line); err != nil {
			return nil, err
		}
	}
	got, raw, err := parseLine(path, line)
	if err == nil && got != label {
		clear(raw)
		return nil, damaged(path, "it is no file of kind %s", label)
	}
	return raw, err
}

func readLine(path string) (line []byte, created time.Time, err error) {
	return readDated(path, maxKeyFile, 0o077)
}

// seal writes an encrypted line in the place of a file.
func (k Keys) seal(path string, line []byte) error {
	passphrase, err := k.passphrase(path)
	if err != nil {
		return err
	}
	defer clear(passphrase)
	recipient, err := age.NewScryptRecipient(string(passphrase))
	if err != nil {
		return holo.Errorf(holo.Invalid, "protect %s: %w", path, err)
	}
	recipient.SetWorkFactor(workFactor)
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, recipient)
	if err == nil {
		_, err = w.Write(line)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return holo.Errorf(holo.Internal, "protect %s: %w", path, err)
	}
	return k.replace(path, sealed.Bytes())
}

func (k Keys) open(path string, sealed []byte) ([]byte, error) {
	passphrase, err := k.passphrase(path)
	if err != nil {
		return nil, err
	}
	defer clear(passphrase)
	return decrypt(path, sealed, passphrase)
}

func decrypt(path string, sealed, passphrase []byte) ([]byte, error) {
	scrypt, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return nil, holo.Errorf(holo.Invalid, "read %s: %w", path, err)
	}
	scrypt.SetMaxWorkFactor(maxWorkFactor)
	r, err := age.Decrypt(bytes.NewReader(sealed), scrypt)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, holo.Refuse(holo.Denied, ReasonWrongPassphrase, "read %s: the passphrase does not open it", path)
	}
	if err != nil {
		return nil, damaged(path, "%w", err)
	}
	line, err := io.ReadAll(io.LimitReader(r, maxKeyFile))
	if err != nil {
		return nil, damaged(path, "%w", err)
	}
	return line, nil
}

func (k Keys) passphrase(path string) ([]byte, error) {
	if k.Ask == nil {
		return nil, holo.Refuse(holo.Denied, ReasonProtected, "read %s: it is protected by a passphrase: give --credential FILE", path)
	}
	p, err := k.Ask(path)
	if err != nil {
		return nil, err
	}
	if len(p) < minPassphrase || len(p) > maxPassphrase {
		clear(p)
		return nil, holo.Errorf(holo.Invalid, "read %s: a passphrase of %d bytes, want %d to %d", path, len(p), minPassphrase, maxPassphrase)
	}
	return p, nil
}

// ReadCredential reads a passphrase from a file that nobody else can read: one
// of this user, or one that the system lends it (systemd's LoadCredential). One
// line ending is no part of it.
func ReadCredential(path string) ([]byte, error) {
	b, err := readCredential(path, maxPassphrase+2)
	b = bytes.TrimSuffix(b, []byte("\n"))
	return bytes.TrimSuffix(b, []byte("\r")), err
}

// keepAge keeps telling when the key was made, not when its file was.
func keepAge(path string, created time.Time) error {
	if err := os.Chtimes(path, created, created); err != nil {
		return holo.Errorf(holo.Unavailable, "write %s: %w", path, err)
	}
	return nil
}
