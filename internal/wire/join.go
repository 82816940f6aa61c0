package wire

import "github.com/holocompute/holocompute/internal/holo"

// Limits of the messages with which a node joins.
const (
	MaxName      = 100 // bytes of an array's, kernel's or node's name
	maxAddress   = 128 // bytes of host:port
	maxAddresses = 8
	maxBook      = 1024    // nodes in an address book
	maxRecords   = 4096    // membership records in one message
	maxRecord    = 2 << 10 // bytes of an encoded membership record

	typeJoinRequest  = Type(0x0440)
	typeJoinAnswer   = Type(0x0441)
	typeJoinPending  = Type(0x0442)
	typeEnrolRequest = Type(0x0443)
	typeEnrolAnswer  = Type(0x0444)
)

// JoinRequest asks for admission inside a session of kind join. The signature
// is the invite key's, over the cluster, the node's key and the hash of this
// very handshake, so that neither it nor the session can be passed on.
type JoinRequest struct {
	Name      string
	Addresses []string // where the node can be reached
	Capacity  uint64   // bytes of page memory offered
	InviteKey [32]byte
	Signature [64]byte
	User      holo.PrincipalID // the machine's user, see Admit
	UserSig   [64]byte
}

// Contact says where a node was last known to listen. It is a hint: the key
// decides who answers there.
type Contact struct {
	Node    holo.NodeID
	Address string
}

// JoinAnswer hands the cluster over to a node whose admission is committed:
// its key, the membership records that the node verifies for itself, and
// whom to call.
type JoinAnswer struct {
	ClusterKey [32]byte
	Chain      [][]byte // encoded membership records, genesis first
	Contacts   []Contact
}

// JoinPending says that the request is good and waits for votes: the node may
// ask again. It tells nothing of the cluster but how many are missing.
type JoinPending struct{ Have, Need uint8 }

// EnrolRequest asks to enrol the client whose key the handshake of a session of
// kind join has proven.
type EnrolRequest struct {
	Label     string
	InviteKey [32]byte
	Signature [64]byte // by the invite key, over EnrolProof
}

// EnrolAnswer says that the client is enrolled, as what, and where members are.
type EnrolAnswer struct {
	Role      holo.Role
	Addresses []string // host:port
}

// Type is the number on the wire.
func (*EnrolRequest) Type() Type { return typeEnrolRequest }
func (*EnrolAnswer) Type() Type  { return typeEnrolAnswer }

// Type is the number on the wire.
func (*JoinPending) Type() Type { return typeJoinPending }

// Type is the number on the wire.
func (*JoinRequest) Type() Type { return typeJoinRequest }
func (*JoinAnswer) Type() Type  { return typeJoinAnswer }

var _ = []struct{}{register[JoinRequest](), register[JoinAnswer](), register[JoinPending](), register[EnrolRequest](), register[EnrolAnswer]()}

func (m *JoinRequest) encode(e *Encoder) {
	e.String(m.Name)
	encodeStrings(e, m.Addresses)
	e.U64(m.Capacity)
	e.Fixed(m.InviteKey[:])
	e.Fixed(m.Signature[:])
	e.Fixed(m.User[:])
	e.Fixed(m.UserSig[:])
}

func (m *JoinRequest) decode(d *Decoder) {
	m.Name = d.String(MaxName)
	m.Addresses = decodeStrings(d, maxAddresses, maxAddress)
	m.Capacity = d.U64()
	d.Fixed(m.InviteKey[:])
	d.Fixed(m.Signature[:])
	d.Fixed(m.User[:])
	d.Fixed(m.UserSig[:])
}

func (m *JoinAnswer) encode(e *Encoder) {
	e.Fixed(m.ClusterKey[:])
	encodeByteStrings(e, m.Chain)
	encodeContacts(e, m.Contacts)
}

func (m *JoinAnswer) decode(d *Decoder) {
	d.Fixed(m.ClusterKey[:])
	m.Chain = decodeByteStrings(d, maxRecords, maxRecord)
	m.Contacts = decodeContacts(d)
}

func (m *JoinPending) encode(e *Encoder) {
	e.U8(m.Have)
	e.U8(m.Need)
}

func (m *JoinPending) decode(d *Decoder) { m.Have, m.Need = d.U8(), d.U8() }

func encodeContacts(e *Encoder, cs []Contact) {
	e.Count(len(cs))
	for i := range cs {
		e.Fixed(cs[i].Node[:])
		e.String(cs[i].Address)
	}
}

func decodeContacts(d *Decoder) []Contact {
	n := d.Count(maxBook, 36)
	if n == 0 {
		return nil
	}
	cs := make([]Contact, n)
	for i := range cs {
		d.Fixed(cs[i].Node[:])
		cs[i].Address = d.String(maxAddress)
	}
	return cs
}

func encodeStrings(e *Encoder, ss []string) {
	e.Count(len(ss))
	for _, s := range ss {
		e.String(s)
	}
}

func decodeStrings(d *Decoder, count, limit int) []string {
	n := d.Count(count, 4)
	if n == 0 {
		return nil
	}
	ss := make([]string, n)
	for i := range ss {
		ss[i] = d.String(limit)
	}
	return ss
}

func encodeByteStrings(e *Encoder, bs [][]byte) {
	e.Count(len(bs))
	for _, b := range bs {
		e.Bytes(b)
	}
}

func decodeByteStrings(d *Decoder, count, limit int) [][]byte {
	n := d.Count(count, 4)
	if n == 0 {
		return nil
	}
	bs := make([][]byte, n)
	for i := range bs {
		bs[i] = d.Bytes(limit)
	}
	return bs
}

func (m *EnrolRequest) encode(e *Encoder) {
	e.String(m.Label)
	e.Fixed(m.InviteKey[:])
	e.Fixed(m.Signature[:])
}

func (m *EnrolRequest) decode(d *Decoder) {
	m.Label = d.String(MaxName)
	d.Fixed(m.InviteKey[:])
	d.Fixed(m.Signature[:])
}

func (m *EnrolAnswer) encode(e *Encoder) {
	e.U8(uint8(m.Role))
	encodeStrings(e, m.Addresses)
}

func (m *EnrolAnswer) decode(d *Decoder) {
	m.Role = holo.Role(d.U8())
	d.Valid(m.Role.Valid(), "role")
	m.Addresses = decodeStrings(d, maxAddresses, maxAddress)
}
