package node

import (
	"context"
	"sync"
	"time"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	// maxPartings is how many evictions a node can still tell of; the oldest
	// gives way.
	maxPartings = 64
	// aloneFor is how long a node goes without a lease before it asks whether it
	// was put out: longer than a change of leaders takes.
	aloneFor = 10 * time.Second
	// askWhyEvery is how often it then asks one of the members that it knew.
	askWhyEvery = 2 * time.Second
)

// partings are the nodes that this one saw put out, each under the key that it
// shares with nobody else who is (handshake.PartingKey). They are in memory only:
// a node that has started since tells nobody, as one that came later does not.
type partings struct {
	mu struct {
		sync.Mutex
		list []parting // oldest first
	}
}

type parting struct {
	key   handshake.PSK
	evict wire.ChainRecord
}

// note keeps that a node was put out, under the cluster keys that it may have.
func (p *partings) note(cluster holo.ClusterID, evict wire.ChainRecord, secrets []key.Secret) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range secrets {
		p.mu.list = append(p.mu.list, parting{handshake.PartingKey(s, cluster, evict.Node), evict})
	}
	p.mu.list = p.mu.list[max(0, len(p.mu.list)-maxPartings):]
}

func (p *partings) find(id [8]byte) (parting, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.mu.list {
		if one.key.ID == id {
			return one, true
		}
	}
	return parting{}, false
}

// parting is what a node that was put out is told: the owner's word about it.
func (n *Node) parting(id [8]byte) (k handshake.PSK, word []byte, ok bool) {
	p, ok := n.partings.find(id)
	if !ok {
		return handshake.PSK{}, nil, false
	}
	return p.key, n.members.parting(p.evict), true
}

// notePartings keeps the evictions among records that are news, before the cluster's
// key is replaced for them.
func (n *Node) notePartings(fresh []wire.ChainRecord) {
	for _, r := range fresh {
		if r.Kind == wire.ChainEvict && r.Node != n.self {
			n.partings.note(n.cluster, r, n.keys.secrets())
		}
	}
}

// askWhy finds out, when this node has had no lease for a while, whether it was put
// out while it was off: its key is the one of before, and nobody answers to it. Each
// member that it knew is asked in turn, but one that still talks to it.
func (n *Node) askWhy(ctx context.Context) {
	ticker := time.NewTicker(askWhyEvery)
	defer ticker.Stop()
	since, next := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.ended:
			return
		case <-ticker.C:
		}
		if int64(n.clock.now()) < n.access.lease.Load() {
			since = time.Now()
		}
		if time.Since(since) < aloneFor {
			continue
		}
		ids := n.members.ids()
		next++
		id := ids[next%len(ids)]
		if addr, ok := n.members.address(id); ok && id != n.self && len(n.peers.Sessions(id)) == 0 {
			n.askWhyAt(ctx, addr)
		}
	}
}

func (n *Node) askWhyAt(ctx context.Context, addr string) {
	ctx, cancel := within(ctx, attemptDeadline)
	defer cancel()
	for _, s := range n.keys.secrets() {
		word, err := n.transport.AskWhy(ctx, addr, handshake.PartingKey(s, n.cluster, n.self))
		if err != nil {
			n.log.Debug("nobody says why this node is refused", "at", addr, "error", err)
			continue
		}
		if err := n.partAt(word); err != nil {
			n.refusals.addErr(err)
			n.log.Warn("what was said about this node is not believed", "at", addr, "error", err)
		}
		return
	}
}

// partAt ends this node, if the word is its owner's.
func (n *Node) partAt(word []byte) error {
	admission, ok := n.members.admission(n.self)
	if !ok {
		return nil // it knows already
	}
	r, err := catalog.VerifyParting(n.cluster, n.members.owner(), n.self, admission, word)
	if err != nil {
		return err
	}
	if err := identity.WritePublic(n.home.path(partingFile), word); err != nil {
		n.log.Error("that this node was put out is not remembered: it asks again at its next start", "error", err)
	}
	n.removed.Store(r.Time)
	n.leave()
	return nil
}

// recallParting refuses to begin where the folder holds the owner's word that this
// node was put out. What is not that, about this admission, has no effect.
func (n *Node) recallParting() error {
	path := n.home.path(partingFile)
	word, err := identity.ReadPublic(path, maxPartingFile)
	if holo.KindOf(err) == holo.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	admission, _ := n.members.admission(n.self)
	r, err := catalog.VerifyParting(n.cluster, n.members.owner(), n.self, admission, word)
	if err != nil {
		n.log.Warn("what the folder says about this node is not believed", "file", path, "error", err)
		return nil
	}
	return holo.Refuse(holo.Denied, reasonEvicted, "start node %s: it was removed from cluster %s by its owner at %s, as %s says", n.self, n.cluster, time.Unix(r.Time, 0).UTC().Format(time.RFC3339), path)
}
