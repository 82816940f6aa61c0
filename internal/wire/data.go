package wire

import "github.com/holocompute/holocompute/internal/holo"

// Limits of the requests for pages and modules.
const (
	// MaxRunPages is the most pages that one request names: those of the
	// longest extent.
	MaxRunPages = holo.MaxExtentPages
	// ChunkSize is the most bytes of a module that one message carries.
	ChunkSize = 1 << 20

	typeRangeRead   = Type(0x0310)
	typePageFrame   = Type(0x0311)
	typeMutate      = Type(0x0312)
	typeMutated     = Type(0x0313)
	typeReadLease   = Type(0x0314)
	typeDigestRead  = Type(0x0315)
	typeDigestList  = Type(0x0316)
	typeModuleRead  = Type(0x0320)
	typeModuleChunk = Type(0x0321)
	typeModuleOffer = Type(0x0322)
)

// PageRun is a run of pages of one array within one shard.
type PageRun struct {
	Shard holo.ShardID
	First holo.PageIndex
	Count uint32
}

// RangeRead asks one node for a run of pages. The answer is PageFrames, in order
// and without gaps, until the run is covered; or a Failure, at any point. With
// Sealed the node may answer as any member of the shard, and only for a
// sealed array; without, only as primary. With Reader the asker wants to keep
// the pages: a ReadLease comes first then, if the primary grants one.
type RangeRead struct {
	Array  holo.ArrayID
	Sealed bool
	Run    PageRun
	Reader holo.Incarnation // the asker's, or 0
}

// ReadLease is a promise about the pages that follow: their home says before
// they change (Inval), for so long after the moment at which they were asked for.
type ReadLease struct {
	Epoch  holo.Epoch
	Number uint64
	For    holo.Duration
}

// maxReadLease is longer than any node grants: 10 s.
const maxReadLease = 10 * holo.Second

// PageKind says what a page is made of.
type PageKind uint8

// The page kinds. A page never written is zero and costs a header.
const (
	PageZero PageKind = iota
	PageFill          // a pattern of 1, 2, 4 ... 64 bytes, repeated
	PageData          // all 65,536 bytes
	pageKinds
)

const maxPattern = 64

// PageFrame carries one page, or a run of equal zero or fill pages. Digest is
// that of Data.
type PageFrame struct {
	First   holo.PageIndex
	Count   uint32
	Version holo.Version // of the first
	Kind    PageKind
	Data    []byte
	Digest  holo.Digest
}

// Mutate asks the primary of a shard for one mutation.
type Mutate struct {
	Shard holo.ShardID
	Mutation
}

// Mutated answers it: the mutation has taken effect, now or when it was sent
// before.
type Mutated struct {
	Version holo.Version
	Applied bool   // not where a compare-and-set met something else, or the task had committed before
	Old     uint64 // what an atomic operation met
}

// DigestRead asks a member of a shard for the digests of a sealed array's
// pages.
type DigestRead struct {
	Array holo.ArrayID
	Run   PageRun
}

// DigestList answers it.
type DigestList struct {
	Digests []holo.Digest
}

// ModuleOffer tells a node of a module that it should have a copy of. It
// fetches the bytes from who offers them; the answer is an empty ModuleChunk
// when it has them.
type ModuleOffer struct {
	Module holo.ModuleID
}

// ModuleRead asks for a module's bytes by its hash; the answer is ModuleChunks
// until the total is there.
type ModuleRead struct {
	Module holo.ModuleID
}

// ModuleChunk is a part of a module.
type ModuleChunk struct {
	Total uint64
	Bytes []byte
}

// Type is the number on the wire.
func (*RangeRead) Type() Type   { return typeRangeRead }
func (*PageFrame) Type() Type   { return typePageFrame }
func (*ReadLease) Type() Type   { return typeReadLease }
func (*Mutate) Type() Type      { return typeMutate }
func (*Mutated) Type() Type     { return typeMutated }
func (*DigestRead) Type() Type  { return typeDigestRead }
func (*DigestList) Type() Type  { return typeDigestList }
func (*ModuleRead) Type() Type  { return typeModuleRead }
func (*ModuleChunk) Type() Type { return typeModuleChunk }
func (*ModuleOffer) Type() Type { return typeModuleOffer }

var _ = []struct{}{
	register[RangeRead](), register[PageFrame](), register[ReadLease](), register[Mutate](), register[Mutated](), register[DigestRead](), register[DigestList](), register[ModuleRead](), register[ModuleChunk](), register[ModuleOffer](),
}

func (r *PageRun) encode(e *Encoder) {
	e.U16(uint16(r.Shard))
	e.U64(uint64(r.First))
	e.U32(r.Count)
}

func (r *PageRun) decode(d *Decoder) {
	r.Shard = d.shard()
	r.First = holo.PageIndex(d.U64())
	r.Count = d.U32()
	d.Valid(r.Count > 0 && r.Count <= MaxRunPages && uint64(r.First) < holo.MaxElements, "page run")
}

func (m *RangeRead) encode(e *Encoder) {
	e.U64(uint64(m.Array))
	e.Bool(m.Sealed)
	m.Run.encode(e)
	e.U64(uint64(m.Reader))
}

func (m *RangeRead) decode(d *Decoder) {
	m.Array = holo.ArrayID(d.U64())
	m.Sealed = d.Bool()
	m.Run.decode(d)
	m.Reader = holo.Incarnation(d.U64())
}

func (m *ReadLease) encode(e *Encoder) {
	e.U64(uint64(m.Epoch))
	e.U64(m.Number)
	e.U64(uint64(m.For))
}

func (m *ReadLease) decode(d *Decoder) {
	m.Epoch = holo.Epoch(d.U64())
	m.Number = d.U64()
	n := d.U64()
	d.Valid(n > 0 && n <= uint64(maxReadLease), "length of a read lease")
	m.For = holo.Duration(n)
}

func (m *PageFrame) encode(e *Encoder) {
	e.U64(uint64(m.First))
	e.U32(m.Count)
	e.version(m.Version)
	e.U8(uint8(m.Kind))
	e.content(m.Kind, m.Data, &m.Digest)
}

func (m *PageFrame) decode(d *Decoder) {
	m.First = holo.PageIndex(d.U64())
	m.Count = d.U32()
	m.Version = d.version()
	m.Kind = PageKind(d.U8())
	m.Data = d.content(m.Kind, &m.Digest)
	d.Valid(d.err != nil || m.Kind != PageDelta && CheckContent(m.Kind, 0, m.Data), "page")
	d.Valid(m.Count == 1 || m.Kind != PageData && m.Count > 0 && m.Count <= MaxRunPages, "number of pages")
}

func (m *Mutate) encode(e *Encoder) {
	e.U16(uint16(m.Shard))
	m.Mutation.encode(e)
}

func (m *Mutate) decode(d *Decoder) {
	m.Shard = d.shard()
	m.Mutation.decode(d)
}

func (m *Mutated) encode(e *Encoder) {
	e.version(m.Version)
	e.Bool(m.Applied)
	e.U64(m.Old)
}

func (m *Mutated) decode(d *Decoder) {
	m.Version = d.version()
	m.Applied = d.Bool()
	m.Old = d.U64()
}

func (m *DigestRead) encode(e *Encoder) {
	e.U64(uint64(m.Array))
	m.Run.encode(e)
}

func (m *DigestRead) decode(d *Decoder) {
	m.Array = holo.ArrayID(d.U64())
	m.Run.decode(d)
}

func (m *DigestList) encode(e *Encoder) {
	e.Count(len(m.Digests))
	for i := range m.Digests {
		e.Fixed(m.Digests[i][:])
	}
}

func (m *DigestList) decode(d *Decoder) {
	n := d.Count(MaxRunPages, 32)
	if n == 0 {
		return
	}
	m.Digests = make([]holo.Digest, n)
	for i := range m.Digests {
		d.Fixed(m.Digests[i][:])
	}
}

func (m *ModuleRead) encode(e *Encoder) { e.Fixed(m.Module[:]) }
func (m *ModuleRead) decode(d *Decoder) { d.Fixed(m.Module[:]) }

func (m *ModuleOffer) encode(e *Encoder) { e.Fixed(m.Module[:]) }
func (m *ModuleOffer) decode(d *Decoder) { d.Fixed(m.Module[:]) }

func (m *ModuleChunk) encode(e *Encoder) {
	e.U64(m.Total)
	e.Bytes(m.Bytes)
}

func (m *ModuleChunk) decode(d *Decoder) {
	m.Total = d.U64()
	m.Bytes = d.Bytes(ChunkSize)
}
