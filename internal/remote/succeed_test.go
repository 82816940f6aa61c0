package remote

import (
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// line is a founder whose key was replaced: a chain of one node.
type line struct {
	founder
	owners []key.Signer // after the founder
}

func (l line) then(next ...key.Signer) line {
	return line{l.founder, slices.Concat(l.owners, next)}
}

func (l line) owner() holo.PrincipalID {
	if len(l.owners) == 0 {
		return l.founder.owner.Public()
	}
	return l.owners[len(l.owners)-1].Public()
}

// proof is what the node of the genesis shows. Forged: only the next keys have
// signed.
func (l line) proof(node holo.NodeID, forged bool) []byte {
	msg, _ := wire.Decode(l.founder.proof(node))
	genesis := msg.(*wire.ChainRecord)
	m := &wire.MembershipProof{Founder: l.founder.owner.Public(), Admission: *genesis, Stands: [][32]byte{catalog.RecordHash(genesis)}}
	stands := catalog.StandsOf([]catalog.ChainMember{{Admission: m.Stands[0]}})
	old := l.founder.owner
	for _, next := range l.owners {
		r := wire.ChainRecord{Kind: wire.ChainOwner, Owner: next.Public(), Stands: stands}
		p := api.OwnerProof(l.cluster, r.Prev, old.Public(), r.Owner, stands)
		if forged {
			old = next
		}
		copy(r.OwnerSig[:], old.Sign(p))
		copy(r.NextSig[:], next.Sign(p))
		m.Owners = append(m.Owners, r)
		old = next
	}
	return wire.Encode(m)
}

func (l line) member(t *testing.T, listen string, forged bool) *face {
	if len(l.owners) == 0 {
		return l.founder.member(t, listen)
	}
	return answer(t, listen, l.cluster, l.owner(), func(n holo.NodeID) []byte { return l.proof(n, forged) })
}

func (u user) pin(id holo.ClusterID) identity.Pin {
	k, err := identity.ReadKnown(u.config + "/" + identity.KnownFile)
	must(u.t, err)
	p, _ := k.Find(id)
	return p
}

// The key that is pinned vouches for the next one, over several steps at once, and
// nobody asks; what it has not signed is an alarm, and nothing leads back.
func TestPinFollowsTheOwnerThatTheOldOneVouchesForAndNoOther(t *testing.T) {
	first := line{founder: newFounder(1)}
	second := first.then(key.GenerateSigner())
	fourth := second.then(key.GenerateSigner(), key.GenerateSigner())
	thief := first.then(key.GenerateSigner())

	u := newUser(t)
	n := first.member(t, anyPort, false)
	where := at(n)
	must(t, u.open(Wanted{Addresses: where, Trust: trusting}))
	pinned := u.pin(first.cluster)
	must(t, n.Close())

	n = thief.member(t, where[0], true)
	wantReason(t, u.open(Wanted{Addresses: where}), identity.ReasonPinMismatch)
	if p := u.pin(first.cluster); !p.Same(pinned) || n.told.Load() != 0 {
		t.Errorf("the pin is %+v, the client said who it is (%d)", p, n.told.Load())
	}
	must(t, n.Close())

	n = fourth.member(t, where[0], false)
	must(t, u.open(Wanted{Addresses: where, Fingerprint: pinned.Fingerprint()}))
	p := u.pin(first.cluster)
	if p.Owner != fourth.owner() || !slices.Equal(p.Former, []holo.PrincipalID{first.owner(), second.owner(), holo.PrincipalID(fourth.owners[1].Public())}) {
		t.Fatalf("the pin is %+v", p)
	}
	must(t, u.open(Wanted{Addresses: at(fourth.member(t, anyPort, false))})) // at an address of its own
	must(t, n.Close())

	for what, old := range map[string]line{"the founder": first, "the second": second} {
		n := old.member(t, where[0], false)
		err := u.open(Wanted{Addresses: where})
		if holo.KindOf(err) != holo.Unavailable || holo.ReasonOf(err) != ReasonUnreachable || n.told.Load() != 0 {
			t.Errorf("a node that shows %s: %v, told %d times", what, err, n.told.Load())
		}
		must(t, n.Close())
	}
	n = thief.member(t, where[0], false) // the stolen key of the founder, and a successor of its own
	wantReason(t, u.open(Wanted{Addresses: where}), identity.ReasonPinMismatch)
	if now := u.pin(first.cluster); !now.Same(p) || n.told.Load() != 0 {
		t.Errorf("the pin went back to %+v, or the client said who it is (%d)", now, n.told.Load())
	}
}

func TestPinHoldsAsManyOwnersAsAClusterCanHave(t *testing.T) {
	if identity.MaxFormer != wire.MaxOwners-1 {
		t.Errorf("a pin holds %d former owners, a cluster has %d", identity.MaxFormer, wire.MaxOwners-1)
	}
}
