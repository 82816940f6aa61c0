package node

import (
	"sync"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// keyring is the cluster's key as this node has it, on disk and in use: the
// newest that it knows, and while not every living member has that, the one
// before. The newest is on the disk before anybody is told that it is here, so
// that a member never falls back behind what it confirmed.
type keyring struct {
	home *home
	mu   struct {
		sync.RWMutex
		epoch   uint64 // of the newest; 0: not known yet which it is
		newest  clusterKey
		former  clusterKey // zero: none
		settled bool       // the former opens nothing any more
		told    uint64     // the epoch that this process has confirmed
	}
}

// clusterKey is a key and what links use of it.
type clusterKey struct {
	secret key.Secret
	psk    handshake.PSK
}

func newClusterKey(secret key.Secret, cluster holo.ClusterID) clusterKey {
	return clusterKey{secret, handshake.ClusterPSK(secret, cluster)}
}

func newKeyring(h *home) *keyring {
	k := &keyring{home: h}
	k.mu.newest = newClusterKey(h.clusterKey, h.settings.ID)
	if !h.formerKey.IsZero() {
		k.mu.former = newClusterKey(h.formerKey, h.settings.ID)
	}
	return k
}

// psk is what this node dials with.
func (k *keyring) psk() handshake.PSK {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.mu.newest.psk
}

// formerPSK is what it tries after that, while there is an overlap.
func (k *keyring) formerPSK() (handshake.PSK, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.mu.former.psk, !k.mu.former.secret.IsZero()
}

// find gives the key of an ID if it is in force here.
func (k *keyring) find(id [8]byte) (handshake.PSK, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, c := range []*clusterKey{&k.mu.newest, &k.mu.former} {
		if !c.secret.IsZero() && c.psk.ID == id {
			return c.psk, true
		}
	}
	return handshake.PSK{}, false
}

// secret is the newest key, to hand to a member.
func (k *keyring) secret() key.Secret {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.mu.newest.secret
}

// secrets are all keys in force here, to derive others from.
func (k *keyring) secrets() []key.Secret {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.mu.former.secret.IsZero() {
		return []key.Secret{k.mu.newest.secret}
	}
	return []key.Secret{k.mu.newest.secret, k.mu.former.secret}
}

// at says which epoch the newest key is, and whether the former is gone.
func (k *keyring) at() (epoch uint64, settled bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.mu.epoch, k.mu.settled
}

// take keeps a newer key, on disk first. The former goes to the disk before the
// newer takes its place there.
func (k *keyring) take(r *wire.ClusterKey) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.Epoch <= k.mu.epoch {
		return nil
	}
	if !r.Key.Equal(k.mu.newest.secret) {
		path, former := k.home.path(identity.ClusterKeyFile), k.home.path(identity.FormerKeyFile)
		if err := k.home.keys.ReplaceSecret(path, former, r.Key); err != nil {
			return err
		}
		k.mu.former, k.mu.newest = k.mu.newest, newClusterKey(r.Key, k.home.settings.ID)
	}
	k.mu.epoch, k.mu.settled = r.Epoch, false
	return nil
}

// confirm tells, by way of propose, that the newest key is here, once.
func (k *keyring) confirm(propose func(epoch uint64) error) error {
	k.mu.RLock()
	epoch, told := k.mu.epoch, k.mu.told
	k.mu.RUnlock()
	if epoch == told {
		return nil
	}
	if err := propose(epoch); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mu.told = max(k.mu.told, epoch)
	return nil
}

// settle forgets the former key, if the epoch is the newest here.
func (k *keyring) settle(epoch uint64) (news bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if epoch != k.mu.epoch || k.mu.settled {
		return false, nil
	}
	k.mu.former, k.mu.settled = clusterKey{}, true
	return true, identity.RemoveSecret(k.home.path(identity.FormerKeyFile))
}
