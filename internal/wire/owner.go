package wire

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// MaxOwners is how many keys may rule a cluster, one after another. A proof of
// membership carries the way from the first to the last, and stays small:
//
//	15 records of 267 bytes, 64 hashes of 32 bytes, one admission of 1.1 KiB
const MaxOwners = 16

// OwnerSuccession puts another key in the place of the owner's. Both sign
// api.OwnerProof. The answer is the AccessHead that it begins.
type OwnerSuccession struct {
	Prev    [32]byte // end of the chain that it follows
	Next    holo.PrincipalID
	Stands  [32]byte // hash of the admissions of those who are members then
	OldSig  [64]byte
	NextSig [64]byte
	Epoch   uint64 // access epoch that the vouchers are signed over
	Keys    []TokenKeyVoucher
}

// TokenKeyVoucher is the next owner's word for a token key that was registered
// under the one before. One without a voucher is forgotten.
type TokenKeyVoucher struct {
	Key        [key.Size]byte
	Registrant holo.PrincipalID // the next owner where it was the one before
	Sig        [64]byte         // the next owner's, over TokenKeyProof of a prepared key
}

// MembershipProof shows, to who knows any owner that the cluster ever had, that
// a node was let in by its owner: the successions, and the node's own record.
// Who was admitted under an earlier owner shows what the last one has vouched for.
type MembershipProof struct {
	Founder   holo.PrincipalID // whom the first succession follows
	Owners    []ChainRecord    // the successions, in order, at most MaxOwners-1
	Stands    [][32]byte       // of the last succession; empty: the node was admitted since
	Admission ChainRecord
}

// Parting tells a node that was put out while it was off what the owner has said
// of it, and how somebody who knows an earlier owner comes to that one.
type Parting struct {
	Founder holo.PrincipalID
	Owners  []ChainRecord // the successions, in order, at most MaxOwners-1
	Evict   ChainRecord
}

const (
	typeOwnerSuccession = Type(0x0414)
	typeMembershipProof = Type(0x0415)
	typeParting         = Type(0x0416)
)

// Type is the number on the wire.
func (*OwnerSuccession) Type() Type { return typeOwnerSuccession }
func (*MembershipProof) Type() Type { return typeMembershipProof }
func (*Parting) Type() Type         { return typeParting }

var _ = []struct{}{register[OwnerSuccession](), register[MembershipProof](), register[Parting]()}

func (m *OwnerSuccession) encode(e *Encoder) {
	e.Fixed(m.Prev[:])
	e.Fixed(m.Next[:])
	e.Fixed(m.Stands[:])
	e.Fixed(m.OldSig[:])
	e.Fixed(m.NextSig[:])
	e.U64(m.Epoch)
	e.Count(len(m.Keys))
	for i := range m.Keys {
		e.Fixed(m.Keys[i].Key[:])
		e.Fixed(m.Keys[i].Registrant[:])
		e.Fixed(m.Keys[i].Sig[:])
	}
}

func (m *OwnerSuccession) decode(d *Decoder) {
	d.Fixed(m.Prev[:])
	d.Fixed(m.Next[:])
	d.Fixed(m.Stands[:])
	d.Fixed(m.OldSig[:])
	d.Fixed(m.NextSig[:])
	m.Epoch = d.U64()
	for range d.Count(MaxTokenKeys, 128) {
		var v TokenKeyVoucher
		d.Fixed(v.Key[:])
		d.Fixed(v.Registrant[:])
		d.Fixed(v.Sig[:])
		m.Keys = append(m.Keys, v)
	}
}

func (m *MembershipProof) encode(e *Encoder) {
	e.Fixed(m.Founder[:])
	encodeChain(e, m.Owners)
	e.Count(len(m.Stands))
	for i := range m.Stands {
		e.Fixed(m.Stands[i][:])
	}
	m.Admission.encode(e)
}

func (m *MembershipProof) decode(d *Decoder) {
	d.Fixed(m.Founder[:])
	m.Owners = decodeOwners(d)
	for range d.Count(MaxNodes, 32) {
		var h [32]byte
		d.Fixed(h[:])
		m.Stands = append(m.Stands, h)
	}
	m.Admission.decode(d)
}

func decodeOwners(d *Decoder) (owners []ChainRecord) {
	for range d.Count(MaxOwners-1, chainRecordBytes) {
		var r ChainRecord
		r.decode(d)
		owners = append(owners, r)
	}
	return owners
}

func (m *Parting) encode(e *Encoder) {
	e.Fixed(m.Founder[:])
	encodeChain(e, m.Owners)
	m.Evict.encode(e)
}

func (m *Parting) decode(d *Decoder) {
	d.Fixed(m.Founder[:])
	m.Owners = decodeOwners(d)
	m.Evict.decode(d)
}
