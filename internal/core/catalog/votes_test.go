package catalog

import (
	"bytes"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/claim"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

func policy(w *town, by string, need uint8) *wire.PolicyPut {
	m := &wire.PolicyPut{Need: need}
	copy(m.OwnerSig[:], signer(by).Sign(api.PolicyProof(cluster, w.chain.head, need)))
	return m
}

// vote is by a key's name, for what a node asked, under a policy.
func vote(by string, p *wire.PendingRecord, policy [32]byte) *wire.AdmitVote {
	v := wire.Vote{Voter: signer(by).Public()}
	a := &p.Admit
	copy(v.Sig[:], signer(by).Sign(api.VoteProof(cluster, policy, a.Node, a.InviteKey, a.HandshakeHash, a.Name)))
	return &wire.AdmitVote{Node: a.Node, Vote: v}
}

// team is a town of three members where an admission needs two votes, and node
// 4 waits for them.
func team(t *testing.T) (*town, *wire.PendingRecord) {
	w := settled(t, 3)
	w.do(policy(w, "owner", 2))
	w.do(invite("i", expires))
	return w, w.do(admit(4, "i")).(*wire.PendingRecord)
}

func TestNodeWaitsUntilEnoughMembersHaveVoted(t *testing.T) {
	w, p := team(t)
	if p.Need != 2 || len(p.Votes) != 0 || len(w.Members()) != 3 {
		t.Fatalf("pending %+v, %d members", p, len(w.Members()))
	}
	again := admit(4, "i")
	again.HandshakeHash[0]++ // another session
	copy(again.InviteSig[:], signer("i").Sign(wire.AdmitProof(cluster, again.Node, again.HandshakeHash)))
	if got := w.do(again).(*wire.PendingRecord); got.Admit.HandshakeHash != p.Admit.HandshakeHash {
		t.Error("what the votes are about changed when the node asked again")
	}
	w.refused(ReasonInviteBound, admit(5, "i"))
	if one := w.do(vote("node 1", p, p.Policy)).(*wire.PendingRecord); len(one.Votes) != 1 || len(w.Members()) != 3 {
		t.Fatalf("after one vote: %+v", one)
	}
	w.refused(ReasonVoteTwice, vote("node 1", p, p.Policy))
	r := w.do(vote("owner", p, p.Policy)).(*wire.ChainRecord)
	if len(r.Votes) != 2 || r.Node != node(4) || len(w.Pending()) != 0 {
		t.Errorf("admission %+v", r)
	}
	members, err := VerifyChain(cluster, ownerID(), w.Chain())
	if err != nil || len(members) != 4 {
		t.Errorf("%d members, %v", len(members), err)
	}
	if got := w.do(again).(*wire.ChainRecord); !sameRecord(*got, *r) {
		t.Error("the node that asks again does not get its admission")
	}
}

func TestVotesThatDoNotCount(t *testing.T) {
	w, p := team(t)
	for name, v := range map[string]*wire.AdmitVote{
		"of a stranger":              vote("mallory", p, p.Policy),
		"of the node itself":         vote("node 4", p, p.Policy),
		"of a node that is none yet": vote("node 5", p, p.Policy),
		"under another policy":       vote("node 1", p, [32]byte{1}),
		"under none":                 vote("node 1", p, [32]byte{}),
	} {
		if _, err := w.at(now, "", v); holo.ReasonOf(err) != ReasonVote {
			t.Errorf("a vote %s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*wire.Admit){
		"another node":      func(a *wire.Admit) { a.Node = node(5) },
		"another invite":    func(a *wire.Admit) { a.InviteKey[0]++ },
		"another handshake": func(a *wire.Admit) { a.HandshakeHash[0]++ },
		"another name":      func(a *wire.Admit) { a.Name = "box9" },
	} {
		other := *p
		change(&other.Admit)
		v := vote("node 1", &other, p.Policy)
		v.Node = node(4)
		if _, err := w.at(now, "", v); holo.ReasonOf(err) != ReasonVote {
			t.Errorf("a vote for %s: %v", name, err)
		}
	}
	v := vote("node 1", p, p.Policy)
	copy(v.Vote.Sig[:], signer("node 1").Sign(api.VoteProof(holo.ClusterID{9}, p.Policy, p.Admit.Node, p.Admit.InviteKey, p.Admit.HandshakeHash, p.Admit.Name)))
	w.refused(ReasonVote, v)
	if _, err := w.at(expires+1, "", vote("node 1", p, p.Policy)); err == nil {
		t.Error("a vote after the invite expired")
	}
	if got := w.Pending(); len(got) != 1 || len(got[0].Votes) != 0 {
		t.Errorf("pending %+v", got)
	}
}

// Votes of before a change of the policy, of a voter who was evicted, and for an
// admission that has ended, are worth nothing.
func TestVotesOfThePastDoNotCount(t *testing.T) {
	w, p := team(t)
	early := vote("node 1", p, p.Policy)
	w.do(early)
	w.do(policy(w, "owner", 2))
	w.refused(ReasonVote, early)
	fresh := w.do(vote("node 1", p, w.chain.policy)).(*wire.PendingRecord)
	if len(fresh.Votes) != 1 {
		t.Fatalf("the vote of before the change is counted: %+v", fresh)
	}
	w.do(vote("node 2", p, w.chain.policy))

	w.do(invite("j", expires))
	q := w.do(admit(5, "j")).(*wire.PendingRecord)
	w.do(vote("node 3", q, w.chain.policy))
	w.do(evict(w, 3))
	if got := w.do(vote("node 1", q, w.chain.policy)).(*wire.PendingRecord); len(got.Votes) != 1 {
		t.Errorf("the vote of an evicted node is counted: %+v", got)
	}
	w.do(vote("node 2", q, w.chain.policy))
	if len(w.Members()) != 4 {
		t.Errorf("%d members", len(w.Members()))
	}

	w.do(evict(w, 4))
	w.do(invite("k", expires))
	w.do(admit(4, "k"))
	replayed := *vote("node 1", p, w.chain.policy) // for its first admission
	w.refused(ReasonVote, &replayed)
}

// A leader that lies orders what it likes; the record is judged by everybody.
func TestAdmissionWithoutItsVotesIsRefusedByEveryNode(t *testing.T) {
	w, p := team(t)
	w.do(vote("node 1", p, p.Policy))
	w.do(vote("node 3", p, p.Policy))
	records := w.Chain()
	last := len(records) - 1
	other := *p
	other.Admit.Node = node(5)
	forge := func(change func(*wire.ChainRecord)) error {
		chain := slices.Clone(records)
		chain[last].Votes = slices.Clone(chain[last].Votes)
		change(&chain[last])
		_, err := VerifyChain(cluster, ownerID(), chain)
		return err
	}
	stranger := vote("mallory", p, p.Policy).Vote
	sortVotes := func(v []wire.Vote) []wire.Vote {
		slices.SortFunc(v, func(a, b wire.Vote) int { return bytes.Compare(a.Voter[:], b.Voter[:]) })
		return v
	}
	for name, err := range map[string]error{
		"one vote short":    forge(func(r *wire.ChainRecord) { r.Votes = r.Votes[:1] }),
		"without votes":     forge(func(r *wire.ChainRecord) { r.Votes = nil }),
		"a voter twice":     forge(func(r *wire.ChainRecord) { r.Votes[1] = r.Votes[0] }),
		"votes swapped":     forge(func(r *wire.ChainRecord) { r.Votes[0], r.Votes[1] = r.Votes[1], r.Votes[0] }),
		"a stranger's vote": forge(func(r *wire.ChainRecord) { r.Votes = sortVotes([]wire.Vote{r.Votes[0], stranger}) }),
		"another node's vote": forge(func(r *wire.ChainRecord) {
			r.Votes = sortVotes([]wire.Vote{vote("node 1", p, p.Policy).Vote, vote("node 3", &other, p.Policy).Vote})
		}),
		"an old policy's vote": forge(func(r *wire.ChainRecord) {
			r.Votes = sortVotes([]wire.Vote{vote("node 1", p, p.Policy).Vote, vote("node 3", p, [32]byte{}).Vote})
		}),
		"its own vote": forge(func(r *wire.ChainRecord) {
			r.Votes = sortVotes([]wire.Vote{vote("node 1", p, p.Policy).Vote, vote("node 4", p, p.Policy).Vote})
		}),
		"one vote too many": forge(func(r *wire.ChainRecord) { r.Votes = sortVotes(append(r.Votes, vote("owner", p, p.Policy).Vote)) }),
		"another name":      forge(func(r *wire.ChainRecord) { r.Name = "box9" }),
	} {
		if holo.ReasonOf(err) != ReasonBadChain {
			t.Errorf("an admission with %s: %v", name, err)
		}
	}
	if _, err := VerifyChain(cluster, ownerID(), records); err != nil {
		t.Fatal(err)
	}
	withVotes := settled(t, 2)
	chain := slices.Clone(withVotes.Chain())
	chain[1].Votes = []wire.Vote{stranger}
	if _, err := VerifyChain(cluster, ownerID(), chain); holo.ReasonOf(err) != ReasonBadChain {
		t.Errorf("votes where no policy wants them: %v", err)
	}
}

func TestOnlyTheOwnerChangesThePolicy(t *testing.T) {
	w, p := team(t)
	w.refused(ReasonOwnerSig, policy(w, "node 1", 0))
	late := policy(w, "owner", 0)
	w.do(policy(w, "owner", 3))
	w.refused(ReasonOwnerSig, late) // signed for another place in the chain
	bent := policy(w, "owner", 3)
	bent.Need = 0
	w.refused(ReasonOwnerSig, bent)
	w.do(policy(w, "owner", 0))
	if r := w.do(admit(4, "i")).(*wire.ChainRecord); len(r.Votes) != 0 || len(w.Pending()) != 0 {
		t.Errorf("under the personal policy the invite is enough: %+v, still waiting for %+v", r, p)
	}
}

func TestSnapshotKeepsWhoWaits(t *testing.T) {
	w, p := team(t)
	w.do(vote("node 1", p, p.Policy))
	again := New(cluster, ownerID(), claim.Reader{})
	if err := again.Restore(w.Snapshot()); err != nil {
		t.Fatal(err)
	}
	if got := again.Pending(); len(got) != 1 || len(got[0].Votes) != 1 || got[0].Policy != p.Policy {
		t.Errorf("pending %+v", got)
	}
}
