package catalog

import (
	"math"
	"slices"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// MaxClusterKeys is how many epochs of the cluster's key are kept at most: who
// was away for more rotations than that has to be invited again.
const MaxClusterKeys = 8

// clusterKeys are the epochs of the key that all members share, oldest first.
// Those before the newest are there only for members that were away, and go as
// soon as every member has confirmed a later one.
type clusterKeys struct {
	epochs    []wire.ClusterKey
	wanted    uint64
	confirmed map[holo.NodeID]uint64
}

func (k *clusterKeys) newest() wire.ClusterKey {
	if len(k.epochs) == 0 {
		return wire.ClusterKey{}
	}
	return k.epochs[len(k.epochs)-1]
}

// foundKeys begins with the first key, which the founder has.
func (c *Catalog) foundKeys(m *wire.ClusterInit) {
	c.keys.epochs = []wire.ClusterKey{{Epoch: 1, Key: m.Key, Settled: true}}
	c.keys.wanted = 1
	c.keys.confirmed[m.Genesis.Node] = 1
}

// handed notes which key a newcomer was given: the newest, or the one before
// while there is an overlap.
func (k *clusterKeys) handed(node holo.NodeID) {
	n := k.newest()
	k.confirmed[node] = n.Epoch
	if n.Epoch > 0 && !n.Settled {
		k.confirmed[node]--
	}
}

// rotate makes the key that there is now one that has to go.
func (k *clusterKeys) rotate() { k.wanted = k.newest().Epoch + 1 }

func (c *Catalog) clusterKeyPut(m *wire.ClusterKeyPut) error {
	if last := c.keys.newest(); m.Epoch != last.Epoch+1 || m.Epoch > c.keys.wanted {
		return holo.Refuse(holo.Stale, ReasonKeyEpoch, "put cluster key %d: the last is %d, wanted is %d", m.Epoch, last.Epoch, c.keys.wanted)
	}
	keep := c.keys.epochs[max(0, len(c.keys.epochs)+1-MaxClusterKeys):]
	c.keys.epochs = append(slices.Clone(keep), wire.ClusterKey{Epoch: m.Epoch, Key: m.Key})
	return nil
}

func (c *Catalog) clusterKeyConfirm(m *wire.ClusterKeyConfirm) error {
	if c.chain.find(m.Node) < 0 {
		return holo.Errorf(holo.NotFound, "confirm cluster key %d: node %s is not a member", m.Epoch, m.Node)
	}
	if m.Epoch > c.keys.newest().Epoch {
		return holo.Refuse(holo.Stale, ReasonKeyEpoch, "confirm cluster key %d: the last is %d", m.Epoch, c.keys.newest().Epoch)
	}
	c.keys.confirmed[m.Node] = max(c.keys.confirmed[m.Node], m.Epoch)
	c.keys.trim()
	return nil
}

func (c *Catalog) clusterKeySettle(m *wire.ClusterKeySettle) error {
	if last := c.keys.newest(); m.Epoch != last.Epoch {
		return holo.Refuse(holo.Stale, ReasonKeyEpoch, "settle cluster key %d: the last is %d", m.Epoch, last.Epoch)
	}
	c.keys.epochs = slices.Clone(c.keys.epochs)
	c.keys.epochs[len(c.keys.epochs)-1].Settled = true
	return nil
}

func (c *Catalog) clusterRekey(m *wire.ClusterRekey) error {
	switch {
	case !key.Verify(c.chain.owner, api.RekeyProof(c.cluster, m.Epoch), m.OwnerSig[:]):
		return holo.Refuse(holo.Denied, ReasonOwnerSig, "replace cluster key %d: not signed by this cluster's owner", m.Epoch)
	case m.Epoch != c.keys.newest().Epoch:
		return holo.Refuse(holo.Stale, ReasonKeyEpoch, "replace cluster key %d: the key now is %d", m.Epoch, c.keys.newest().Epoch)
	}
	c.keys.rotate()
	return nil
}

// trim drops the keys that no member has as its last.
func (k *clusterKeys) trim() {
	oldest := uint64(math.MaxUint64)
	for _, epoch := range k.confirmed {
		oldest = min(oldest, epoch)
	}
	last := k.newest().Epoch
	k.epochs = slices.DeleteFunc(slices.Clone(k.epochs), func(r wire.ClusterKey) bool { return r.Epoch < oldest && r.Epoch != last })
}

// ClusterKey is the newest key, and the epoch that there should be.
func (c *Catalog) ClusterKey() (newest wire.ClusterKey, wanted uint64) {
	return c.keys.newest(), c.keys.wanted
}

// FormerKeys are the epochs before the newest that some member may have as its
// last. The caller must not modify the list.
func (c *Catalog) FormerKeys() []wire.ClusterKey {
	return c.keys.epochs[:max(0, len(c.keys.epochs)-1)]
}

// Confirmed is the last epoch whose key a member said to have.
func (c *Catalog) Confirmed(node holo.NodeID) uint64 { return c.keys.confirmed[node] }

// KeyState lists who has confirmed what, by node.
func (c *Catalog) KeyState() *wire.ClusterKeyState {
	s := &wire.ClusterKeyState{Wanted: c.keys.wanted}
	for _, id := range sorted(c.keys.confirmed, holo.NodeID.Compare) {
		s.Confirmed = append(s.Confirmed, wire.ClusterKeyConfirm{Node: id, Epoch: c.keys.confirmed[id]})
	}
	return s
}

func (k *clusterKeys) load(s *wire.ClusterKeyState) {
	k.wanted = s.Wanted
	for _, c := range s.Confirmed {
		k.confirmed[c.Node] = c.Epoch
	}
}

// consistent reports whether every member has an epoch, and no epoch is out of
// place.
func (k *clusterKeys) consistent(members []ChainMember) bool {
	for i := range k.epochs {
		if i > 0 && k.epochs[i].Epoch != k.epochs[i-1].Epoch+1 {
			return false
		}
	}
	for _, m := range members {
		if k.confirmed[m.Node] > k.newest().Epoch {
			return false
		}
	}
	return len(k.confirmed) == len(members) && (len(members) == 0) == (len(k.epochs) == 0) && len(k.epochs) <= MaxClusterKeys
}
