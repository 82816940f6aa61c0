package wire

import "github.com/holocompute/holocompute/internal/holo"

// Envelope is a message and the node that it is for: what a machine asks its
// driver to send.
type Envelope struct {
	To  holo.NodeID
	Msg Message
}

// Seat is a node's place in the shard table: what the catalogue knows about
// its life. Raft orders its changes; heartbeats never touch it.
type Seat struct {
	Node        holo.NodeID
	Incarnation holo.Incarnation // registered; 0: none yet
	Alive       bool             // it may hold a lease; dead: its lease ran out
	Life        uint64           // counts the changes of Incarnation and Alive: commands name it
	Weight      uint64           // memory offered, in MiB
	Draining    bool             // it is to hold nothing
	Retired     []holo.Incarnation
}

// Limits of the shard table.
const (
	// MaxNodes bounds a cluster: one leader answers their heartbeats.
	MaxNodes = 64
	// MaxRetired is the number of past incarnations remembered per node, so
	// that a delayed heartbeat of a dead process cannot unseat a live one.
	MaxRetired = 8
)

// ShardSlot is a configuration and the catalogue index that made it.
type ShardSlot struct {
	Changed uint64
	Config  ShardConfig
}

// ShardTable is the whole table, for snapshots.
type ShardTable struct {
	Version uint64
	Seats   []Seat      // by node
	Slots   []ShardSlot // by shard; only shards that exist
}

// NodeRegister asks to make an incarnation the node's own, or to mark the
// registered one alive again. A new incarnation means that the old one's
// memory is gone: the node leaves every configuration it was in.
type NodeRegister struct {
	Node        holo.NodeID
	Incarnation holo.Incarnation
	Life        uint64
}

// NodeDead says that an incarnation's lease ran out. Its memory may still be
// there.
type NodeDead struct {
	Node        holo.NodeID
	Incarnation holo.Incarnation
	Life        uint64
}

// NodeDrain has a node hold nothing any more, or takes that back.
type NodeDrain struct {
	Node holo.NodeID
	On   bool
}

// ShardLearner names a shard's next learner, by compare-and-set on epoch and
// generation. A zero learner takes the present one away.
type ShardLearner struct {
	Shard   holo.ShardID
	Epoch   holo.Epoch
	Gen     uint64
	Learner Member
}

const (
	typeNodeRegister = Type(0x0113)
	typeNodeDead     = Type(0x0114)
	typeShardLearner = Type(0x0115)
	typeShardTable   = Type(0x0116)
	typeNodeDrain    = Type(0x0117)

	seatBytes = 32 + 8 + 1 + 8 + 8 + 1 + 4
	slotBytes = 8 + shardConfigBytes
)

// Type is the number on the wire.
func (*NodeRegister) Type() Type { return typeNodeRegister }
func (*NodeDead) Type() Type     { return typeNodeDead }
func (*ShardLearner) Type() Type { return typeShardLearner }
func (*ShardTable) Type() Type   { return typeShardTable }
func (*NodeDrain) Type() Type    { return typeNodeDrain }

var _ = []struct{}{
	register[NodeRegister](), register[NodeDead](), register[ShardLearner](), register[ShardTable](), register[NodeDrain](),
}

func (m *NodeRegister) encode(e *Encoder) {
	Member{m.Node, m.Incarnation}.encode(e)
	e.U64(m.Life)
}

func (m *NodeRegister) decode(d *Decoder) {
	m.Node, m.Incarnation = d.life()
	m.Life = d.U64()
}

func (m *NodeDead) encode(e *Encoder) {
	Member{m.Node, m.Incarnation}.encode(e)
	e.U64(m.Life)
}

func (m *NodeDead) decode(d *Decoder) {
	m.Node, m.Incarnation = d.life()
	m.Life = d.U64()
}

func (m *NodeDrain) encode(e *Encoder) {
	e.Fixed(m.Node[:])
	e.Bool(m.On)
}

func (m *NodeDrain) decode(d *Decoder) {
	d.Fixed(m.Node[:])
	m.On = d.Bool()
}

// life reads a node and the incarnation it must have.
func (d *Decoder) life() (holo.NodeID, holo.Incarnation) {
	var m Member
	m.decode(d)
	d.Valid(m.Incarnation != 0, "incarnation")
	return m.Node, m.Incarnation
}

func (m *ShardLearner) encode(e *Encoder) {
	e.U16(uint16(m.Shard))
	e.U64(uint64(m.Epoch))
	e.U64(m.Gen)
	m.Learner.encode(e)
}

func (m *ShardLearner) decode(d *Decoder) {
	m.Shard = d.shard()
	m.Epoch = holo.Epoch(d.U64())
	m.Gen = d.U64()
	m.Learner.decode(d)
}

func (m *ShardTable) encode(e *Encoder) {
	e.U64(m.Version)
	e.Count(len(m.Seats))
	for i := range m.Seats {
		m.Seats[i].encode(e)
	}
	e.Count(len(m.Slots))
	for i := range m.Slots {
		e.U64(m.Slots[i].Changed)
		m.Slots[i].Config.encode(e)
	}
}

func (m *ShardTable) decode(d *Decoder) {
	m.Version = d.U64()
	m.Seats = make([]Seat, d.Count(MaxNodes, seatBytes))
	for i := range m.Seats {
		m.Seats[i].decode(d)
	}
	m.Slots = make([]ShardSlot, d.Count(maxShardConfigs, slotBytes))
	for i := range m.Slots {
		m.Slots[i].Changed = d.U64()
		m.Slots[i].Config.decode(d)
	}
}

func (s *Seat) encode(e *Encoder) {
	Member{s.Node, s.Incarnation}.encode(e)
	e.Bool(s.Alive)
	e.U64(s.Life)
	e.U64(s.Weight)
	e.Bool(s.Draining)
	e.Count(len(s.Retired))
	for _, inc := range s.Retired {
		e.U64(uint64(inc))
	}
}

func (s *Seat) decode(d *Decoder) {
	var m Member
	m.decode(d)
	s.Node, s.Incarnation = m.Node, m.Incarnation
	s.Alive = d.Bool()
	s.Life = d.U64()
	s.Weight = d.U64()
	s.Draining = d.Bool()
	for range d.Count(MaxRetired, 8) {
		s.Retired = append(s.Retired, holo.Incarnation(d.U64()))
	}
}
