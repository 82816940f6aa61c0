package wire

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/protocol"
)

func (m *ChainRecord) encode(e *Encoder) {
	e.Fixed(m.Prev[:])
	e.U8(uint8(m.Kind))
	e.U64(uint64(m.Time))
	e.Fixed(m.Node[:])
	switch m.Kind {
	case ChainGenesis:
		e.String(m.Name)
		e.Fixed(m.Owner[:])
	case ChainAdmit:
		e.String(m.Name)
		e.Fixed(m.InviteKey[:])
		e.U64(uint64(m.Expires))
		e.Fixed(m.HandshakeHash[:])
		e.Fixed(m.InviteSig[:])
		encodeVotes(e, m.Votes)
	case ChainPolicy:
		e.U8(m.Need)
	case ChainOwner:
		e.Fixed(m.Owner[:])
		e.Fixed(m.Stands[:])
		e.Fixed(m.NextSig[:])
	case ChainEvict:
		e.Fixed(m.Admission[:])
		e.Bool(m.LoseData)
	}
	e.Fixed(m.OwnerSig[:])
}

func (m *ChainRecord) decode(d *Decoder) {
	d.Fixed(m.Prev[:])
	m.Kind = ChainKind(d.U8())
	d.Valid(m.Kind > 0 && m.Kind < chainKinds, "kind of membership record")
	m.Time = int64(d.U64())
	d.Fixed(m.Node[:])
	switch m.Kind {
	case ChainGenesis:
		m.Name = d.String(MaxName)
		d.Fixed(m.Owner[:])
	case ChainAdmit:
		m.Name = d.String(MaxName)
		d.Fixed(m.InviteKey[:])
		m.Expires = int64(d.U64())
		d.Fixed(m.HandshakeHash[:])
		d.Fixed(m.InviteSig[:])
		m.Votes = decodeVotes(d)
	case ChainPolicy:
		m.Need = d.U8()
		d.Valid(m.Need <= MaxVotes, "number of votes")
	case ChainOwner:
		d.Fixed(m.Owner[:])
		d.Fixed(m.Stands[:])
		d.Fixed(m.NextSig[:])
	case ChainEvict:
		d.Fixed(m.Admission[:])
		m.LoseData = d.Bool()
	}
	d.Fixed(m.OwnerSig[:])
}

func (m *ClusterInit) encode(e *Encoder) {
	m.Genesis.encode(e)
	m.Place.encode(e)
	e.speaks(m.Speaks)
	encodeSecret(e, m.Key)
}

func (m *ClusterInit) decode(d *Decoder) {
	m.Genesis.decode(d)
	m.Place.decode(d)
	m.Speaks = d.speaks()
	m.Key = decodeSecret(d)
}

func (m *Place) encode(e *Encoder) {
	encodeStrings(e, m.Addresses)
	e.U64(m.Capacity)
	e.U64(m.Spill)
}

func (m *Place) decode(d *Decoder) {
	m.Addresses = decodeStrings(d, maxAddresses, maxAddress)
	m.Capacity = d.U64()
	m.Spill = d.U64()
}

func (m *InvitePut) encode(e *Encoder) {
	e.Fixed(m.InviteKey[:])
	e.Fixed(m.PSKID[:])
	encodeSecret(e, m.PSK)
	e.U64(uint64(m.Expires))
	e.Fixed(m.OwnerSig[:])
	e.Bool(m.Client)
	e.U8(uint8(m.Role))
	e.Fixed(m.RoleSig[:])
}

func (m *InvitePut) decode(d *Decoder) {
	d.Fixed(m.InviteKey[:])
	d.Fixed(m.PSKID[:])
	m.PSK = decodeSecret(d)
	m.Expires = int64(d.U64())
	d.Valid(m.Expires >= 0, "time")
	d.Fixed(m.OwnerSig[:])
	m.Client = d.Bool()
	m.Role = holo.Role(d.U8())
	d.Valid(m.Role == 0 || m.Role.Valid(), "role")
	d.Fixed(m.RoleSig[:])
}

func (m *InviteRecord) encode(e *Encoder) {
	m.Invite.encode(e)
	e.Fixed(m.Bound[:])
}

func (m *InviteRecord) decode(d *Decoder) {
	m.Invite.decode(d)
	d.Fixed(m.Bound[:])
}

func (m *ClientEnrol) encode(e *Encoder) {
	e.Fixed(m.Client[:])
	e.String(m.Label)
	e.Fixed(m.InviteKey[:])
	e.Fixed(m.HandshakeHash[:])
	e.Fixed(m.InviteSig[:])
}

func (m *ClientEnrol) decode(d *Decoder) {
	d.Fixed(m.Client[:])
	m.Label = d.String(MaxName)
	d.Fixed(m.InviteKey[:])
	d.Fixed(m.HandshakeHash[:])
	d.Fixed(m.InviteSig[:])
}

func (m *Admit) encode(e *Encoder) {
	e.Fixed(m.Node[:])
	e.String(m.Name)
	m.Place.encode(e)
	e.Fixed(m.InviteKey[:])
	e.Fixed(m.HandshakeHash[:])
	e.Fixed(m.InviteSig[:])
	e.Fixed(m.User[:])
	e.Fixed(m.UserSig[:])
}

func (m *Admit) decode(d *Decoder) {
	d.Fixed(m.Node[:])
	m.Name = d.String(MaxName)
	m.Place.decode(d)
	d.Fixed(m.InviteKey[:])
	d.Fixed(m.HandshakeHash[:])
	d.Fixed(m.InviteSig[:])
	d.Fixed(m.User[:])
	d.Fixed(m.UserSig[:])
}

func (m *Evict) encode(e *Encoder) {
	e.Fixed(m.Node[:])
	e.Fixed(m.Admission[:])
	e.Bool(m.LoseData)
	e.Fixed(m.OwnerSig[:])
}

func (m *Evict) decode(d *Decoder) {
	d.Fixed(m.Node[:])
	d.Fixed(m.Admission[:])
	m.LoseData = d.Bool()
	d.Fixed(m.OwnerSig[:])
}

func (m *NodeAddress) encode(e *Encoder) {
	e.Fixed(m.Node[:])
	m.Place.encode(e)
	e.speaks(m.Speaks)
}

func (m *NodeAddress) decode(d *Decoder) {
	d.Fixed(m.Node[:])
	m.Place.decode(d)
	m.Speaks = d.speaks()
}

func (m *NodeRecord) encode(e *Encoder) {
	e.Fixed(m.Node[:])
	e.String(m.Name)
	m.Place.encode(e)
	e.speaks(m.Speaks)
	e.U64(uint64(m.Joined))
	e.Fixed(m.Admission[:])
	e.U64(uint64(m.Incarnation))
	e.Bool(m.Alive)
	e.Bool(m.Draining)
	e.U32(m.Held)
	e.U64(m.Changed)
}

func (m *NodeRecord) decode(d *Decoder) {
	d.Fixed(m.Node[:])
	m.Name = d.String(MaxName)
	m.Place.decode(d)
	m.Speaks = d.speaks()
	m.Joined = int64(d.U64())
	d.Fixed(m.Admission[:])
	m.Incarnation = holo.Incarnation(d.U64())
	m.Alive = d.Bool()
	m.Draining = d.Bool()
	m.Held = d.U32()
	m.Changed = d.U64()
}

func (m *CatalogFeed) encode(e *Encoder) {
	e.U64(m.Version)
	e.U32(m.First)
	encodeChain(e, m.Chain)
	e.Count(len(m.Nodes))
	for i := range m.Nodes {
		m.Nodes[i].encode(e)
	}
	e.U64(m.Epoch)
	e.Bool(m.Settled)
	e.U64(m.Access)
	e.U8(uint8(m.Speaks))
}

func (m *CatalogFeed) decode(d *Decoder) {
	m.Version = d.U64()
	m.First = d.U32()
	m.Chain = decodeChain(d)
	for range d.Count(MaxNodes, nodeRecordBytes) {
		var r NodeRecord
		r.decode(d)
		m.Nodes = append(m.Nodes, r)
	}
	m.Epoch = d.U64()
	m.Settled = d.Bool()
	m.Access = d.U64()
	m.Speaks = protocol.Version(d.U8())
}

func (m *Farewell) encode(e *Encoder) {
	e.U32(m.First)
	encodeChain(e, m.Chain)
}

func (m *Farewell) decode(d *Decoder) {
	m.First = d.U32()
	m.Chain = decodeChain(d)
}

func encodeChain(e *Encoder, chain []ChainRecord) {
	e.Count(len(chain))
	for i := range chain {
		chain[i].encode(e)
	}
}

func decodeChain(d *Decoder) (chain []ChainRecord) {
	for range d.Count(MaxChain, chainRecordBytes) {
		var r ChainRecord
		r.decode(d)
		chain = append(chain, r)
	}
	return chain
}

func (m *Vote) encode(e *Encoder) {
	e.Fixed(m.Voter[:])
	e.Fixed(m.Sig[:])
}

func (m *Vote) decode(d *Decoder) {
	d.Fixed(m.Voter[:])
	d.Fixed(m.Sig[:])
}

func encodeVotes(e *Encoder, votes []Vote) {
	e.Count(len(votes))
	for i := range votes {
		votes[i].encode(e)
	}
}

func decodeVotes(d *Decoder) (votes []Vote) {
	for range d.Count(MaxVotes, 96) {
		var v Vote
		v.decode(d)
		votes = append(votes, v)
	}
	return votes
}

func (m *AdmitVote) encode(e *Encoder) {
	e.Fixed(m.Node[:])
	m.Vote.encode(e)
}

func (m *AdmitVote) decode(d *Decoder) {
	d.Fixed(m.Node[:])
	m.Vote.decode(d)
}

func (m *PendingRecord) encode(e *Encoder) {
	m.Admit.encode(e)
	e.U64(uint64(m.Expires))
	e.U64(uint64(m.Since))
	e.Fixed(m.Policy[:])
	e.U8(m.Need)
	encodeVotes(e, m.Votes)
}

func (m *PendingRecord) decode(d *Decoder) {
	m.Admit.decode(d)
	m.Expires = int64(d.U64())
	m.Since = int64(d.U64())
	d.Fixed(m.Policy[:])
	m.Need = d.U8()
	m.Votes = decodeVotes(d)
}

func (m *PolicyPut) encode(e *Encoder) {
	e.U8(m.Need)
	e.Fixed(m.OwnerSig[:])
}

func (m *PolicyPut) decode(d *Decoder) {
	m.Need = d.U8()
	d.Valid(m.Need <= MaxVotes, "number of votes")
	d.Fixed(m.OwnerSig[:])
}
