package node

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/ownership"
	"github.com/holocompute/holocompute/internal/wire"
)

// signedState is what the owner's machine asks a node for before it signs.
func (c *cluster) signedState(by *Node, old, next key.Signer) *holov1.SucceedOwnerRequest {
	c.t.Helper()
	s := ownership.State{Cluster: by.cluster}
	for s.Access == nil {
		r, err := by.OwnerState(context.Background(), door.Caller{}, &holov1.OwnerStateRequest{First: uint32(len(s.Chain))})
		must(c.t, err)
		s.Chain, s.Access = append(s.Chain, r.Chain...), r.Access
	}
	b, err := ownership.Succession(s, old, next)
	must(c.t, err)
	return &holov1.SucceedOwnerRequest{Succession: b}
}

// handOver replaces the owner's key, and the file in the founder's folder.
func (c *cluster) handOver(by *Node) (next key.Signer) {
	c.t.Helper()
	next = key.GenerateSigner()
	_, err := by.SucceedOwner(context.Background(), door.Caller{}, c.signedState(by, c.owner(), next))
	must(c.t, err)
	path := filepath.Join(c.configDir(0), identity.OwnerKeyFile)
	must(c.t, os.Remove(path))
	must(c.t, identity.WriteSigner(path, next))
	return next
}

func (c *cluster) awaitOwner(owner key.Signer, nodes ...*Node) {
	c.t.Helper()
	want := holo.PrincipalID(owner.Public())
	await(c.t, "the owner is known", func() bool {
		return !slices.ContainsFunc(nodes, func(n *Node) bool {
			s, fresh := n.access.fresh(n.clock.now())
			return n.members.owner() != want || !fresh || s.Owner() != want || n.tokens.registrar() != want
		})
	})
}

// Every node learns of another owner, has it on record and on its disk, a node that
// was off for two successions too; the old owner's word moves none of them.
func TestOwnerIsReplacedOnEveryNode(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4) // one of them is no voter
	i := (c.leads() + 1) % 4
	c.awaitKey(1, c.nodes...)
	first := c.owner()
	must(t, c.nodes[i].Close())
	c.nodes[i] = nil
	second := c.handOver(c.live()[0])
	c.awaitOwner(second, c.live()...)
	third := c.handOver(c.live()[1])
	c.awaitOwner(third, c.live()...)
	c.start(i)
	c.awaitOwner(third, c.nodes...)
	for k, n := range c.nodes {
		await(t, "it is on record", func() bool { return len(recordsOf(t, n, "owner.replaced")) == 2 })
		last := recordsOf(t, n, "owner.replaced")
		if !strings.Contains(last[0].Resource+last[1].Resource, holo.PrincipalID(third.Public()).Hex()) {
			t.Errorf("the records of node %d: %v", k, last)
		}
		settings, err := identity.ReadCluster(n.home.path(identity.ClusterFile))
		if err != nil || settings.Owner != holo.PrincipalID(third.Public()) {
			t.Errorf("cluster.json of node %d names %s: %v", k, settings.Owner, err)
		}
		if _, err := catalog.VerifyProof(n.cluster, holo.PrincipalID(first.Public()), n.self, n.members.proof()); err != nil {
			t.Errorf("node %d does not lead from the first owner to the last: %v", k, err)
		}
	}
	thief := key.GenerateSigner()
	for _, old := range []key.Signer{first, second} {
		m := &wire.OwnerSuccession{Next: thief.Public()}
		records, _ := c.nodes[0].members.state()
		m.Prev, m.Epoch = catalog.RecordHash(&records[len(records)-1]), c.nodes[0].access.epoch()
		_, err := c.nodes[0].SucceedOwner(context.Background(), door.Caller{}, &holov1.SucceedOwnerRequest{Succession: wire.Encode(signOver(c.nodes[0].cluster, m, old, thief))})
		wantRefused(t, err, holo.Denied, catalog.ReasonSuccessionSig)
	}
	c.evict(c.nodes[(i+1)%4], c.nodes[i].self) // by the owner of now
	overSoon(t, c.nodes[i])
	c.nodes[i] = nil
}

func signOver(cluster holo.ClusterID, m *wire.OwnerSuccession, old, next key.Signer) *wire.OwnerSuccession {
	proof := api.OwnerProof(cluster, m.Prev, old.Public(), m.Next, m.Stands)
	copy(m.OldSig[:], old.Sign(proof))
	copy(m.NextSig[:], next.Sign(proof))
	return m
}

// A node goes on wherever it was ended in a succession: with its settings behind
// its chain, and with token keys that only the owner before has registered. A chain
// from before the owner that its settings name is refused.
func TestNodeGoesOnWhereASuccessionWasCutShort(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	owner := c.owner()
	k := key.GenerateSigner()
	m := &wire.TokenKeyChange{To: wire.TokenKeyPrepared, Key: k.Public(), Registrant: owner.Public(), Authority: owner.Public()}
	n.catalog.read(func(c *catalog.Catalog) { m.Epoch = c.AccessEpoch() })
	copy(m.Sig[:], owner.Sign(m.Proof(n.cluster)))
	copy(m.KeySig[:], k.Sign(m.Proof(n.cluster)))
	_, err := n.propose(context.Background(), m)
	must(t, err)
	await(t, "the token key is known and written down", func() bool {
		_, known := n.tokens.key(key.Thumbprint(k.Public()))
		_, err := os.Stat(n.home.path(tokensFile))
		return known && err == nil
	})
	before := map[string][]byte{}
	for _, name := range []string{identity.ClusterFile, tokensFile, identity.ChainFile} {
		before[name], err = os.ReadFile(n.home.path(name))
		must(t, err)
	}
	next := c.handOver(n)
	c.awaitOwner(next, n)
	await(t, "the token key is vouched for", func() bool {
		n.tokens.mu.RLock()
		defer n.tokens.mu.RUnlock()
		return n.tokens.mu.keys[key.Thumbprint(k.Public())].Authority == holo.PrincipalID(next.Public())
	})
	must(t, n.Close())
	for _, name := range []string{identity.ClusterFile, tokensFile} {
		must(t, identity.WritePublic(n.home.path(name), before[name]))
	}
	c.start(0)
	c.awaitOwner(next, c.nodes[0])
	await(t, "the settings follow", func() bool {
		s, err := identity.ReadCluster(n.home.path(identity.ClusterFile))
		return err == nil && s.Owner == holo.PrincipalID(next.Public())
	})
	must(t, c.nodes[0].Close())
	c.nodes[0] = nil
	must(t, identity.WritePublic(n.home.path(identity.ChainFile), before[identity.ChainFile]))
	if _, err := Start(context.Background(), c.config(0)); holo.ReasonOf(err) != catalog.ReasonBadChain {
		t.Errorf("a chain from before the owner: %v", err)
	}
}

// A newcomer that an invite of the next owner lets in verifies the chain from
// there, and one whose node was another owner's is not lured away.
func TestNewcomerVerifiesThePastByTheNextOwner(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	founder := holo.PrincipalID(c.owner().Public())
	next := c.handOver(c.nodes[0])
	c.awaitOwner(next, c.nodes[0])
	join := func(known holo.PrincipalID) error {
		dir := filepath.Join(t.TempDir(), "n")
		_, err := Join(context.Background(), JoinConfig{Dir: dir, ConfigDir: dir + "-config", Invite: c.invite(time.Hour).Text(), NodeName: "late", MemoryBytes: 64 << 20, Known: known})
		return err
	}
	wantRefused(t, join(holo.PrincipalID(key.GenerateSigner().Public())), holo.Denied, identity.ReasonPinMismatch)
	for _, m := range c.nodes[0].members.ids() { // the catalogue has admitted it: it is put out again
		if m != c.nodes[0].self {
			c.evict(c.nodes[0], m)
		}
	}
	must(t, join(founder))
}
