package node

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// eviction is what the owner's client sends to have a node removed.
func (c *cluster) eviction(by *Node, node holo.NodeID, loseData bool) *holov1.EvictRequest {
	c.t.Helper()
	r, err := by.ListMembers(context.Background(), door.Caller{})
	must(c.t, err)
	i := slices.IndexFunc(r.Members, func(m *holov1.Membership) bool { return holo.NodeID(m.Node) == node })
	if i < 0 {
		c.t.Fatalf("node %s is not listed", node)
	}
	m := r.Members[i]
	proof := api.EvictProof(by.cluster, [32]byte(r.Head), node, [32]byte(m.Admission), loseData)
	return &holov1.EvictRequest{Node: m.Node, Admission: m.Admission, LoseData: loseData, OwnerSignature: c.owner().Sign(proof)}
}

func (c *cluster) evict(by *Node, node holo.NodeID) {
	c.t.Helper()
	must(c.t, by.EvictNode(context.Background(), door.Caller{}, c.eviction(by, node, false)))
}

// leads is which node leads the catalogue, as soon as one does.
func (c *cluster) leads() (i int) {
	c.t.Helper()
	await(c.t, "somebody leads", func() bool {
		i = slices.IndexFunc(c.nodes, func(n *Node) bool { return n != nil && n.consensus.IsLeader() })
		return i >= 0
	})
	return i
}

// evictOne removes a node that runs, while an array has copies on it, and wants
// what the owner wants of it: no byte is lost, nobody talks to the node any
// more, it knows, and it does not come back.
func evictOne(t *testing.T, choose func(c *cluster) int) {
	c := newCluster(t, 3)
	ctx := context.Background()
	a := c.create(c.nodes[0], "kept", victimBytes)
	data := noise(21, victimBytes)
	must(t, c.nodes[0].WriteRange(ctx, holo.ArrayID(a.Id), 0, data))
	i := choose(c)
	out := c.nodes[i]
	by := c.nodes[(i+1)%3]
	c.evict(by, out.self)
	rest := []*Node{c.nodes[(i+1)%3], c.nodes[(i+2)%3]}
	await(t, "everybody knows, and has closed its sessions", func() bool {
		return !slices.ContainsFunc(rest, func(n *Node) bool { return n.members.has(out.self) || len(n.peers.Sessions(out.self)) > 0 })
	})
	overSoon(t, out)
	wantRefused(t, out.Cause(), holo.Denied, reasonEvicted)
	if out.holdsLease() {
		t.Error("the node still serves under its lease")
	}
	for _, n := range rest {
		wantBytes(t, n, a.Id, 0, data)
		await(t, "a write is acknowledged", func() bool { return n.WriteRange(ctx, holo.ArrayID(a.Id), 0, data[:8]) == nil })
	}
	before := sum(rest, reasonMembership) + sum(rest, handshake.ReasonUnknownPSK)
	back := &stranger{t: t, signer: out.home.signer, link: newStranger(t).link}
	for _, n := range rest {
		if s, err := back.dial(n, back.local(n.cluster, handshake.KindNode, out.clusterPSK())); err == nil {
			s.Close("test")
			t.Errorf("node %s let the evicted node in again", n.self)
		}
	}
	await(t, "both refusals are counted", func() bool {
		return sum(rest, reasonMembership)+sum(rest, handshake.ReasonUnknownPSK) >= before+2
	})
	must(t, out.Close())
	c.nodes[i] = nil
	_, err := Start(ctx, c.config(i))
	wantRefused(t, err, holo.Denied, reasonEvicted)
}

func sum(nodes []*Node, reason string) (n uint64) {
	for _, node := range nodes {
		n += node.refusals.all()[reason]
	}
	return n
}

func TestEvictedNodeIsOutAtOnceAndItsShardsAreRepaired(t *testing.T) {
	t.Parallel()
	evictOne(t, func(c *cluster) int { return (c.leads() + 1) % 3 })
}

func TestEvictedLeaderStepsDownAndIsOut(t *testing.T) {
	t.Parallel()
	evictOne(t, func(c *cluster) int { return c.leads() })
}

func TestOnlyVoterOfTwoCanBeEvicted(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	c.evict(c.nodes[1], c.nodes[0].self)
	overSoon(t, c.nodes[0])
	await(t, "the other node goes on alone", func() bool {
		_, err := c.makes(context.Background(), c.nodes[1], &holov1.CreateArrayRequest{Name: "alone", Type: "i8", Length: 8})
		return err == nil
	})
	err := c.nodes[1].EvictNode(context.Background(), door.Caller{}, c.eviction(c.nodes[1], c.nodes[1].self, false))
	if holo.KindOf(err) != holo.Denied || !strings.Contains(err.Error(), "last member") {
		t.Errorf("the last member was evicted: %v", err)
	}
}

func TestEvictionNeedsTheOwnerAndItsWordAboutData(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	ctx := context.Background()
	n, victim := c.nodes[0], c.nodes[1]
	_, err := c.makes(ctx, n, &holov1.CreateArrayRequest{Name: "single", Type: "i64", Length: 1 << 20, ExtentElements: 8192, Copies: 1})
	must(t, err)
	forged := c.eviction(n, victim.self, false)
	forged.OwnerSignature = victim.home.signer.Sign([]byte("x"))
	before := n.refusals.all()["bad_owner_signature"]
	wantRefused(t, n.EvictNode(ctx, door.Caller{}, forged), holo.Denied, "bad_owner_signature")
	refused(t, n, "bad_owner_signature", before)
	bold := c.eviction(n, victim.self, false)
	bold.LoseData = true
	wantRefused(t, n.EvictNode(ctx, door.Caller{}, bold), holo.Denied, "bad_owner_signature")

	err = n.EvictNode(ctx, door.Caller{}, c.eviction(n, victim.self, false))
	wantRefused(t, err, holo.Conflict, "data_loss")
	if !strings.Contains(err.Error(), "single") {
		t.Errorf("what would be lost is not said: %v", err)
	}
	if !victim.holdsLease() || !n.members.has(victim.self) {
		t.Error("the refused eviction had an effect")
	}
	must(t, n.EvictNode(ctx, door.Caller{}, c.eviction(n, victim.self, true)))
	overSoon(t, victim)
}

// A member that goes on talking over a session that it still has is not heard.
func TestMessageOfAnEvictedNodeIsRefusedOnALivingSession(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	n, out := c.nodes[0], c.nodes[1]
	st, err := out.peers.Open(context.Background(), n.self, transport.Control)
	must(t, err)
	session := n.peers.Sessions(out.self)
	if len(session) == 0 {
		t.Fatal("no session")
	}
	n.members.mu.Lock() // as it is in the moment between the verdict and the end of the sessions
	delete(n.members.mu.members, out.self)
	n.members.mu.Unlock()
	before := n.refusals.all()[reasonMembership]
	must(t, st.WriteMessage(&wire.UsageRead{}))
	answer, err := st.ReadMessage()
	must(t, err)
	if f, ok := answer.(*wire.Failure); !ok || f.Reason != reasonMembership {
		t.Errorf("answered with %T", answer)
	}
	refused(t, n, reasonMembership, before)
}

// overSoon waits until a node knows that it was evicted.
func overSoon(t *testing.T, n *Node) {
	t.Helper()
	await(t, "the evicted node knows", func() bool { return n.Cause() != nil })
	<-n.Over()
}
