package node

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// wantVotes has the owner say how many votes an admission needs.
func (c *cluster) wantVotes(by *Node, votes uint8) {
	c.t.Helper()
	r, err := by.ListMembers(context.Background(), door.Caller{})
	must(c.t, err)
	sig := c.owner().Sign(api.PolicyProof(by.cluster, [32]byte(r.Head), votes))
	must(c.t, by.SetPolicy(context.Background(), door.Caller{}, &holov1.PolicyRequest{Votes: uint32(votes), OwnerSignature: sig}))
	await(c.t, "everybody knows the policy", func() bool {
		for _, n := range c.live() {
			records, _ := n.members.state()
			if _, need := catalog.PolicyOf(records); need != votes {
				return false
			}
		}
		return true
	})
}

func (c *cluster) waiting(by *Node) *holov1.PendingNode {
	c.t.Helper()
	r, err := by.ListMembers(context.Background(), door.Caller{})
	must(c.t, err)
	if len(r.Pending) == 0 {
		return nil
	}
	return r.Pending[0]
}

// The attack of E2-2, on real nodes: a valid invite without the votes, with
// forged ones and with one short stays outside; with all of them it is in.
func TestNodeStaysPendingUntilTheVotesAreIn(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	n := c.nodes[0]
	c.wantVotes(n, 2)
	invite := c.invite(time.Hour)
	dir := filepath.Join(c.root, "late")
	var have atomic.Int64
	have.Store(-1)
	joined := make(chan error, 1)
	g := wait.NewGroup()
	defer g.Close()
	g.Run(func(ctx context.Context) {
		_, err := Join(ctx, JoinConfig{
			Dir: dir, ConfigDir: dir + "-config", Invite: invite.Text(), NodeName: "late",
			Waiting: func(h, _ int) { have.Store(int64(h)) },
		})
		joined <- err
	})
	await(t, "the node waits, and knows", func() bool { return have.Load() == 0 && c.waiting(n) != nil })
	p := c.waiting(n)
	id := holo.NodeID(p.Node)
	if p.Name != "late" || p.Need != 2 {
		t.Errorf("pending %v", p)
	}

	// Nothing but a request to join is heard from it, and it is no node.
	s := &stranger{t: t, signer: must1(identity.ReadSigner(filepath.Join(dir, identity.NodeKeyFile)))(t), link: newStranger(t).link}
	before := n.refusals.all()[reasonMembership]
	if session, err := s.dial(n, s.local(n.cluster, handshake.KindNode, n.clusterPSK())); err == nil {
		session.Close("test")
		t.Error("a pending node was let in as a node")
	}
	refused(t, n, reasonMembership, before)
	before = n.refusals.all()[reasonNotAllowed]
	session, err := s.dial(n, s.local(n.cluster, handshake.KindJoin, invite.PSK()))
	must(t, err)
	st, err := session.Open(ctx)
	must(t, err)
	must(t, st.WriteMessage(&wire.RangeRead{Array: 1, Run: wire.PageRun{Count: 1}}))
	if m, err := st.ReadMessage(); err != nil || m.(*wire.Failure).Reason != reasonNotAllowed {
		t.Errorf("a pending node asked for a page and got %+v, %v", m, err)
	}
	session.Close("test")
	refused(t, n, reasonNotAllowed, before)

	// A forged vote of the owner, by somebody who has only a node's key.
	records, _ := n.members.state()
	policy, _ := catalog.PolicyOf(records)
	proof := api.VoteProof(n.cluster, policy, id, [32]byte(p.InviteKey), [32]byte(p.HandshakeHash), p.Name)
	before = n.refusals.all()["bad_vote"]
	_, err = n.Approve(ctx, door.Caller{}, &holov1.ApproveRequest{Node: p.Node, OwnerSignature: n.home.signer.Sign(proof)})
	wantRefused(t, err, holo.Denied, "bad_vote")
	refused(t, n, "bad_vote", before)

	a, err := c.nodes[1].Approve(ctx, door.Caller{}, &holov1.ApproveRequest{Node: p.Node})
	must(t, err)
	if a.Admitted || a.Have != 1 {
		t.Errorf("after one vote of two: %v", a)
	}
	_, err = c.nodes[1].Approve(ctx, door.Caller{}, &holov1.ApproveRequest{Node: p.Node})
	wantRefused(t, err, holo.Exists, "voted_already")
	await(t, "the node hears of the vote", func() bool { return have.Load() == 1 })
	for _, m := range c.nodes {
		if m.members.has(id) {
			t.Error("it is a member with one vote of two")
		}
	}
	if _, err := os.Stat(filepath.Join(dir, identity.ClusterKeyFile)); err == nil {
		t.Error("a pending node has the cluster's key")
	}
	select {
	case err := <-joined:
		t.Fatalf("the join ended with one vote of two: %v", err)
	default:
	}

	a, err = n.Approve(ctx, door.Caller{}, &holov1.ApproveRequest{Node: p.Node, OwnerSignature: c.owner().Sign(proof)})
	must(t, err)
	if !a.Admitted {
		t.Errorf("after two votes: %v", a)
	}
	must(t, <-joined)
	await(t, "every node has verified the votes for itself", func() bool {
		for _, m := range c.nodes {
			if !m.members.has(id) {
				return false
			}
		}
		return true
	})
	onRecord(t, n, "auth.failed", reasonMembership)
	records, _ = c.nodes[2].members.state()
	if last := records[len(records)-1]; last.Node != id || len(last.Votes) != 2 {
		t.Errorf("the record does not list the votes: %+v", last)
	}
}

func must1[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// A Raft leader that lies orders an admission that has one vote of two. The
// others learn it from the leader, and every one refuses it for itself.
func TestAdmissionOfALyingLeaderIsRefusedByTheNodes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	n := c.nodes[1]
	c.wantVotes(n, 2)
	invite := c.invite(time.Hour)
	s := newStranger(t)
	records, _ := n.members.state()
	head := records[len(records)-1]
	policy, _ := catalog.PolicyOf(records)
	forged := wire.ChainRecord{
		Prev: catalog.RecordHash(&head), Kind: wire.ChainAdmit, Time: unixNow(), Node: s.signer.Public(), Name: "forged",
		InviteKey: invite.Signer().Public(), Expires: invite.Expires.Unix(),
	}
	copy(forged.InviteSig[:], invite.Signer().Sign(wire.AdmitProof(n.cluster, forged.Node, forged.HandshakeHash)))
	copy(forged.OwnerSig[:], c.owner().Sign(api.InviteProof(n.cluster, forged.InviteKey[:], forged.Expires)))
	vote := wire.Vote{Voter: n.self}
	copy(vote.Sig[:], n.home.signer.Sign(api.VoteProof(n.cluster, policy, forged.Node, forged.InviteKey, forged.HandshakeHash, forged.Name)))
	for _, votes := range [][]wire.Vote{nil, {vote}, {vote, vote}} {
		before := n.refusals.all()["bad_chain"]
		forged.Votes = votes
		n.learnMembers(&wire.CatalogFeed{Version: 1 << 40, First: uint32(len(records)), Chain: []wire.ChainRecord{forged}})
		if n.members.has(forged.Node) {
			t.Errorf("admitted with %d votes", len(votes))
		}
		refused(t, n, "bad_chain", before)
	}
}
