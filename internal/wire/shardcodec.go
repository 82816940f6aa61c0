package wire

import (
	"math/bits"

	"github.com/holocompute/holocompute/internal/holo"
)

// Limits of the shard protocol's lists, each also bounded by the bytes there.
const (
	// MaxEntries bounds the entries of one Repl.
	MaxEntries = 4096
	// MaxChanges bounds the pages of one entry: an extent.
	MaxChanges = holo.MaxExtentPages
	// MaxTransfer bounds each list of a chunk.
	MaxTransfer = 1 << 16
	// MaxInval bounds the pages of one invalidation.
	MaxInval = 4096

	entryBytes  = 8 + 8 + 1 + 16 + 1 + 8 + 1 + 4
	changeBytes = 8 + 1
	imageBytes  = 16 + 16 + 1
	markBytes   = 8 + 1 + 16
	recordBytes = 16 + 1 + 8 + 4 + 8 + 16 + 1 + 8
)

func (h *ShardHead) encode(e *Encoder) {
	e.U16(uint16(h.Shard))
	e.U64(uint64(h.Epoch))
	e.U64(uint64(h.From))
	e.U64(uint64(h.To))
}

func (h *ShardHead) decode(d *Decoder) {
	h.Shard = d.shard()
	h.Epoch = holo.Epoch(d.U64())
	h.From = holo.Incarnation(d.U64())
	h.To = holo.Incarnation(d.U64())
}

func (e *Encoder) version(v holo.Version) {
	e.U64(uint64(v.Epoch))
	e.U64(uint64(v.Seq))
}

func (d *Decoder) version() holo.Version {
	return holo.Version{Epoch: holo.Epoch(d.U64()), Seq: holo.Seq(d.U64())}
}

func (e *Encoder) page(p holo.PageID) {
	e.U64(uint64(p.Array))
	e.U64(uint64(p.Index))
}

func (d *Decoder) page() holo.PageID {
	return holo.PageID{Array: holo.ArrayID(d.U64()), Index: holo.PageIndex(d.U64())}
}

func (e *Encoder) op(op holo.OpID) {
	e.U64(uint64(op.Session))
	e.U64(op.Num)
}

func (d *Decoder) op() holo.OpID {
	return holo.OpID{Session: holo.SessionID(d.U64()), Num: d.U64()}
}

// CheckContent reports whether a page or change of this kind can be made of
// these bytes.
func CheckContent(kind PageKind, offset uint32, data []byte) bool {
	n := len(data)
	switch kind {
	case PageZero:
		return offset == 0 && n == 0
	case PageFill:
		return offset == 0 && n <= MaxFill && bits.OnesCount(uint(n)) == 1
	case PageData:
		return offset == 0 && n == holo.PageSize
	case PageDelta:
		return n > 0 && n <= holo.PageSize && offset <= uint32(holo.PageSize-n)
	}
	return false
}

// content writes data with its digest; a zero page has neither. A full page
// needs no length in front.
func (e *Encoder) content(kind PageKind, data []byte, digest *holo.Digest) {
	switch kind {
	case PageZero:
		return
	case PageData:
		e.Fixed(data)
	default:
		e.Bytes(data)
	}
	e.Fixed(digest[:])
}

func (d *Decoder) content(kind PageKind, digest *holo.Digest) (data []byte) {
	switch kind {
	case PageZero:
		return nil
	case PageData:
		data = d.take(holo.PageSize)
	default:
		data = d.Bytes(holo.PageSize)
	}
	d.Fixed(digest[:])
	return data
}

func (c *Change) encode(e *Encoder) {
	e.U64(uint64(c.Page))
	e.U8(uint8(c.Kind))
	if c.Kind == PageDelta {
		e.U32(c.Offset)
	}
	e.content(c.Kind, c.Data, &c.Digest)
}

func (c *Change) decode(d *Decoder) {
	c.Page = holo.PageIndex(d.U64())
	c.Kind = PageKind(d.U8())
	if c.Kind == PageDelta {
		c.Offset = d.U32()
	}
	c.Data = d.content(c.Kind, &c.Digest)
	d.Valid(d.err != nil || CheckContent(c.Kind, c.Offset, c.Data), "change of a page")
}

func (m *Mutation) encode(e *Encoder) {
	e.op(m.Op)
	e.U8(uint8(m.Kind))
	e.U64(uint64(m.Array))
	switch m.Kind {
	case MutateTask:
		e.U64(uint64(m.Job))
		e.U32(uint32(m.Task))
	case MutateSwap:
		e.Bytes(m.Expect)
	case MutateFold:
		e.U8(uint8(m.Fold))
		e.U8(uint8(m.Element))
	}
	e.token(m.Under)
	e.Count(len(m.Changes))
	for i := range m.Changes {
		m.Changes[i].encode(e)
	}
}

func (m *Mutation) decode(d *Decoder) {
	m.Op = d.op()
	m.Kind = MutationKind(d.U8())
	m.Array = holo.ArrayID(d.U64())
	switch m.Kind {
	case MutateTask:
		m.Job = holo.JobID(d.U64())
		m.Task = holo.TaskID(d.U32())
	case MutateSwap:
		m.Expect = d.Bytes(holo.MaxAtom)
	case MutateFold:
		m.Fold = holo.Fold(d.U8())
		m.Element = holo.ElementType(d.U8())
	}
	m.Under = d.token()
	if k := d.Count(MaxChanges, changeBytes); k > 0 {
		m.Changes = make([]Change, k)
	}
	for i := range m.Changes {
		m.Changes[i].decode(d)
	}
	d.Valid(d.err != nil || m.Check() == nil, "mutation")
}

// Check reports whether the mutation can be: what each kind needs, and no more.
func (m *Mutation) Check() error {
	n := len(m.Changes)
	ok := false
	switch m.Kind {
	case MutateWrite, MutateTask:
		ok = n > 0 && n <= MaxChanges
	case MutateSwap:
		ok = n == 1 && m.Changes[0].Kind == PageDelta && len(m.Expect) == len(m.Changes[0].Data) && len(m.Expect) <= holo.MaxAtom
	case MutateSeal, MutateDrop:
		ok = n == 0
	case MutateFold:
		ok = n == 1 && m.folds(&m.Changes[0])
	case MutateLane:
		ok = n > 0 && n <= MaxChanges && m.Changes[0].Kind == PageDelta
	}
	if !ok {
		return holo.Errorf(holo.Invalid, "mutation of kind %d with %d changes and %d expected bytes", m.Kind, n, len(m.Expect))
	}
	for i := range m.Changes {
		c := &m.Changes[i]
		if !CheckContent(c.Kind, c.Offset, c.Data) {
			return holo.Errorf(holo.Invalid, "change of page %v: kind %d with %d bytes at %d", holo.PageID{Array: m.Array, Index: c.Page}, c.Kind, len(c.Data), c.Offset)
		}
	}
	return nil
}

// folds reports whether a change is one element, where an element can be.
func (m *Mutation) folds(c *Change) bool {
	if !m.Fold.Valid() || !m.Element.Valid() {
		return false
	}
	size := m.Element.Size()
	return c.Kind == PageDelta && uint64(len(c.Data)) == size && uint64(c.Offset)%size == 0
}

// Atomic reports whether the outcome says what was there before.
func (m *Mutation) Atomic() bool { return m.Kind == MutateSwap || m.Kind == MutateFold }

// answers reports whether the outcome is more than that it was done.
func (m *Mutation) answers() bool { return m.Atomic() || m.Kind == MutateLane }

func (n *Entry) encode(e *Encoder) {
	e.U64(uint64(n.Seq))
	e.U64(uint64(n.Epoch))
	e.Bool(n.Applied)
	n.Mutation.encode(e)
	if n.answers() {
		e.U64(n.Old)
	}
}

func (n *Entry) decode(d *Decoder) {
	n.Seq = holo.Seq(d.U64())
	n.Epoch = holo.Epoch(d.U64())
	n.Applied = d.Bool()
	n.Mutation.decode(d)
	d.Valid(n.Applied || n.Kind == MutateSwap || n.Kind == MutateLane, "entry without effect")
	if n.answers() {
		n.Old = d.U64()
	}
}

func (m *Repl) encode(e *Encoder) {
	m.ShardHead.encode(e)
	e.U64(uint64(m.Commit))
	e.Count(len(m.Entries))
	for i := range m.Entries {
		m.Entries[i].encode(e)
	}
}

func (m *Repl) decode(d *Decoder) {
	m.ShardHead.decode(d)
	m.Commit = holo.Seq(d.U64())
	if k := d.Count(MaxEntries, entryBytes); k > 0 {
		m.Entries = make([]Entry, k)
	}
	for i := range m.Entries {
		m.Entries[i].decode(d)
		d.Valid(i == 0 || m.Entries[i].Seq == m.Entries[i-1].Seq+1, "order of entries")
	}
}

func (m *Ack) encode(e *Encoder) {
	m.ShardHead.encode(e)
	e.U64(uint64(m.Seq))
	e.U64(uint64(m.Commit))
}

func (m *Ack) decode(d *Decoder) {
	m.ShardHead.decode(d)
	m.Seq = holo.Seq(d.U64())
	m.Commit = holo.Seq(d.U64())
}

func (m *Seal) encode(e *Encoder) { m.ShardHead.encode(e) }
func (m *Seal) decode(d *Decoder) { m.ShardHead.decode(d) }

func (m *SealAck) encode(e *Encoder) {
	m.ShardHead.encode(e)
	e.U64(uint64(m.Commit))
	e.U64(uint64(m.Seq))
}

func (m *SealAck) decode(d *Decoder) {
	m.ShardHead.decode(d)
	m.Commit = holo.Seq(d.U64())
	m.Seq = holo.Seq(d.U64())
}
