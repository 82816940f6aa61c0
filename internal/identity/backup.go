package identity

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"path/filepath"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// BackupKeyFile is the key of a user's checkpoints, in the configuration folder.
// It is no node's and no cluster's: a checkpoint outlives both.
const BackupKeyFile = "backup.key"

// ReasonBackupKey is that a checkpoint was made with another backup key.
const ReasonBackupKey = "backup_key"

// backupStanza names how a file's own key is wrapped. The backup key is a secret
// and not half of a pair: who cannot open a checkpoint cannot make one either.
const backupStanza = "holocompute.dev/backup-1"

// backupKey is the recipient and the identity of age files under a backup key.
type backupKey struct{ secret key.Secret }

// BackupKey reads the backup key of a configuration folder.
func (k Keys) BackupKey(config string) (key.Secret, error) {
	return k.ReadSecret(filepath.Join(config, BackupKeyFile))
}

// BackupKeyAt reads the backup key, or makes it where there is none.
func (k Keys) BackupKeyAt(config string) (s key.Secret, made bool, err error) {
	s, err = k.BackupKey(config)
	if err == nil || holo.KindOf(err) != holo.NotFound {
		return s, false, err
	}
	s = key.Random()
	return s, true, k.WriteSecret(filepath.Join(config, BackupKeyFile), s)
}

// SealBackup encrypts what is written to it under a backup key. It is complete
// when it was closed.
func SealBackup(w io.Writer, s key.Secret) (io.WriteCloser, error) {
	return age.Encrypt(w, backupKey{s})
}

// OpenBackup decrypts a file of SealBackup. What it gives is authentic, as far
// as it is given; only after io.EOF is it all.
func OpenBackup(r io.Reader, s key.Secret) (io.Reader, error) {
	plain, err := age.Decrypt(r, backupKey{s})
	if _, none := errors.AsType[*age.NoIdentityMatchError](err); none {
		return nil, holo.Refuse(holo.Denied, ReasonBackupKey, "open checkpoint: it was made with another backup key: copy the %s of the user who made it", BackupKeyFile)
	}
	if err != nil {
		return nil, holo.Errorf(holo.Corrupt, "open checkpoint: its head is damaged, or it is none: %w", err)
	}
	return plain, nil
}

func (b backupKey) aead(salt []byte) (cipher.AEAD, error) {
	k, err := hkdf.Key(sha256.New, b.secret.Bytes(), salt, backupStanza, chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	return chacha20poly1305.New(k)
}

// Wrap implements age.Recipient. The key that wraps serves one file, so its
// nonce is zero.
func (b backupKey) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	salt := key.Random()
	defer salt.Wipe()
	a, err := b.aead(salt.Bytes())
	if err != nil {
		return nil, err
	}
	body := a.Seal(nil, make([]byte, a.NonceSize()), fileKey, nil)
	return []*age.Stanza{{Type: backupStanza, Args: []string{base64.RawStdEncoding.EncodeToString(salt.Bytes())}, Body: body}}, nil
}

// Unwrap implements age.Identity.
func (b backupKey) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if len(stanzas) != 1 || stanzas[0].Type != backupStanza || len(stanzas[0].Args) != 1 {
		return nil, age.ErrIncorrectIdentity
	}
	salt, err := base64.RawStdEncoding.Strict().DecodeString(stanzas[0].Args[0])
	if err != nil || len(salt) != key.Size || len(stanzas[0].Body) != 16+chacha20poly1305.Overhead {
		return nil, age.ErrIncorrectIdentity
	}
	a, err := b.aead(salt)
	if err != nil {
		return nil, err
	}
	fileKey, err := a.Open(nil, make([]byte, a.NonceSize()), stanzas[0].Body, nil)
	if err != nil {
		return nil, age.ErrIncorrectIdentity
	}
	return fileKey, nil
}
