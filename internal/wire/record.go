package wire

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/protocol"
)

// ArrayState is where an array is in its life.
type ArrayState uint8

// The states, in the order in which they follow one another.
const (
	ArrayOpen    ArrayState = iota + 1 // written and read
	ArrayClosing                       // being sealed: read, not written
	ArrayFrozen                        // sealed: any copy may serve it
	ArrayDeleted                       // nameless; its shards are dropping it
	arrayStates
)

// String is the state as people see it.
func (s ArrayState) String() string {
	switch s {
	case ArrayOpen:
		return "open"
	case ArrayClosing:
		return "sealing"
	case ArrayFrozen:
		return "sealed"
	case ArrayDeleted:
		return "deleted"
	}
	return "invalid"
}

// ArrayRecord is an array as the catalogue knows it. Which pages exist is the
// shards' business.
type ArrayRecord struct {
	ID       holo.ArrayID
	Owner    holo.PrincipalID
	Name     string
	Shape    holo.Shape
	Class    holo.Class
	Affinity string
	State    ArrayState
	Root     holo.Digest // of the pages' digests, once sealed
	Created  int64       // seconds since 1970
	// Sealers are the nodes that clients have asked to seal it, while it is
	// sealing: one of them says what the root is.
	Sealers []holo.NodeID
	// Lost has a bit for each shard of the class that lost what the array may
	// have had in it. Reading there is DataLost for ever, whoever holds the
	// shard now; it never reads as zeros.
	Lost [holo.ShardCount / 64]uint64
	// Sources names the arrays that a kernel read, for somebody who may not
	// read them, to write this one. Reading it takes the right to read those,
	// in order of name.
	Sources []string
	// Result is the job whose result the array is, 0 for none: it is deleted
	// when that job fails or is cancelled, and at Expires when it is done.
	Result  holo.JobID
	Expires int64 // seconds since 1970; 0: that job is not done, or never
	// Buffer says that each extent is a lane of a buffer: its pages are changed by
	// operations on lanes and by nothing else.
	Buffer bool
}

// MaxSources bounds the sources of an array.
const MaxSources = 16

// LostIn reports whether what the array had in a shard is lost.
func (r *ArrayRecord) LostIn(s holo.ShardID) bool {
	n := s.Number()
	return s.Class() == r.Class && r.Lost[n/64]>>(n%64)&1 == 1
}

// KernelRecord is a named module.
type KernelRecord struct {
	Owner     holo.PrincipalID
	Name      string
	Module    holo.ModuleID
	Size      uint64
	Functions []string
}

// JobPhase is where a job is in its life.
type JobPhase uint8

// The phases.
const (
	JobRunning JobPhase = iota + 1
	JobDone
	JobFailed
	JobCancelled
	jobPhases
)

// String is the phase as people see it.
func (p JobPhase) String() string {
	switch p {
	case JobRunning:
		return "running"
	case JobDone:
		return "done"
	case JobFailed:
		return "failed"
	case JobCancelled:
		return "cancelled"
	}
	return "invalid"
}

// Ended reports whether the job is over.
func (p JobPhase) Ended() bool { return p > JobRunning && p < jobPhases }

// JobEnd is how a job ended.
type JobEnd struct {
	Phase   JobPhase
	Result  []byte // at most MaxJobResult; a longer one stays with the coordinator
	Failure Failure
	Report  []byte // its last progress, as internal/jobs encodes it
}

// JobRecord is a job: what was asked for, who coordinates it, how it ended.
type JobRecord struct {
	ID          holo.JobID
	Epoch       uint64 // counts the coordinators
	Owner       holo.PrincipalID
	Coordinator holo.NodeID
	Kernel      string
	Module      holo.ModuleID
	Function    string
	Kind        TaskKind
	Inputs      []holo.ArrayID
	Output      holo.ArrayID // 0: none
	Params      []byte
	AccBytes    uint64
	Gas         holo.Gas // per task
	Halo        Halo     // of all inputs, for a map
	Created     int64
	End         JobEnd
	Then        []JobStage // of a graph, the stages after the first
	Keep        uint64     // seconds for which what it writes is kept when it is done; 0: for ever
}

// Limits of records.
const (
	MaxKernelFunctions = 64
	MaxJobResult       = 64 << 10
	MaxJobReport       = 16 << 10
	MaxKeep            = 3660 * 24 * 60 * 60 // seconds: ten years

	typeArrayRecord  = Type(0x013e) // 0x0130 had no sealers, 0x0136 no time to live, 0x0139 no buffers
	typeKernelRecord = Type(0x0131)
	typeJobRecord    = Type(0x013a) // 0x0132 had no stages, 0x0138 kept all
	typeCatalogHead  = Type(0x013d) // 0x0133 had no version of the protocol
	typeAnswered     = Type(0x0134)
)

// CatalogHead begins a snapshot of the catalogue.
type CatalogHead struct {
	Cluster   holo.ClusterID
	Owner     holo.PrincipalID
	Version   uint64
	Speaks    protocol.Version // that the cluster is at: who does not speak it reads no further
	LastArray holo.ArrayID
	LastJob   holo.JobID
}

// Answered is a request that the catalogue has answered: the encoded result,
// or the failure where there was one.
type Answered struct {
	Request RequestID
	Failed  bool
	Failure Failure
	Result  []byte
}

// Type is the number on the wire.
func (*ArrayRecord) Type() Type  { return typeArrayRecord }
func (*KernelRecord) Type() Type { return typeKernelRecord }
func (*JobRecord) Type() Type    { return typeJobRecord }
func (*CatalogHead) Type() Type  { return typeCatalogHead }
func (*Answered) Type() Type     { return typeAnswered }

var _ = []struct{}{
	register[ArrayRecord](), register[KernelRecord](), register[JobRecord](), register[CatalogHead](), register[Answered](),
}

func (r *ArrayRecord) encode(e *Encoder) {
	e.U64(uint64(r.ID))
	e.Fixed(r.Owner[:])
	e.String(r.Name)
	encodeShape(e, r.Shape)
	e.U8(uint8(r.Class))
	e.String(r.Affinity)
	e.U8(uint8(r.State))
	e.Fixed(r.Root[:])
	e.U64(uint64(r.Created))
	e.Count(len(r.Sealers))
	for _, n := range r.Sealers {
		e.Fixed(n[:])
	}
	for _, w := range r.Lost {
		e.U64(w)
	}
	encodeStrings(e, r.Sources)
	e.U64(uint64(r.Result))
	e.U64(uint64(r.Expires))
	e.Bool(r.Buffer)
}

func (r *ArrayRecord) decode(d *Decoder) {
	r.ID = holo.ArrayID(d.U64())
	d.Fixed(r.Owner[:])
	r.Name = d.String(MaxName)
	r.Shape = decodeShape(d)
	r.Class = holo.Class(d.U8())
	d.Valid(r.Class.Valid(), "class")
	r.Affinity = d.String(MaxName)
	r.State = ArrayState(d.U8())
	d.Valid(r.State > 0 && r.State < arrayStates, "array state")
	d.Fixed(r.Root[:])
	r.Created = int64(d.U64())
	for range d.Count(MaxNodes, 32) {
		var n holo.NodeID
		d.Fixed(n[:])
		r.Sealers = append(r.Sealers, n)
	}
	for i := range r.Lost {
		r.Lost[i] = d.U64()
	}
	r.Sources = decodeStrings(d, MaxSources, MaxName)
	r.Result = holo.JobID(d.U64())
	r.Expires = int64(d.U64())
	r.Buffer = d.Bool()
}

func (r *KernelRecord) encode(e *Encoder) {
	e.Fixed(r.Owner[:])
	e.String(r.Name)
	e.Fixed(r.Module[:])
	e.U64(r.Size)
	e.Count(len(r.Functions))
	for _, f := range r.Functions {
		e.String(f)
	}
}

func (r *KernelRecord) decode(d *Decoder) {
	d.Fixed(r.Owner[:])
	r.Name = d.String(MaxName)
	d.Fixed(r.Module[:])
	r.Size = d.U64()
	for range d.Count(MaxKernelFunctions, 4) {
		r.Functions = append(r.Functions, d.String(MaxFunctionName))
	}
}

func (r *JobRecord) encode(e *Encoder) {
	e.U64(uint64(r.ID))
	e.U64(r.Epoch)
	e.Fixed(r.Owner[:])
	e.Fixed(r.Coordinator[:])
	e.String(r.Kernel)
	e.Fixed(r.Module[:])
	e.String(r.Function)
	e.U8(uint8(r.Kind))
	e.Count(len(r.Inputs))
	for _, a := range r.Inputs {
		e.U64(uint64(a))
	}
	e.U64(uint64(r.Output))
	e.Bytes(r.Params)
	e.U64(r.AccBytes)
	e.U64(uint64(r.Gas))
	r.Halo.encode(e)
	e.U64(uint64(r.Created))
	r.End.encode(e)
	r.encodeStages(e)
	e.U64(r.Keep)
}

func (r *JobRecord) decode(d *Decoder) {
	r.ID = holo.JobID(d.U64())
	r.Epoch = d.U64()
	d.Fixed(r.Owner[:])
	d.Fixed(r.Coordinator[:])
	r.Kernel = d.String(MaxName)
	d.Fixed(r.Module[:])
	r.Function = d.String(MaxFunctionName)
	r.Kind = TaskKind(d.U8())
	d.Valid(r.Kind.Valid(), "kind of job")
	for range d.Count(MaxTaskInputs, 8) {
		r.Inputs = append(r.Inputs, holo.ArrayID(d.U64()))
	}
	r.Output = holo.ArrayID(d.U64())
	r.Params = d.Bytes(MaxParams)
	r.AccBytes = d.U64()
	d.Valid(r.AccBytes <= MaxAcc, "size of the accumulator")
	r.Gas = holo.Gas(d.U64())
	r.Halo = decodeHalo(d)
	r.Created = int64(d.U64())
	r.End.decode(d)
	r.decodeStages(d)
	r.Keep = d.U64()
	d.Valid(r.Keep <= MaxKeep, "time to live")
}

func (r *JobEnd) encode(e *Encoder) {
	e.U8(uint8(r.Phase))
	e.Bytes(r.Result)
	r.Failure.encode(e)
	e.Bytes(r.Report)
}

func (r *JobEnd) decode(d *Decoder) {
	r.Phase = JobPhase(d.U8())
	d.Valid(r.Phase < jobPhases, "phase of a job")
	r.Result = d.Bytes(MaxJobResult)
	r.Failure.decode(d)
	r.Report = d.Bytes(MaxJobReport)
}

func (m *CatalogHead) encode(e *Encoder) {
	e.Fixed(m.Cluster[:])
	e.Fixed(m.Owner[:])
	e.U64(m.Version)
	e.U8(uint8(m.Speaks))
	e.U64(uint64(m.LastArray))
	e.U64(uint64(m.LastJob))
}

func (m *CatalogHead) decode(d *Decoder) {
	d.Fixed(m.Cluster[:])
	d.Fixed(m.Owner[:])
	m.Version = d.U64()
	m.Speaks = protocol.Version(d.U8())
	m.LastArray = holo.ArrayID(d.U64())
	m.LastJob = holo.JobID(d.U64())
}

func (m *Answered) encode(e *Encoder) {
	e.Fixed(m.Request[:])
	e.Bool(m.Failed)
	if m.Failed {
		m.Failure.encode(e)
		return
	}
	e.Bytes(m.Result)
}

func (m *Answered) decode(d *Decoder) {
	d.Fixed(m.Request[:])
	if m.Failed = d.Bool(); m.Failed {
		m.Failure.decode(d)
		return
	}
	m.Result = d.Bytes(maxItem)
}
