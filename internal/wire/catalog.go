package wire

import "github.com/holocompute/holocompute/internal/holo"

// RequestID names one request to the catalogue, drawn at random by whoever
// asks first. Asking again under the same ID has no second effect. Zero means
// that asking twice does no harm.
type RequestID [16]byte

// Command is what Raft orders: a change of the catalogue, who may ask for it
// again, and the time. The machine that applies it reads no clock, so the
// leader says the time.
type Command struct {
	Request RequestID
	Time    int64   // seconds since 1970, by the leader's clock
	Body    Message // one of the types for which IsCommand holds
}

// ArrayCreate makes an array. Class 0 asks for the cluster's default, an empty
// affinity for one of the array's own. The answer is the ArrayRecord. Like
// ArraySealing, ArrayDelete, KernelPut, JobPut, NodeDrain and Rebalance it counts inside of
// an Asked only: it is what the client's request comes to.
type ArrayCreate struct {
	Owner    holo.PrincipalID
	Name     string
	Shape    holo.Shape
	Class    holo.Class
	Affinity string
	Buffer   bool // each extent a lane
	// What the owner's arrays under Under may take, this one included, all
	// copies together; Within 0: no limit.
	Under  string
	Within uint64
}

// ArraySealing closes an array to writers that begin from now on.
type ArraySealing struct{ Array holo.ArrayID }

// ArraySealed makes it immutable: the root of its pages' digests is known.
type ArraySealed struct {
	Array holo.ArrayID
	Root  holo.Digest
}

// ArrayDelete takes an array's name away and closes it. Its memory counts
// until ArrayPurge.
type ArrayDelete struct{ Array holo.ArrayID }

// ArrayPurge says that every shard has dropped a deleted array.
type ArrayPurge struct{ Array holo.ArrayID }

// ArrayExpire says that the time of a job's result is over: it is deleted. The
// command's time decides.
type ArrayExpire struct{ Array holo.ArrayID }

// KernelPut names a module, whose bytes the nodes hold.
type KernelPut struct{ Kernel KernelRecord }

// JobPut records a job, which its coordinator starts when it is answered. ID,
// Epoch, State and what ends a job are left zero. Of the inputs that Bound
// names the output inherits the read restrictions. The answer is the JobRecord.
type JobPut struct {
	Job   JobRecord
	Bound []holo.ArrayID
}

// JobTake makes another node a running job's coordinator, under the next
// epoch. The answer is the JobRecord.
type JobTake struct {
	Job         holo.JobID
	Epoch       uint64
	Coordinator holo.NodeID
}

// JobState ends a job. Only the epoch's coordinator may ask.
type JobState struct {
	Job   holo.JobID
	Epoch uint64
	End   JobEnd
}

// ShardRecover gives a lost shard new and empty members. What the arrays had
// in it stays lost.
type ShardRecover struct{ Shard holo.ShardID }

const (
	typeCommand      = Type(0x0120)
	typeArrayCreate  = Type(0x013f) // 0x0121 had no buffers
	typeArraySealing = Type(0x0122)
	typeArraySealed  = Type(0x0123)
	typeArrayDelete  = Type(0x0124)
	typeArrayPurge   = Type(0x0125)
	typeArrayExpire  = Type(0x013b)
	typeKernelPut    = Type(0x0126)
	typeJobPut       = Type(0x013c) // 0x0127 had an access epoch, 0x012c no stages, 0x012f kept all
	typeJobTake      = Type(0x0128)
	typeJobState     = Type(0x0129)
	typeShardRecover = Type(0x012a)
)

// IsCommand reports whether a message may be a Command's body.
func IsCommand(m Message) bool {
	switch m.(type) {
	case *Asked, *Attested, *ArrayCreate, *ArraySealing, *ArraySealed, *ArrayDelete, *ArrayPurge, *ArrayExpire, *KernelPut, *JobPut, *JobTake, *JobState,
		*GrantPut, *GrantRevoke, *Succession, *OwnerSuccession, *ClusterKeyPut, *ClusterKeyConfirm, *ClusterKeySettle, *ClusterRekey,
		*ClusterInit, *InvitePut, *ClientEnrol, *Admit, *AdmitVote, *PolicyPut, *Evict, *NodeAddress, *NodeProgram, *NodeRegister, *NodeDead, *NodeDrain, *Rebalance,
		*ShardLearner, *ShardShrink, *ShardPromote, *ShardTransfer, *ShardRecover,
		*TokenKeyChange, *TokenIssued, *TokenRevoke:
		return true
	}
	return false
}

// Type is the number on the wire.
func (*Command) Type() Type      { return typeCommand }
func (*ArrayCreate) Type() Type  { return typeArrayCreate }
func (*ArraySealing) Type() Type { return typeArraySealing }
func (*ArraySealed) Type() Type  { return typeArraySealed }
func (*ArrayDelete) Type() Type  { return typeArrayDelete }
func (*ArrayPurge) Type() Type   { return typeArrayPurge }
func (*ArrayExpire) Type() Type  { return typeArrayExpire }
func (*KernelPut) Type() Type    { return typeKernelPut }
func (*JobPut) Type() Type       { return typeJobPut }
func (*JobTake) Type() Type      { return typeJobTake }
func (*JobState) Type() Type     { return typeJobState }
func (*ShardRecover) Type() Type { return typeShardRecover }

var _ = []struct{}{
	register[Command](), register[ArrayCreate](), register[ArraySealing](), register[ArraySealed](), register[ArrayDelete](),
	register[ArrayPurge](), register[ArrayExpire](), register[KernelPut](), register[JobPut](), register[JobTake](), register[JobState](), register[ShardRecover](),
}

// A command is its body's bytes behind the envelope, with no length between,
// and never another command: decoding cannot nest. Without a body it encodes
// to what nobody decodes.
func (m *Command) encode(e *Encoder) {
	e.Fixed(m.Request[:])
	e.U64(uint64(m.Time))
	if m.Body == nil {
		e.U16(0)
		return
	}
	e.U16(uint16(m.Body.Type()))
	m.Body.encode(e)
}

func (m *Command) decode(d *Decoder) {
	d.Fixed(m.Request[:])
	m.Time = int64(d.U64())
	d.Valid(m.Time >= 0, "time")
	mk, ok := makers[Type(d.U16())]
	d.Valid(ok, "command")
	if d.err != nil {
		return
	}
	m.Body = mk()
	d.Valid(IsCommand(m.Body), "command")
	if d.err == nil {
		m.Body.decode(d)
	}
}

func (m *ArrayCreate) encode(e *Encoder) {
	e.Fixed(m.Owner[:])
	e.String(m.Name)
	encodeShape(e, m.Shape)
	e.U8(uint8(m.Class))
	e.String(m.Affinity)
	e.Bool(m.Buffer)
	e.String(m.Under)
	e.U64(m.Within)
}

func (m *ArrayCreate) decode(d *Decoder) {
	d.Fixed(m.Owner[:])
	m.Name = d.String(MaxName)
	m.Shape = decodeShape(d)
	m.Class = holo.Class(d.U8())
	d.Valid(m.Class <= holo.MaxClass, "class")
	m.Affinity = d.String(MaxName)
	m.Buffer = d.Bool()
	m.Under = d.String(MaxName)
	m.Within = d.U64()
}

func encodeShape(e *Encoder, s holo.Shape) {
	e.U8(uint8(s.Type))
	e.U64(s.Length)
	e.U64(s.Extent)
}

func decodeShape(d *Decoder) holo.Shape {
	s := holo.Shape{Type: holo.ElementType(d.U8()), Length: d.U64(), Extent: d.U64()}
	if err := s.Check(); err != nil && d.err == nil {
		d.err = err
	}
	return s
}

func (m *ArraySealing) encode(e *Encoder) { e.U64(uint64(m.Array)) }
func (m *ArraySealing) decode(d *Decoder) { m.Array = holo.ArrayID(d.U64()) }

func (m *ArraySealed) encode(e *Encoder) {
	e.U64(uint64(m.Array))
	e.Fixed(m.Root[:])
}

func (m *ArraySealed) decode(d *Decoder) {
	m.Array = holo.ArrayID(d.U64())
	d.Fixed(m.Root[:])
}

func (m *ArrayDelete) encode(e *Encoder) { e.U64(uint64(m.Array)) }
func (m *ArrayDelete) decode(d *Decoder) { m.Array = holo.ArrayID(d.U64()) }
func (m *ArrayExpire) encode(e *Encoder) { e.U64(uint64(m.Array)) }
func (m *ArrayExpire) decode(d *Decoder) { m.Array = holo.ArrayID(d.U64()) }

func (m *ArrayPurge) encode(e *Encoder) { e.U64(uint64(m.Array)) }
func (m *ArrayPurge) decode(d *Decoder) { m.Array = holo.ArrayID(d.U64()) }
func (m *KernelPut) encode(e *Encoder)  { m.Kernel.encode(e) }
func (m *KernelPut) decode(d *Decoder)  { m.Kernel.decode(d) }

func (m *JobPut) encode(e *Encoder) {
	m.Job.encode(e)
	e.Count(len(m.Bound))
	for _, a := range m.Bound {
		e.U64(uint64(a))
	}
}

func (m *JobPut) decode(d *Decoder) {
	m.Job.decode(d)
	for range d.Count(MaxTaskInputs, 8) {
		m.Bound = append(m.Bound, holo.ArrayID(d.U64()))
	}
}

func (m *JobTake) encode(e *Encoder) {
	e.U64(uint64(m.Job))
	e.U64(m.Epoch)
	e.Fixed(m.Coordinator[:])
}

func (m *JobTake) decode(d *Decoder) {
	m.Job = holo.JobID(d.U64())
	m.Epoch = d.U64()
	d.Fixed(m.Coordinator[:])
}

func (m *JobState) encode(e *Encoder) {
	e.U64(uint64(m.Job))
	e.U64(m.Epoch)
	m.End.encode(e)
}

func (m *JobState) decode(d *Decoder) {
	m.Job = holo.JobID(d.U64())
	m.Epoch = d.U64()
	m.End.decode(d)
}

func (m *ShardRecover) encode(e *Encoder) { e.U16(uint16(m.Shard)) }
func (m *ShardRecover) decode(d *Decoder) { m.Shard = d.shard() }
