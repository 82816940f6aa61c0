package node

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	// rekeyEvery is how often the leader looks whether another key is wanted,
	// or the overlap can end.
	rekeyEvery = 200 * time.Millisecond
	// overlapLimit ends an overlap though a living member has not confirmed: it
	// is heard by the leader each second, so it cannot write the key, and the
	// others do not wait for its disk.
	overlapLimit = 30 * time.Second
)

// rekey gives the cluster another key while this node leads and one is wanted,
// and ends the overlap with the one before.
func (d *leadership) rekey(ctx context.Context) {
	ticker := time.NewTicker(rekeyEvery)
	defer ticker.Stop()
	var epoch uint64
	var since time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !d.n.consensus.IsLeader() {
			epoch = 0
			continue
		}
		newest, wanted, all := d.keyState()
		if newest.Epoch != epoch {
			epoch, since = newest.Epoch, time.Now()
		}
		switch {
		case newest.Epoch < wanted:
			d.proposeOne(ctx, &wire.ClusterKeyPut{Epoch: newest.Epoch + 1, Key: key.Random()})
		case !newest.Settled && (all || time.Since(since) > overlapLimit):
			d.proposeOne(ctx, &wire.ClusterKeySettle{Epoch: newest.Epoch})
		}
	}
}

// keyState is what there is and what is wanted, and whether every living member
// has the newest. Nothing new is wanted before this node closed the sessions of
// whom the chain has evicted: they must not be told.
func (d *leadership) keyState() (newest wire.ClusterKey, wanted uint64, all bool) {
	_, known := d.n.members.at()
	d.n.catalog.read(func(c *catalog.Catalog) {
		newest, wanted = c.ClusterKey()
		if known != len(c.Chain()) || !d.n.members.has(d.n.self) {
			wanted = newest.Epoch
		}
		all = true
		for _, r := range c.Nodes() {
			all = all && (!r.Alive || c.Confirmed(r.Node) == newest.Epoch)
		}
	})
	return newest, wanted, all
}

// learnKey takes a newer key that a feed speaks of, confirms it, and lets the
// one before go when that is settled.
func (n *Node) learnKey(ctx context.Context, f *wire.CatalogFeed) {
	if epoch, _ := n.keys.at(); f.Epoch > epoch {
		if err := n.takeKey(ctx); err != nil {
			n.log.Warn("new cluster key not taken", "epoch", f.Epoch, "error", err)
			return
		}
	}
	if err := n.confirmKey(ctx); err != nil {
		n.log.Info("cluster key not confirmed yet", "error", err)
	}
	if !f.Settled {
		return
	}
	news, err := n.keys.settle(f.Epoch)
	if err != nil {
		n.log.Warn("former cluster key not removed", "error", err)
	}
	if news {
		inForce := n.keys.psk().ID
		n.peers.Refresh(func(s *transport.Session) bool { return s.PSKID() != inForce })
	}
}

// takeKey asks the leader for the newest key, which it tells members only.
func (n *Node) takeKey(ctx context.Context) error {
	ctx, cancel := within(ctx, attemptDeadline)
	defer cancel()
	newest, err := queryOne[*wire.ClusterKey](ctx, n, wire.CatalogQuery{What: wire.QueryKey})
	if err != nil {
		return err
	}
	if err := n.keys.take(newest); err != nil {
		return err
	}
	n.log.Info("cluster key taken", "epoch", newest.Epoch)
	return nil
}

func (n *Node) confirmKey(ctx context.Context) error {
	ctx, cancel := within(ctx, attemptDeadline)
	defer cancel()
	return n.keys.confirm(func(epoch uint64) error {
		_, err := n.propose(ctx, &wire.ClusterKeyConfirm{Node: n.self, Epoch: epoch})
		return err
	})
}

// latecomer finds the key of an epoch that is over, for members that were away
// when it was replaced. Only a voter knows those keys. Whoever is found so must
// be a member that has not confirmed a later key (admitLate).
func (n *Node) latecomer(id [8]byte) (psk handshake.PSK, epoch uint64, ok bool) {
	n.catalog.read(func(c *catalog.Catalog) {
		for _, k := range c.FormerKeys() {
			if p := handshake.ClusterPSK(k.Key, n.cluster); p.ID == id {
				psk, epoch, ok = p, k.Epoch, true
			}
		}
	})
	return psk, epoch, ok
}

// admitLate decides about a peer that came with a key of the past.
func (n *Node) admitLate(epoch uint64, kind handshake.Kind, peer holo.NodeID, name string, proof []byte) error {
	if err := n.members.admit(kind, peer, name, proof); err != nil {
		return err
	}
	var confirmed uint64
	n.catalog.read(func(c *catalog.Catalog) { confirmed = c.Confirmed(peer) })
	if confirmed > epoch {
		return holo.Refuse(holo.Denied, reasonOldKey, "node %s has confirmed cluster key %d and comes with key %d: a copy of its folder of before?", peer, confirmed, epoch)
	}
	return nil
}

// Rekey brings the owner's wish for another cluster key to the catalogue.
func (n *Node) Rekey(ctx context.Context, _ door.Caller, m *holov1.RekeyRequest) error {
	_, err := n.propose(ctx, &wire.ClusterRekey{Epoch: m.GetEpoch(), OwnerSig: [64]byte(m.GetOwnerSignature())})
	return n.refusals.addErr(err)
}
