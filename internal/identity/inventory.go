package identity

import (
	"path/filepath"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// KeyInfo describes a key on disk and tells nothing of it.
type KeyInfo struct {
	Purpose   string    // what it signs or opens
	Algorithm string    // by its standard's name
	File      string    // its path
	Created   time.Time // when the file was first written
	Protected bool      // by a passphrase
	RotateBy  time.Time // when it should be replaced at the latest
}

const day = 24 * time.Hour

// inventory says of each key what it is for and how long it should serve. The
// periods are within those of NIST SP 800-57 part 1, table 1, for keys that
// authenticate (one to two years).
var inventory = []struct {
	file, purpose, algorithm string
	node                     bool // in the node's folder, not the user's
	serves                   time.Duration
}{
	{NodeKeyFile, "node identity", "Ed25519", true, 365 * day},
	{ClusterKeyFile, "links of the cluster (pre-shared key)", "HKDF-SHA-256, 256 bits", true, 365 * day},
	{UserKeyFile, "the user's calls", "Ed25519", false, 365 * day},
	{NextKeyFile, "the user's calls, next (holo key rotate user broke off)", "Ed25519", false, day},
	{BackupKeyFile, "checkpoints of arrays", "HKDF-SHA-256, 256 bits", false, 2 * 365 * day},
	{NextOwnerFile, "admission and eviction of nodes, next (holo key rotate owner broke off)", "Ed25519", false, day},
	{OwnerKeyFile, "admission and eviction of nodes", "Ed25519", false, 2 * 365 * day},
}

// Inventory lists the keys of a node's and a user's folder. One that is not
// there is left out, and one that others can reach is an error.
func Inventory(nodeDir, configDir string) (keys []KeyInfo, err error) {
	for _, k := range inventory {
		path := filepath.Join(configDir, k.file)
		if k.node {
			path = filepath.Join(nodeDir, k.file)
		}
		line, created, err := readLine(path)
		if err != nil && holo.KindOf(err) == holo.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, KeyInfo{
			Purpose: k.purpose, Algorithm: k.algorithm, File: path, Created: created,
			Protected: isProtected(line), RotateBy: created.Add(k.serves),
		})
		clear(line)
	}
	return keys, nil
}
