package wire

import (
	"errors"

	"github.com/holocompute/holocompute/internal/holo"
)

// Limits of the calls between nodes.
const (
	maxReason = 64
	maxText   = 1 << 10
	maxBody   = 256 << 10 // bytes of a catalogue command or query
	maxItems  = 1 << 16
	maxItem   = 256 << 10
	// ItemsSize is the most bytes of items that one ControlResponse carries;
	// a longer list goes on in the next, from the cursor.
	ItemsSize = 2 << 20

	typeFailure         = Type(0x0300)
	typeRaftOpen        = Type(0x0301)
	typeControlRequest  = Type(0x0302)
	typeControlResponse = Type(0x0303)
	typeCatalogQuery    = Type(0x0304)
	typeRedirect        = Type(0x0305)
	typeHealth          = Type(0x0306)
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
// answer a CatalogQuery. Asking again under the same request ID has no second
// effect.
type ControlRequest struct {
	Request RequestID // zero for a query
	Body    []byte    // an encoded message
}

// ControlResponse answers it. Items are encoded messages: the result of a
// command, or what a query found. A Failure in it is the catalogue's own
// answer, which asking again does not change; one instead of it says that the
// catalogue was not asked.
type ControlResponse struct {
	Items   [][]byte
	More    uint64 // cursor of the rest, 0 when this is all
	Refused bool
	Failure Failure // when Refused
}

// Redirect answers a ControlRequest that reached a node which is not the
// leader, with the leader it knows, if any.
type Redirect struct {
	Leader holo.NodeID // zero: none known
}

// QueryKind says what a CatalogQuery asks for.
type QueryKind uint8

// The queries. Those that name one thing answer NotFound when it is not there.
const (
	QueryFeed   QueryKind = iota + 1 // what changed since version Number, the chain from position Cursor
	QueryNodes                       // all nodes
	QueryInvite                      // the invite whose psk has the ID Number (big endian)
	QueryArrays
	QueryArrayByID
	QueryArrayByName
	QueryKernels
	QueryKernelByName
	QueryJobs
	QueryJobByID
	QueryShards    // shard configurations that exist
	QueryHealth    // leader, voters, leases
	QueryAccess    // who may do what: the head, then all grants; neither when the epoch is Number
	QueryKey       // the newest cluster key
	QueryKeys      // who has confirmed which epoch
	QueryPending   // nodes that wait for votes
	QueryTokenFeed // the TokenFeed
	QueryTokens    // the TokenFeed, then the issued tokens
	QueryPrograms  // which program each node runs; since version 2
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

// Health is what the leader knows beyond the catalogue.
type Health struct {
	Version uint64 // of the catalogue
	Leader  holo.NodeID
	Voters  []holo.NodeID
	Leased  []holo.NodeID // nodes heard from within a lease

	Cramped      uint64 // shards that want one more copy, which no node has room for
	CrampedBytes uint64 // of those copies
}

// UsageRead asks a node for its Usage.
type UsageRead struct{}

// Usage tells what a node holds.
type Usage struct {
	Incarnation holo.Incarnation
	Resident    uint64 // bytes of page memory in use
	Capacity    uint64
	Spilled     uint64 // bytes of pages on disk only
	Spill       uint64 // bytes that the disk adds to what the node can hold
	Cached      uint64 // bytes of other nodes' pages kept under read leases
	CacheHits   uint64 // pages of other nodes that were read from there, since the start
	CacheMisses uint64 // and that were not there
}

// Type is the number on the wire.
func (*Failure) Type() Type         { return typeFailure }
func (*RaftOpen) Type() Type        { return typeRaftOpen }
func (*ControlRequest) Type() Type  { return typeControlRequest }
func (*ControlResponse) Type() Type { return typeControlResponse }
func (*CatalogQuery) Type() Type    { return typeCatalogQuery }
func (*Redirect) Type() Type        { return typeRedirect }
func (*Health) Type() Type          { return typeHealth }
func (*UsageRead) Type() Type       { return typeUsageRead }
func (*Usage) Type() Type           { return typeUsage }

var _ = []struct{}{
	register[Failure](), register[RaftOpen](), register[ControlRequest](), register[ControlResponse](), register[CatalogQuery](), register[Redirect](), register[Health](), register[UsageRead](), register[Usage](),
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

func (m *ControlRequest) encode(e *Encoder) {
	e.Fixed(m.Request[:])
	e.Bytes(m.Body)
}

func (m *ControlRequest) decode(d *Decoder) {
	d.Fixed(m.Request[:])
	m.Body = d.Bytes(maxBody)
}

func (m *ControlResponse) encode(e *Encoder) {
	encodeByteStrings(e, m.Items)
	e.U64(m.More)
	e.Bool(m.Refused)
	if m.Refused {
		m.Failure.encode(e)
	}
}

func (m *ControlResponse) decode(d *Decoder) {
	m.Items = decodeByteStrings(d, maxItems, maxItem)
	m.More = d.U64()
	if m.Refused = d.Bool(); m.Refused {
		m.Failure.decode(d)
	}
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

func (m *Redirect) encode(e *Encoder) { e.Fixed(m.Leader[:]) }
func (m *Redirect) decode(d *Decoder) { d.Fixed(m.Leader[:]) }

func (m *Health) encode(e *Encoder) {
	e.U64(m.Version)
	e.Fixed(m.Leader[:])
	encodeNodes(e, m.Voters)
	encodeNodes(e, m.Leased)
	e.U64(m.Cramped)
	e.U64(m.CrampedBytes)
}

func (m *Health) decode(d *Decoder) {
	m.Version = d.U64()
	d.Fixed(m.Leader[:])
	m.Voters = decodeNodes(d)
	m.Leased = decodeNodes(d)
	m.Cramped = d.U64()
	m.CrampedBytes = d.U64()
}

func encodeNodes(e *Encoder, ids []holo.NodeID) {
	e.Count(len(ids))
	for i := range ids {
		e.Fixed(ids[i][:])
	}
}

func decodeNodes(d *Decoder) []holo.NodeID {
	n := d.Count(MaxNodes, 32)
	if n == 0 {
		return nil
	}
	ids := make([]holo.NodeID, n)
	for i := range ids {
		d.Fixed(ids[i][:])
	}
	return ids
}

func (m *UsageRead) encode(*Encoder) {}
func (m *UsageRead) decode(*Decoder) {}

func (m *Usage) encode(e *Encoder) {
	e.U64(uint64(m.Incarnation))
	e.U64(m.Resident)
	e.U64(m.Capacity)
	e.U64(m.Spilled)
	e.U64(m.Spill)
	e.U64(m.Cached)
	e.U64(m.CacheHits)
	e.U64(m.CacheMisses)
}

func (m *Usage) decode(d *Decoder) {
	m.Incarnation = holo.Incarnation(d.U64())
	m.Resident = d.U64()
	m.Capacity = d.U64()
	m.Spilled = d.U64()
	m.Spill = d.U64()
	m.Cached = d.U64()
	m.CacheHits = d.U64()
	m.CacheMisses = d.U64()
}
