package wire

import (
	"errors"

	"github.com/holocompute/holocompute/internal/holo"
)

// Limits of the requests between nodes.
const (
	maxReason   = 64
	maxText     = 1 << 10
	maxRuns     = 256
	MaxRunPages = 256 // pages that one RangeRead may ask for: 16 MiB
	ChunkSize   = 1 << 20
	maxBody     = 256 << 10 // bytes of a catalogue command or query
	maxItems    = 1 << 16
	maxItem     = 256 << 10
	// ItemsSize is the most bytes of items that one ControlResponse carries;
	// a longer list goes on in the next, from the cursor.
	ItemsSize = 2 << 20

	typeFailure         = Type(0x0300)
	typeRaftOpen        = Type(0x0301)
	typeControlRequest  = Type(0x0302)
	typeControlResponse = Type(0x0303)
	typeCatalogQuery    = Type(0x0304)
	typeRangeRead       = Type(0x0310)
	typePageFrame       = Type(0x0311)
	typeRunEnd          = Type(0x0312)
	typeDigestRead      = Type(0x0315)
	typeDigestList      = Type(0x0316)
	typeModuleRead      = Type(0x0320)
	typeModuleChunk     = Type(0x0321)
	typeUsageRead       = Type(0x0328)
	typeUsage           = Type(0x0329)
)

// Failure is the answer to a request that was refused or that failed. The
// kind says what the asker can do about it.
type Failure struct {
	Kind   holo.Kind
	Reason string
	Text   string
}

// FailureOf turns an error into the message that tells it.
func FailureOf(err error) *Failure {
	text := err.Error()
	return &Failure{Kind: holo.KindOf(err), Reason: holo.ReasonOf(err), Text: text[:min(len(text), maxText)]}
}

// Err turns the message back into an error of the same kind and reason.
func (m *Failure) Err() error {
	return &holo.Error{Kind: m.Kind, Reason: m.Reason, Text: m.Text, Err: errors.New(m.Text)}
}

// RaftOpen is the first message of a stream that carries Raft's own bytes.
type RaftOpen struct{}

// ControlRequest asks the Raft leader to propose a catalogue command or to
// answer a CatalogQuery. Commands carry a request ID of their own: asking again
// has no second effect.
type ControlRequest struct {
	Body []byte // an encoded message
}

// ControlResponse answers it. Items are encoded messages: the result of a
// command, or what a query found.
type ControlResponse struct {
	Index uint64 // the catalogue's index that the answer holds at
	Items [][]byte
	More  uint64 // cursor of the rest, 0 when this is all
}

// QueryKind says what a CatalogQuery asks for.
type QueryKind uint8

// The queries. Those that name one thing answer NotFound when it is not there.
const (
	QueryChain  QueryKind = iota + 1 // membership records from position Cursor
	QueryNodes                       // all nodes
	QueryInvite                      // the invite whose psk has the ID Number
	QueryArrays
	QueryArrayByID
	QueryArrayByName
	QueryKernels
	QueryKernelByName
	QueryJobs
	QueryJobByID
	QueryShards // shard configurations that exist
	QueryHealth // leader, voters, leases
	queryKinds
)

// CatalogQuery asks the catalogue. The leader answers after it made sure that
// it still is the leader, so the answer holds everything committed before.
type CatalogQuery struct {
	What   QueryKind
	Number uint64
	Name   string
	Cursor uint64 // 0, or More of the answer before
}

// PageRun is a run of pages of one array within one shard.
type PageRun struct {
	Shard holo.ShardID
	First holo.PageIndex
	Count uint32
}

// RangeRead asks one node for pages. The answer is, run by run, PageFrames in
// order and a RunEnd. With Sealed the node may answer as any member of the
// shard, and only for a sealed array; without, only as primary.
type RangeRead struct {
	Array  holo.ArrayID
	Sealed bool
	Runs   []PageRun
}

// PageKind says what a PageFrame carries.
type PageKind uint8

// The page kinds. A page never written is zero and costs a header.
const (
	PageZero PageKind = iota
	PageFill          // Data is a pattern that fills the page
	PageData          // Data is the page
	pageKinds
)

const maxPattern = 64

// PageFrame carries one page, or a run of equal zero or fill pages.
type PageFrame struct {
	First   holo.PageIndex
	Count   uint32
	Version holo.Version
	Kind    PageKind
	Digest  holo.Digest // of the whole page, zero for PageZero and PageFill
	Data    []byte
}

// RunEnd ends a run: well, or with the reason why its pages are not served.
type RunEnd struct {
	Failed  bool
	Failure Failure
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

// UsageRead asks a node for its Usage.
type UsageRead struct{}

// Usage tells what a node holds.
type Usage struct {
	Incarnation holo.Incarnation
	Resident    uint64 // bytes of page memory in use
	Capacity    uint64
}

// Type is the number on the wire.
func (*Failure) Type() Type         { return typeFailure }
func (*RaftOpen) Type() Type        { return typeRaftOpen }
func (*ControlRequest) Type() Type  { return typeControlRequest }
func (*ControlResponse) Type() Type { return typeControlResponse }
func (*CatalogQuery) Type() Type    { return typeCatalogQuery }
func (*RangeRead) Type() Type       { return typeRangeRead }
func (*PageFrame) Type() Type       { return typePageFrame }
func (*RunEnd) Type() Type          { return typeRunEnd }
func (*DigestRead) Type() Type      { return typeDigestRead }
func (*DigestList) Type() Type      { return typeDigestList }
func (*ModuleRead) Type() Type      { return typeModuleRead }
func (*ModuleChunk) Type() Type     { return typeModuleChunk }
func (*UsageRead) Type() Type       { return typeUsageRead }
func (*Usage) Type() Type           { return typeUsage }

var _ = []struct{}{
	register[Failure](), register[RaftOpen](), register[ControlRequest](), register[ControlResponse](),
	register[CatalogQuery](), register[RangeRead](), register[PageFrame](), register[RunEnd](),
	register[DigestRead](), register[DigestList](), register[ModuleRead](), register[ModuleChunk](),
	register[UsageRead](), register[Usage](),
}

func (m *Failure) encode(e *Encoder) {
	e.U8(uint8(m.Kind))
	e.String(m.Reason)
	e.String(m.Text)
}

func (m *Failure) decode(d *Decoder) {
	m.Kind = holo.Kind(d.U8())
	d.Valid(m.Kind.Valid(), "error kind")
	m.Reason = d.String(maxReason)
	m.Text = d.String(maxText)
}

func (m *RaftOpen) encode(*Encoder) {}
func (m *RaftOpen) decode(*Decoder) {}

func (m *ControlRequest) encode(e *Encoder) { e.Bytes(m.Body) }
func (m *ControlRequest) decode(d *Decoder) { m.Body = d.Bytes(maxBody) }

func (m *ControlResponse) encode(e *Encoder) {
	e.U64(m.Index)
	encodeByteStrings(e, m.Items)
	e.U64(m.More)
}

func (m *ControlResponse) decode(d *Decoder) {
	m.Index = d.U64()
	m.Items = decodeByteStrings(d, maxItems, maxItem)
	m.More = d.U64()
}

func (m *CatalogQuery) encode(e *Encoder) {
	e.U8(uint8(m.What))
	e.U64(m.Number)
	e.String(m.Name)
	e.U64(m.Cursor)
}

func (m *CatalogQuery) decode(d *Decoder) {
	m.What = QueryKind(d.U8())
	d.Valid(m.What > 0 && m.What < queryKinds, "query")
	m.Number = d.U64()
	m.Name = d.String(maxReason * 4)
	m.Cursor = d.U64()
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
	e.Count(len(m.Runs))
	for i := range m.Runs {
		m.Runs[i].encode(e)
	}
}

func (m *RangeRead) decode(d *Decoder) {
	m.Array = holo.ArrayID(d.U64())
	m.Sealed = d.Bool()
	n := d.Count(maxRuns, 14)
	if n == 0 {
		return
	}
	m.Runs = make([]PageRun, n)
	total := 0
	for i := range m.Runs {
		m.Runs[i].decode(d)
		total += int(m.Runs[i].Count)
	}
	d.Valid(total <= MaxRunPages, "number of pages")
}

func (m *PageFrame) encode(e *Encoder) {
	e.U64(uint64(m.First))
	e.U32(m.Count)
	e.U64(uint64(m.Version.Epoch))
	e.U64(uint64(m.Version.Seq))
	e.U8(uint8(m.Kind))
	e.Fixed(m.Digest[:])
	e.Bytes(m.Data)
}

func (m *PageFrame) decode(d *Decoder) {
	m.First = holo.PageIndex(d.U64())
	m.Count = d.U32()
	m.Version.Epoch = holo.Epoch(d.U64())
	m.Version.Seq = holo.Seq(d.U64())
	m.Kind = PageKind(d.U8())
	d.Valid(m.Kind < pageKinds, "page kind")
	d.Fixed(m.Digest[:])
	m.Data = d.Bytes(holo.PageSize)
	switch m.Kind {
	case PageZero:
		d.Valid(len(m.Data) == 0, "zero page")
	case PageFill:
		d.Valid(len(m.Data) > 0 && len(m.Data) <= maxPattern && holo.PageSize%len(m.Data) == 0, "fill page")
	case PageData:
		d.Valid(len(m.Data) == holo.PageSize && m.Count == 1, "data page")
	}
}

func (m *RunEnd) encode(e *Encoder) {
	e.Bool(m.Failed)
	if m.Failed {
		m.Failure.encode(e)
	}
}

func (m *RunEnd) decode(d *Decoder) {
	m.Failed = d.Bool()
	if m.Failed {
		m.Failure.decode(d)
	}
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

func (m *ModuleChunk) encode(e *Encoder) {
	e.U64(m.Total)
	e.Bytes(m.Bytes)
}

func (m *ModuleChunk) decode(d *Decoder) {
	m.Total = d.U64()
	m.Bytes = d.Bytes(ChunkSize)
}

func (m *UsageRead) encode(*Encoder) {}
func (m *UsageRead) decode(*Decoder) {}

func (m *Usage) encode(e *Encoder) {
	e.U64(uint64(m.Incarnation))
	e.U64(m.Resident)
	e.U64(m.Capacity)
}

func (m *Usage) decode(d *Decoder) {
	m.Incarnation = holo.Incarnation(d.U64())
	m.Resident = d.U64()
	m.Capacity = d.U64()
}
