package wire

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// ClusterKey is one epoch of the key that all members share. It is settled when
// the key before it opens nothing any more between living members.
type ClusterKey struct {
	Epoch   uint64
	Key     key.Secret // 32 bytes
	Settled bool
}

// ClusterKeyPut begins the next epoch. Only the leader proposes it, and only
// when an eviction or the owner wants it.
type ClusterKeyPut struct {
	Epoch uint64
	Key   key.Secret
}

// ClusterKeyConfirm says that a member has the epoch's key on its disk.
type ClusterKeyConfirm struct {
	Node  holo.NodeID
	Epoch uint64
}

// ClusterKeySettle ends the overlap of an epoch and the one before. Only the
// leader proposes it.
type ClusterKeySettle struct{ Epoch uint64 }

// ClusterRekey asks for another key than that of an epoch. The signature is the
// owner's over api.RekeyProof.
type ClusterRekey struct {
	Epoch    uint64
	OwnerSig [64]byte
}

// ClusterKeyState is what the catalogue knows about keys beside the keys.
type ClusterKeyState struct {
	Wanted    uint64 // the epoch that there should be
	Confirmed []ClusterKeyConfirm
}

const (
	typeClusterKey        = Type(0x0420)
	typeClusterKeyPut     = Type(0x0421)
	typeClusterKeyConfirm = Type(0x0422)
	typeClusterKeySettle  = Type(0x0423)
	typeClusterRekey      = Type(0x0424)
	typeClusterKeyState   = Type(0x0425)
)

// Type is the number on the wire.
func (*ClusterKey) Type() Type        { return typeClusterKey }
func (*ClusterKeyPut) Type() Type     { return typeClusterKeyPut }
func (*ClusterKeyConfirm) Type() Type { return typeClusterKeyConfirm }
func (*ClusterKeySettle) Type() Type  { return typeClusterKeySettle }
func (*ClusterRekey) Type() Type      { return typeClusterRekey }
func (*ClusterKeyState) Type() Type   { return typeClusterKeyState }

var _ = []struct{}{
	register[ClusterKey](), register[ClusterKeyPut](), register[ClusterKeyConfirm](), register[ClusterKeySettle](), register[ClusterRekey](),
	register[ClusterKeyState](),
}

func encodeSecret(e *Encoder, s key.Secret) { e.Bytes(s.Bytes()) }

func decodeSecret(d *Decoder) (s key.Secret) {
	b := d.Bytes(key.Size)
	d.Valid(len(b) == key.Size, "length of a key")
	if d.err == nil {
		s, d.err = key.NewSecret(b)
	}
	return s
}

func (m *ClusterKey) encode(e *Encoder) {
	e.U64(m.Epoch)
	encodeSecret(e, m.Key)
	e.Bool(m.Settled)
}

func (m *ClusterKey) decode(d *Decoder) {
	m.Epoch = d.U64()
	m.Key = decodeSecret(d)
	m.Settled = d.Bool()
}

func (m *ClusterKeyPut) encode(e *Encoder) {
	e.U64(m.Epoch)
	encodeSecret(e, m.Key)
}

func (m *ClusterKeyPut) decode(d *Decoder) {
	m.Epoch = d.U64()
	m.Key = decodeSecret(d)
}

func (m *ClusterKeyConfirm) encode(e *Encoder) {
	e.Fixed(m.Node[:])
	e.U64(m.Epoch)
}

func (m *ClusterKeyConfirm) decode(d *Decoder) {
	d.Fixed(m.Node[:])
	m.Epoch = d.U64()
}

func (m *ClusterKeySettle) encode(e *Encoder) { e.U64(m.Epoch) }
func (m *ClusterKeySettle) decode(d *Decoder) { m.Epoch = d.U64() }

func (m *ClusterRekey) encode(e *Encoder) {
	e.U64(m.Epoch)
	e.Fixed(m.OwnerSig[:])
}

func (m *ClusterRekey) decode(d *Decoder) {
	m.Epoch = d.U64()
	d.Fixed(m.OwnerSig[:])
}

func (m *ClusterKeyState) encode(e *Encoder) {
	e.U64(m.Wanted)
	e.Count(len(m.Confirmed))
	for i := range m.Confirmed {
		m.Confirmed[i].encode(e)
	}
}

func (m *ClusterKeyState) decode(d *Decoder) {
	m.Wanted = d.U64()
	for range d.Count(MaxNodes, 40) {
		var c ClusterKeyConfirm
		c.decode(d)
		m.Confirmed = append(m.Confirmed, c)
	}
}
