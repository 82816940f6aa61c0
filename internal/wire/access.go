package wire

import "github.com/holocompute/holocompute/internal/holo"

// Access is a grant's content: a role for a principal, within a scope.
type Access struct {
	Principal holo.PrincipalID
	Label     string // for people, may be empty
	Role      holo.Role
	Scope     holo.Scope
	Release   bool // analyst: outputs do not inherit the inputs' read restrictions
}

// GrantPut grants an access. Who grants signs it (api.GrantProof) over the access
// epoch that they saw, so that it can neither be forged by whoever leads nor
// serve a second time. The answer is the GrantRecord.
type GrantPut struct {
	Access Access
	Epoch  uint64
	By     holo.PrincipalID
	Sig    [64]byte
}

// GrantRevoke ends a grant (api.RevokeProof).
type GrantRevoke struct {
	ID    uint64
	Epoch uint64
	By    holo.PrincipalID
	Sig   [64]byte
}

// Succession puts a principal's key in the place of another: all that was the
// old one's is the next one's. Both sign it (api.SuccessionProof), the old one
// because it gives, the next one so that nobody gives to a key that nobody
// holds. The answer is the AccessHead.
type Succession struct {
	Old     holo.PrincipalID
	Next    holo.PrincipalID
	Epoch   uint64
	OldSig  [64]byte
	NextSig [64]byte
}

// GrantRecord is a grant in force.
type GrantRecord struct {
	ID      uint64
	Access  Access
	By      holo.PrincipalID
	Created int64  // seconds since 1970
	Epoch   uint64 // that it began; what was signed is the one before
	Sig     [64]byte
}

// AccessHead begins the access state, in snapshots and in answers.
type AccessHead struct {
	Epoch     uint64 // counts the changes of who may do what
	LastGrant uint64
	Owner     holo.PrincipalID // in that epoch, by the chain
}

// JoinUserProof is what the invite key signs: who the newcomer's user is.
func JoinUserProof(cluster holo.ClusterID, node holo.NodeID, user holo.PrincipalID) []byte {
	return proof("holo/join-user/1", cluster, node[:], user[:])
}

const (
	typeGrantPut    = Type(0x0500)
	typeGrantRevoke = Type(0x0501)
	typeGrantRecord = Type(0x0502)
	typeAccessHead  = Type(0x0505)
	typeSuccession  = Type(0x0504)
)

// Type is the number on the wire.
func (*GrantPut) Type() Type    { return typeGrantPut }
func (*GrantRevoke) Type() Type { return typeGrantRevoke }
func (*GrantRecord) Type() Type { return typeGrantRecord }
func (*AccessHead) Type() Type  { return typeAccessHead }
func (*Succession) Type() Type  { return typeSuccession }

var _ = []struct{}{register[GrantPut](), register[GrantRevoke](), register[GrantRecord](), register[AccessHead](), register[Succession]()}

func (m *Access) encode(e *Encoder) {
	e.Fixed(m.Principal[:])
	e.String(m.Label)
	e.U8(uint8(m.Role))
	e.String(m.Scope.Under)
	e.Fixed(m.Scope.Module[:])
	e.Count(len(m.Scope.Nodes))
	for _, n := range m.Scope.Nodes {
		e.Fixed(n[:])
	}
	e.U64(m.Scope.MaxBytes)
	e.U64(uint64(m.Scope.NotAfter))
	e.Bool(m.Release)
}

func (m *Access) decode(d *Decoder) {
	d.Fixed(m.Principal[:])
	m.Label = d.String(MaxName)
	m.Role = holo.Role(d.U8())
	d.Valid(m.Role.Valid(), "role")
	m.Scope.Under = d.String(MaxName)
	d.Fixed(m.Scope.Module[:])
	for range d.Count(holo.MaxScopeNodes, 32) {
		var n holo.NodeID
		d.Fixed(n[:])
		m.Scope.Nodes = append(m.Scope.Nodes, n)
	}
	m.Scope.MaxBytes = d.U64()
	m.Scope.NotAfter = int64(d.U64())
	d.Valid(m.Scope.NotAfter >= 0, "time")
	m.Release = d.Bool()
}

func (m *GrantPut) encode(e *Encoder) {
	m.Access.encode(e)
	e.U64(m.Epoch)
	e.Fixed(m.By[:])
	e.Fixed(m.Sig[:])
}

func (m *GrantPut) decode(d *Decoder) {
	m.Access.decode(d)
	m.Epoch = d.U64()
	d.Fixed(m.By[:])
	d.Fixed(m.Sig[:])
}

func (m *GrantRevoke) encode(e *Encoder) {
	e.U64(m.ID)
	e.U64(m.Epoch)
	e.Fixed(m.By[:])
	e.Fixed(m.Sig[:])
}

func (m *GrantRevoke) decode(d *Decoder) {
	m.ID = d.U64()
	m.Epoch = d.U64()
	d.Fixed(m.By[:])
	d.Fixed(m.Sig[:])
}

func (m *Succession) encode(e *Encoder) {
	e.Fixed(m.Old[:])
	e.Fixed(m.Next[:])
	e.U64(m.Epoch)
	e.Fixed(m.OldSig[:])
	e.Fixed(m.NextSig[:])
}

func (m *Succession) decode(d *Decoder) {
	d.Fixed(m.Old[:])
	d.Fixed(m.Next[:])
	m.Epoch = d.U64()
	d.Fixed(m.OldSig[:])
	d.Fixed(m.NextSig[:])
}

func (m *GrantRecord) encode(e *Encoder) {
	e.U64(m.ID)
	m.Access.encode(e)
	e.Fixed(m.By[:])
	e.U64(uint64(m.Created))
	e.U64(m.Epoch)
	e.Fixed(m.Sig[:])
}

func (m *GrantRecord) decode(d *Decoder) {
	m.ID = d.U64()
	m.Access.decode(d)
	d.Fixed(m.By[:])
	m.Created = int64(d.U64())
	m.Epoch = d.U64()
	d.Fixed(m.Sig[:])
}

func (m *AccessHead) encode(e *Encoder) {
	e.U64(m.Epoch)
	e.U64(m.LastGrant)
	e.Fixed(m.Owner[:])
}

func (m *AccessHead) decode(d *Decoder) {
	m.Epoch = d.U64()
	m.LastGrant = d.U64()
	d.Fixed(m.Owner[:])
}
