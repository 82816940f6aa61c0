package wire

import "github.com/holocompute/holocompute/internal/holo"

// Member is a node in one of its lives: configurations name incarnations, so
// that a restarted process never acts on what was said to its predecessor.
type Member struct {
	Node        holo.NodeID
	Incarnation holo.Incarnation
}

// ShardConfig says who holds a shard. Raft orders the configurations of a
// shard by epoch; there is one per epoch.
type ShardConfig struct {
	Shard      holo.ShardID
	Epoch      holo.Epoch // 0: the shard does not exist yet
	Primary    holo.NodeID
	Members    []Member // the in-sync set, primary included
	Learner    Member   // zero: none
	LearnerGen uint64   // counts the learners ever named
	Suspended  []Member // removed below minAck; each still holds every acknowledged write
	Lost       bool     // no holder is left; reads answer DataLost
}

const maxHolders = 16

// Has reports whether the node is a member.
func (c *ShardConfig) Has(node holo.NodeID) bool {
	_, ok := c.Member(node)
	return ok
}

// Member finds a member by its node.
func (c *ShardConfig) Member(node holo.NodeID) (Member, bool) {
	for _, m := range c.Members {
		if m.Node == node {
			return m, true
		}
	}
	return Member{}, false
}

// MinAck is the fewest members with which a write of this class is
// acknowledged: 2, or 1 where only one copy was asked for.
func MinAck(c holo.Class) int { return min(int(c), 2) }

func (m Member) encode(e *Encoder) {
	e.Fixed(m.Node[:])
	e.U64(uint64(m.Incarnation))
}

func (m *Member) decode(d *Decoder) {
	d.Fixed(m.Node[:])
	m.Incarnation = holo.Incarnation(d.U64())
}

func encodeMembers(e *Encoder, ms []Member) {
	e.Count(len(ms))
	for _, m := range ms {
		m.encode(e)
	}
}

func decodeMembers(d *Decoder) []Member {
	n := d.Count(maxHolders, 40)
	if n == 0 {
		return nil
	}
	ms := make([]Member, n)
	for i := range ms {
		ms[i].decode(d)
	}
	return ms
}

func (c *ShardConfig) encode(e *Encoder) {
	e.U16(uint16(c.Shard))
	e.U64(uint64(c.Epoch))
	e.Fixed(c.Primary[:])
	encodeMembers(e, c.Members)
	c.Learner.encode(e)
	e.U64(c.LearnerGen)
	encodeMembers(e, c.Suspended)
	e.Bool(c.Lost)
}

func (c *ShardConfig) decode(d *Decoder) {
	c.Shard = holo.ShardID(d.U16())
	d.Valid(c.Shard.Valid(), "shard")
	c.Epoch = holo.Epoch(d.U64())
	d.Fixed(c.Primary[:])
	c.Members = decodeMembers(d)
	c.Learner.decode(d)
	c.LearnerGen = d.U64()
	c.Suspended = decodeMembers(d)
	c.Lost = d.Bool()
}

const (
	maxShardConfigs   = holo.MaxClass * holo.ShardCount
	shardConfigBytes  = 2 + 8 + 32 + 4 + 40 + 8 + 4 + 1
	typeConfigPush    = Type(0x0101)
	typeHeartbeat     = Type(0x0102)
	typeGrant         = Type(0x0103)
	typeHandoff       = Type(0x0104)
	typeShrinkHint    = Type(0x0105)
	typeShardShrink   = Type(0x0110)
	typeShardPromote  = Type(0x0111)
	typeShardTransfer = Type(0x0112)
)

func encodeConfigs(e *Encoder, cs []ShardConfig) {
	e.Count(len(cs))
	for i := range cs {
		cs[i].encode(e)
	}
}

func decodeConfigs(d *Decoder) []ShardConfig {
	n := d.Count(maxShardConfigs, shardConfigBytes)
	if n == 0 {
		return nil
	}
	cs := make([]ShardConfig, n)
	for i := range cs {
		cs[i].decode(d)
	}
	return cs
}

// Heartbeat is what a node sends to the Raft leader every fifth of a lease.
type Heartbeat struct {
	Incarnation   holo.Incarnation
	Sent          holo.Time // the sender's own monotonic clock; comes back in the Grant
	LastGrant     uint64    // number of the last grant seen: the round-trip rule
	ConfigVersion uint64    // catalogue index up to which the sender knows the shard configurations
}

// Grant answers a heartbeat: a node lease of TTL counted from Sent on the
// receiver's clock, and all shard configurations that changed since the version
// the heartbeat named. Lease and configurations are applied together (I13).
type Grant struct {
	Incarnation   holo.Incarnation
	Number        uint64
	Sent          holo.Time
	TTL           holo.Duration
	ConfigVersion uint64
	AccessEpoch   uint64 // of who may do what: a node that knows only an older one answers no client
	Configs       []ShardConfig
}

// ConfigPush tells configurations without a lease.
type ConfigPush struct{ Configs []ShardConfig }

// Handoff asks a primary to give a shard to another member.
type Handoff struct {
	Shard holo.ShardID
	To    holo.NodeID
}

// ShrinkHint asks a primary to propose that a superfluous member is dropped.
type ShrinkHint struct {
	Shard holo.ShardID
	Epoch holo.Epoch
	Drop  holo.NodeID
}

// ShardShrink is a primary's request to drop a member. The keeper replaces
// before it removes, and drops only after every remaining member answered a
// round trip that began after the request.
type ShardShrink struct {
	Shard holo.ShardID
	Epoch holo.Epoch
	By    Member
	Drop  holo.NodeID
}

// ShardPromote asks to make a synchronous learner a member. It names the
// learner's incarnation and generation.
type ShardPromote struct {
	Shard   holo.ShardID
	Epoch   holo.Epoch
	By      Member
	Learner Member
	Gen     uint64
}

// ShardTransfer asks to make another member the primary.
type ShardTransfer struct {
	Shard holo.ShardID
	Epoch holo.Epoch
	By    Member
	To    holo.NodeID
}

// Type is the number on the wire.
func (*Heartbeat) Type() Type     { return typeHeartbeat }
func (*Grant) Type() Type         { return typeGrant }
func (*ConfigPush) Type() Type    { return typeConfigPush }
func (*Handoff) Type() Type       { return typeHandoff }
func (*ShrinkHint) Type() Type    { return typeShrinkHint }
func (*ShardShrink) Type() Type   { return typeShardShrink }
func (*ShardPromote) Type() Type  { return typeShardPromote }
func (*ShardTransfer) Type() Type { return typeShardTransfer }

var _ = []struct{}{
	register[Heartbeat](), register[Grant](), register[ConfigPush](), register[Handoff](),
	register[ShrinkHint](), register[ShardShrink](), register[ShardPromote](), register[ShardTransfer](),
}

func (m *Heartbeat) encode(e *Encoder) {
	e.U64(uint64(m.Incarnation))
	e.U64(uint64(m.Sent))
	e.U64(m.LastGrant)
	e.U64(m.ConfigVersion)
}

func (m *Heartbeat) decode(d *Decoder) {
	m.Incarnation = holo.Incarnation(d.U64())
	m.Sent = holo.Time(d.U64())
	m.LastGrant = d.U64()
	m.ConfigVersion = d.U64()
}

func (m *Grant) encode(e *Encoder) {
	e.U64(uint64(m.Incarnation))
	e.U64(m.Number)
	e.U64(uint64(m.Sent))
	e.U64(uint64(m.TTL))
	e.U64(m.ConfigVersion)
	e.U64(m.AccessEpoch)
	encodeConfigs(e, m.Configs)
}

func (m *Grant) decode(d *Decoder) {
	m.Incarnation = holo.Incarnation(d.U64())
	m.Number = d.U64()
	m.Sent = holo.Time(d.U64())
	m.TTL = holo.Duration(d.U64())
	d.Valid(m.TTL >= 0, "lease length")
	m.ConfigVersion = d.U64()
	m.AccessEpoch = d.U64()
	m.Configs = decodeConfigs(d)
}

func (m *ConfigPush) encode(e *Encoder) { encodeConfigs(e, m.Configs) }
func (m *ConfigPush) decode(d *Decoder) { m.Configs = decodeConfigs(d) }

func (m *Handoff) encode(e *Encoder) {
	e.U16(uint16(m.Shard))
	e.Fixed(m.To[:])
}

func (m *Handoff) decode(d *Decoder) {
	m.Shard = d.shard()
	d.Fixed(m.To[:])
}

func (m *ShrinkHint) encode(e *Encoder) {
	e.U16(uint16(m.Shard))
	e.U64(uint64(m.Epoch))
	e.Fixed(m.Drop[:])
}

func (m *ShrinkHint) decode(d *Decoder) {
	m.Shard = d.shard()
	m.Epoch = holo.Epoch(d.U64())
	d.Fixed(m.Drop[:])
}

func (m *ShardShrink) encode(e *Encoder) {
	e.U16(uint16(m.Shard))
	e.U64(uint64(m.Epoch))
	m.By.encode(e)
	e.Fixed(m.Drop[:])
}

func (m *ShardShrink) decode(d *Decoder) {
	m.Shard = d.shard()
	m.Epoch = holo.Epoch(d.U64())
	m.By.decode(d)
	d.Fixed(m.Drop[:])
}

func (m *ShardPromote) encode(e *Encoder) {
	e.U16(uint16(m.Shard))
	e.U64(uint64(m.Epoch))
	m.By.encode(e)
	m.Learner.encode(e)
	e.U64(m.Gen)
}

func (m *ShardPromote) decode(d *Decoder) {
	m.Shard = d.shard()
	m.Epoch = holo.Epoch(d.U64())
	m.By.decode(d)
	m.Learner.decode(d)
	m.Gen = d.U64()
}

func (m *ShardTransfer) encode(e *Encoder) {
	e.U16(uint16(m.Shard))
	e.U64(uint64(m.Epoch))
	m.By.encode(e)
	e.Fixed(m.To[:])
}

func (m *ShardTransfer) decode(d *Decoder) {
	m.Shard = d.shard()
	m.Epoch = holo.Epoch(d.U64())
	m.By.decode(d)
	d.Fixed(m.To[:])
}

func (d *Decoder) shard() holo.ShardID {
	s := holo.ShardID(d.U16())
	d.Valid(s.Valid(), "shard")
	return s
}
