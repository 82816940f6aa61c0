package wire

import "github.com/holocompute/holocompute/internal/holo"

// ShardHead fronts every message of the shard protocol. Memory belongs to an
// incarnation, so both ends name the life they mean: what was said to or by
// another one does not count (I12).
type ShardHead struct {
	Shard holo.ShardID
	Epoch holo.Epoch
	From  holo.Incarnation // the sender's
	To    holo.Incarnation // the receiver's, as the sender knows it
}

// PageDelta is bytes to put at an offset of a page. It is a kind of change; a
// whole page never is one.
const PageDelta = pageKinds

// MaxFill is the longest fill pattern in bytes: 1, 2, 4 ... 64.
const MaxFill = maxPattern

// Change is what a mutation does to one page. Digest is that of Data, and is
// verified by whoever receives it; it is absent where Data is.
type Change struct {
	Page   holo.PageIndex
	Kind   PageKind
	Offset uint32 // of a delta, else 0
	Data   []byte
	Digest holo.Digest
}

// MutationKind says what a mutation does.
type MutationKind uint8

// The kinds.
const (
	MutateWrite MutationKind = iota + 1 // the changes
	MutateSwap                          // compare-and-set: the one delta, if Expect is there
	MutateTask                          // the output of a task, at most once per (job, task)
	MutateSeal                          // the array's pages in the shard become immutable
	MutateDrop                          // the array's pages in the shard are forgotten
	MutateFold                          // the one delta, an element, is combined with what is there
	MutateLane                          // asks: the one delta, at the start of a lane's header, is an operation; ordered: what it does
)

// Mutation is one change of an array within one shard: all or nothing, and at
// most once for its operation ID however often it is sent.
type Mutation struct {
	Op      holo.OpID
	Kind    MutationKind
	Array   holo.ArrayID
	Job     holo.JobID  // of a task, else 0
	Task    holo.TaskID // of a task, else 0
	Expect  []byte      // of a compare-and-set: what must be where the delta goes
	Fold    holo.Fold   // of a fold
	Element holo.ElementType
	Under   holo.Token // the write lease that it is made under, if any; only the primary asks
	Changes []Change
}

// Entry is one mutation as the primary ordered it. It carries the epoch it was
// ordered in: with Seq that is the version of the pages it changes, the same on
// every replica.
type Entry struct {
	Seq     holo.Seq
	Epoch   holo.Epoch
	Applied bool // false: a compare-and-set that found something else, an operation on a lane that does nothing
	// Old is what was where the delta of a compare-and-set or a fold goes, or the
	// outcome of an operation on a lane. The primary saw it; the delta of an
	// ordered fold is the result.
	Old uint64
	Mutation
}

// Repl carries consecutive entries from the primary, or none, and its commit
// watermark.
type Repl struct {
	ShardHead
	Commit  holo.Seq
	Entries []Entry
}

// Ack says up to which entry the sender holds everything (cumulative), and up
// to which it knows it committed.
type Ack struct {
	ShardHead
	Seq    holo.Seq
	Commit holo.Seq
}

// Seal asks a member to promise the epoch: to accept nothing older any more.
type Seal struct{ ShardHead }

// SealAck is the promise, with the member's commit watermark. What it holds
// above that it will drop for what the new primary sends.
type SealAck struct {
	ShardHead
	Commit holo.Seq
	Seq    holo.Seq
}

// PageImage is a whole page at a version. Digest is that of Data.
type PageImage struct {
	Page    holo.PageID
	Version holo.Version
	Kind    PageKind
	Data    []byte
	Digest  holo.Digest
}

// MarkState is what has become of an array in a shard.
type MarkState uint8

// The states that leave a mark.
const (
	MarkSealed MarkState = iota + 1
	MarkDropped
)

// ArrayMark says that an array was sealed or dropped in the shard.
type ArrayMark struct {
	Array   holo.ArrayID
	State   MarkState
	Version holo.Version
}

// OpRecord remembers the outcome of a mutation, so that it is never applied
// again: by operation ID, or by job and task where ByTask is set.
type OpRecord struct {
	Op      holo.OpID
	ByTask  bool
	Job     holo.JobID
	Task    holo.TaskID
	Array   holo.ArrayID
	Version holo.Version
	Applied bool
	Old     uint64
}

// Transfer is one chunk of a replica's state: what lies above a watermark.
// Images, marks and records up to Commit are committed; those above it are the
// sender's uncommitted tail, up to Seq. A stream is named by the epoch it was
// started in and a number that its sender counts up.
type Transfer struct {
	Started holo.Epoch
	Stream  uint64
	Above   holo.Seq
	Commit  holo.Seq
	Seq     holo.Seq
	Index   uint32 // of this chunk, from 0
	Last    bool
	Images  []PageImage
	Marks   []ArrayMark
	Records []OpRecord
}

// Recon makes a sealed member equal to its new primary: everything above the
// watermark that the member answered.
type Recon struct {
	ShardHead
	Transfer
}

// ReconAck counts the chunks received, and says when the member is equal.
type ReconAck struct {
	ShardHead
	Stream uint64
	Next   uint32
	Done   bool
}

// Snap carries a shard to a learner, of the generation that the configuration
// names.
type Snap struct {
	ShardHead
	Gen uint64
	Transfer
}

// SnapAck counts the chunks received, and says when the learner holds all.
type SnapAck struct {
	ShardHead
	Gen    uint64
	Stream uint64
	Next   uint32
	Done   bool
}

// Inval withdraws the read leases on the pages, up to a grant number.
type Inval struct {
	ShardHead
	UpTo  uint64
	Pages []holo.PageID
}

// InvalAck says that the copies are dropped; it covers only grants up to the
// number, so a late duplicate never releases a newer grant.
type InvalAck struct {
	ShardHead
	UpTo  uint64
	Pages []holo.PageID
}

// PageAsk asks a holder of a shard for the bytes of a page at a version: the
// sender's copy is damaged.
type PageAsk struct {
	ShardHead
	Page    holo.PageID
	Version holo.Version
}

// PageGive answers a PageAsk. Without Has the sender has no sound copy at that
// version, and Data and Digest are absent.
type PageGive struct {
	ShardHead
	Page    holo.PageID
	Version holo.Version
	Commit  holo.Seq // all that it knows to be committed
	Has     bool
	Data    []byte // all 64 KiB
	Digest  holo.Digest
}

const (
	typeRepl     = Type(0x0201)
	typeAck      = Type(0x0202)
	typeSeal     = Type(0x0203)
	typeSealAck  = Type(0x0204)
	typeRecon    = Type(0x0205)
	typeReconAck = Type(0x0206)
	typeSnap     = Type(0x0207)
	typeSnapAck  = Type(0x0208)
	typeInval    = Type(0x0209)
	typeInvalAck = Type(0x020a)
	typePageAsk  = Type(0x020b)
	typePageGive = Type(0x020c)
)

// Type is the number on the wire.
func (*Repl) Type() Type     { return typeRepl }
func (*Ack) Type() Type      { return typeAck }
func (*Seal) Type() Type     { return typeSeal }
func (*SealAck) Type() Type  { return typeSealAck }
func (*Recon) Type() Type    { return typeRecon }
func (*ReconAck) Type() Type { return typeReconAck }
func (*Snap) Type() Type     { return typeSnap }
func (*SnapAck) Type() Type  { return typeSnapAck }
func (*Inval) Type() Type    { return typeInval }
func (*InvalAck) Type() Type { return typeInvalAck }
func (*PageAsk) Type() Type  { return typePageAsk }
func (*PageGive) Type() Type { return typePageGive }

// ShardMessage is any message of the shard protocol.
type ShardMessage interface {
	Message
	Head() *ShardHead
}

// Head is the part that all messages of the protocol share.
func (h *ShardHead) Head() *ShardHead { return h }

var _ = []struct{}{
	register[Repl](), register[Ack](), register[Seal](), register[SealAck](), register[Recon](),
	register[ReconAck](), register[Snap](), register[SnapAck](), register[Inval](), register[InvalAck](),
	register[PageAsk](), register[PageGive](),
}
