package memory

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// Configs is what this node was told about who holds which shard, for those
// who send requests. It may lag behind; whoever gets a request knows better
// and refuses it, and the sender asks again when something changed.
type Configs struct {
	Changed   wait.Signal // a shard has another configuration
	recovered func()      // called when a lost shard has holders again

	// reconfigured is called when shards are in a later epoch, with their number and
	// one of them.
	reconfigured func(shards uint64, last wire.ShardConfig)

	mu struct {
		sync.RWMutex
		of map[holo.ShardID]wire.ShardConfig
	}
}

func newConfigs() *Configs {
	c := &Configs{}
	c.mu.of = make(map[holo.ShardID]wire.ShardConfig)
	return c
}

// learn keeps the configurations that are newer than those known.
func (c *Configs) learn(news []wire.ShardConfig) {
	if len(news) == 0 {
		return
	}
	revived, later, last := false, uint64(0), wire.ShardConfig{}
	c.mu.Lock()
	for _, s := range news {
		known, ok := c.mu.of[s.Shard]
		if s.Epoch > known.Epoch {
			later, last = later+1, s
		}
		if !ok || newer(&s, &known) {
			c.mu.of[s.Shard] = s
			revived = revived || known.Lost && !s.Lost
		}
	}
	c.mu.Unlock()
	if revived && c.recovered != nil {
		c.recovered()
	}
	if later > 0 && c.reconfigured != nil {
		c.reconfigured(later, last)
	}
	c.Changed.Fire()
}

// ConfigsRoot is the digest of who holds which shard in which epoch. Two nodes that
// know the same configurations come to the same.
func ConfigsRoot(of map[holo.ShardID]wire.ShardConfig) holo.Digest {
	var b []byte
	for _, shard := range slices.Sorted(maps.Keys(of)) {
		s := of[shard]
		b = binary.LittleEndian.AppendUint64(b, uint64(shard))
		b = binary.LittleEndian.AppendUint64(b, uint64(s.Epoch))
		b = append(b, s.Primary[:]...)
		b = binary.LittleEndian.AppendUint64(b, uint64(len(s.Members)))
		for _, m := range s.Members {
			b = append(b, m.Node[:]...)
			b = binary.LittleEndian.AppendUint64(b, uint64(m.Incarnation))
		}
	}
	return digest.Of(b)
}

// newer reports whether a is a later state of the shard than b. Naming a
// learner changes no epoch.
func newer(a, b *wire.ShardConfig) bool {
	return a.Epoch > b.Epoch || a.Epoch == b.Epoch && a.LearnerGen >= b.LearnerGen
}

// Get is a shard's configuration, as far as it is known here.
func (c *Configs) Get(shard holo.ShardID) (wire.ShardConfig, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	s, ok := c.mu.of[shard]
	return s, ok
}

// All is every configuration that is known here.
func (c *Configs) All() map[holo.ShardID]wire.ShardConfig {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return maps.Clone(c.mu.of)
}

// Home is a shard's primary, as far as it is known here.
func (c *Configs) Home(shard holo.ShardID) (holo.NodeID, error) {
	s, ok := c.Get(shard)
	switch {
	case !ok:
		return holo.NodeID{}, holo.Refuse(holo.Unavailable, ReasonNoHome, "shard %d: its home is not known here yet", shard)
	case s.Lost:
		return holo.NodeID{}, holo.Refuse(holo.DataLost, ReasonLost, "shard %d is lost: every node that held it is gone", shard)
	case s.Primary.IsZero():
		return holo.NodeID{}, holo.Refuse(holo.Unavailable, ReasonNoHome, "shard %d has no home now", shard)
	}
	return s.Primary, nil
}

// HomeOf is the home of a shard of an array. A shard that this node believes
// lost may have holders again, empty ones, since the news left: the catalogue
// knows whether the array lost what it had there.
func (n *Node) HomeOf(ctx context.Context, id holo.ArrayID, s holo.ShardID) (holo.NodeID, error) {
	home, err := n.Configs.Home(s)
	if holo.KindOf(err) != holo.DataLost || err == nil {
		return home, err
	}
	a, asked := n.freshArray(ctx, wire.CatalogQuery{What: wire.QueryArrayByID, Number: uint64(id)})
	switch {
	case holo.KindOf(asked) == holo.NotFound && asked != nil:
		return home, err
	case asked != nil:
		return home, asked
	case a.LostIn(s):
		return home, err
	}
	return home, holo.Refuse(holo.Unavailable, ReasonNoHome, "shard %d: its new home is not known here yet", s)
}

// ErrMoved ends a request to a node that is no longer the one to ask.
var ErrMoved = errors.New("the shard has another home now")

// whileHome gives a context that ends when the shard's home is not the node any
// more: a request is not worth waiting for then, and is worth waiting for until
// then, because sending it again would only make a busy node busier.
func (n *Node) whileHome(ctx context.Context, s holo.ShardID, home holo.NodeID) (context.Context, func()) {
	return n.group.While(ctx, &n.Configs.Changed, ErrMoved, func() bool {
		now, err := n.Configs.Home(s)
		return err == nil && now == home
	})
}

// whileMember is the same of a member that serves sealed pages.
func (n *Node) whileMember(ctx context.Context, s holo.ShardID, peer holo.NodeID) (context.Context, func()) {
	return n.group.While(ctx, &n.Configs.Changed, ErrMoved, func() bool {
		c, ok := n.Configs.Get(s)
		return ok && c.Has(peer)
	})
}
