package catalog

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// clientInvite is an invite for one client, good until expires.
func clientInvite(name string, role holo.Role) *wire.InvitePut {
	m := inviteAs(name, role)
	m.Client = true
	copy(m.OwnerSig[:], signer("owner").Sign(api.ClientInviteProof(cluster, m.InviteKey[:], m.Expires)))
	return m
}

func enrol(name, by string) *wire.ClientEnrol {
	m := &wire.ClientEnrol{Client: principal(name), Label: name, InviteKey: signer(by).Public()}
	m.HandshakeHash = sha256.Sum256([]byte(name))
	copy(m.InviteSig[:], signer(by).Sign(wire.EnrolProof(cluster, m.Client, m.HandshakeHash)))
	return m
}

func TestClientInviteEnrolsOneClientOnce(t *testing.T) {
	w := ungranted(t, 1)
	before := w.AccessEpoch()
	w.do(clientInvite("i", holo.RoleReader))
	first := w.do(enrol("anna", "i")).(*wire.GrantRecord)
	if a := first.Access; a.Principal != principal("anna") || a.Role != holo.RoleReader || a.Label != "anna" || first.By != ownerID() {
		t.Fatalf("%+v", first)
	}
	if w.AccessEpoch() != before+1 {
		t.Error("no node learns of the grant")
	}
	if again := w.do(enrol("anna", "i")).(*wire.GrantRecord); again.ID != first.ID || len(w.Grants()) != 1 {
		t.Error("the same client got another grant")
	}
	w.refused(ReasonInviteBound, enrol("bert", "i"))
	w.do(clientInvite("j", holo.RoleReader))
	if err := w.refused("", enrol("anna", "j")); holo.KindOf(err) != holo.Exists {
		t.Errorf("a second invite for the same key: %v", err)
	}
	if err := w.refused("", enrol("owner", "j")); holo.KindOf(err) != holo.Exists {
		t.Errorf("the owner as a client: %v", err)
	}
}

func TestClientInviteRefusals(t *testing.T) {
	w := settled(t, 1)
	w.refused(ReasonUnknownInvite, enrol("anna", "never put"))
	w.do(clientInvite("i", holo.RoleUser))
	stolen := enrol("anna", "i")
	stolen.Client = principal("bert") // the signature is for anna
	w.refused(ReasonInviteSig, stolen)
	otherSession := enrol("anna", "i")
	otherSession.HandshakeHash[0]++
	w.refused(ReasonInviteSig, otherSession)
	bad := enrol("anna", "i")
	bad.Label = "\x1b[2J"
	w.refused("", bad)
	small := enrol("anna", "i")
	small.Client = holo.PrincipalID{1} // the identity point
	copy(small.InviteSig[:], signer("i").Sign(wire.EnrolProof(cluster, small.Client, small.HandshakeHash)))
	w.refused("", small)
	for _, late := range []int64{expires + 1, 0} {
		if _, err := w.at(late, "", enrol("anna", "i")); holo.ReasonOf(err) != ReasonInviteExpired {
			t.Errorf("enrolled at %d: %v", late, err)
		}
	}
}

// Neither sort of invite does what the other does, though the owner signed it.
func TestInvitesOfNodesAndClientsAreNotMistaken(t *testing.T) {
	w := settled(t, 1)
	w.do(inviteAs("n", holo.RoleUser))
	w.do(clientInvite("c", holo.RoleUser))
	w.refused(ReasonInviteKind, admit(2, "c"))
	w.refused(ReasonInviteKind, enrol("anna", "n"))

	asNode := clientInvite("x", holo.RoleUser)
	asNode.Client = false
	w.refused(ReasonOwnerSig, asNode)
	asClient := inviteAs("x", holo.RoleUser)
	asClient.Client = true
	w.refused(ReasonOwnerSig, asClient)

	// A leader that lies about the mark makes no admission that anybody believes.
	r := w.chain.records[0]
	signed := clientInvite("x", holo.RoleUser)
	forged := wire.ChainRecord{Prev: w.chain.head, Kind: wire.ChainAdmit, Time: r.Time, Node: node(2), Name: "box2", InviteKey: signed.InviteKey, Expires: expires, OwnerSig: signed.OwnerSig}
	copy(forged.InviteSig[:], signer("x").Sign(wire.AdmitProof(cluster, node(2), forged.HandshakeHash)))
	if err := w.chain.append(&forged); holo.ReasonOf(err) != ReasonBadChain {
		t.Errorf("a client's invite in the chain: %v", err)
	}

	samePSK := clientInvite("y", holo.RoleUser)
	samePSK.PSKID = invite("n", expires).PSKID
	if err := w.refused("", samePSK); holo.KindOf(err) != holo.Exists {
		t.Errorf("two invites found by one key: %v", err)
	}
}

func TestOnlyTheOwnerInvitesClients(t *testing.T) {
	w := settled(t, 1)
	raised := clientInvite("i", holo.RoleReader)
	raised.Role = holo.RoleAdmin // not what was signed
	w.refused(ReasonOwnerSig, raised)
	later := clientInvite("i", holo.RoleReader)
	later.Expires++
	w.refused(ReasonOwnerSig, later)
	if err := w.refused("", clientInvite("i", holo.RoleOwner)); holo.KindOf(err) != holo.Invalid {
		t.Errorf("a client as owner: %v", err)
	}
	idle := clientInvite("i", holo.RoleReader)
	idle.Role = 0
	w.refused("", idle)
}

// A client is put out as everybody is: by revoking what was granted to it.
func TestRevokedClientDoesNotEnrolAgainByItsInvite(t *testing.T) {
	w := settled(t, 1)
	w.do(clientInvite("i", holo.RoleUser))
	r := w.do(enrol("anna", "i")).(*wire.GrantRecord)
	w.do(revoke(w, "owner", r.ID))
	w.refused(ReasonInviteBound, enrol("anna", "i"))
	w.do(clientInvite("j", holo.RoleUser))
	w.do(enrol("anna", "j"))
}

func TestEnrolmentNeedsRoomForItsGrant(t *testing.T) {
	w := ungranted(t, 1)
	w.do(clientInvite("i", holo.RoleUser))
	for i := range MaxGrants {
		w.grant("owner", give(fmt.Sprint("p", i), holo.RoleReader, holo.Scope{}))
	}
	w.refused(ReasonFull, enrol("anna", "i"))
	if r, _ := w.InviteByPSK(invite("i", expires).PSKID); r.Bound != [32]byte{} {
		t.Error("the refused enrolment has used the invite up")
	}
}
