package shard

import (
	"cmp"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// outgoing is a transfer as its sender keeps it: everything above a watermark,
// frozen when it began. Page buffers are immutable, so freezing is a list of
// references.
type outgoing struct {
	stream  uint64
	started holo.Epoch
	above   holo.Seq
	commit  holo.Seq
	seq     holo.Seq
	chunks  []chunk
	acked   uint32 // chunks that arrived
	sent    uint32
}

// chunk is what one message of a transfer carries.
type chunk struct {
	effects []effect
	marks   []wire.ArrayMark
	records []wire.OpRecord
}

// listChunk bounds the marks and records in a chunk: 256 KiB of them.
const listChunk = 4096

// startTransfer freezes what lies above a watermark and sends the first
// chunks: to a sealed member what it lacks, to a learner everything.
func (m *Machine) startTransfer(r *replica, f *follower, above holo.Seq) {
	m.streams++
	out := &outgoing{
		stream: m.streams, started: r.promised, above: above,
		commit: max(r.commit, above), seq: r.seq,
	}
	effects, marks, records := r.table.above(above)
	for _, it := range r.tail.items { // both values of a page: the committed one may be needed again
		marks = append(marks, it.marks...)
		records = append(records, it.records...)
	}
	out.chunks = m.cut(append(effects, r.tailEffects()...), marks, records)
	f.out, f.acked, f.sent = out, out.seq, out.seq
	m.pumpTransfer(r, f)
}

// tailEffects are the latest uncommitted values, in a fixed order.
func (r *replica) tailEffects() []effect {
	es := make([]effect, 0, len(r.tail.pages))
	for id, s := range r.tail.pages {
		es = append(es, effect{id, s})
	}
	sortEffects(es)
	return es
}

// cut divides a transfer into chunks. There is always one.
func (m *Machine) cut(effects []effect, marks []wire.ArrayMark, records []wire.OpRecord) []chunk {
	var chunks []chunk
	for len(marks) > 0 {
		n := min(len(marks), listChunk)
		chunks = append(chunks, chunk{marks: marks[:n]})
		marks = marks[n:]
	}
	for len(records) > 0 {
		n := min(len(records), listChunk)
		chunks = append(chunks, chunk{records: records[:n]})
		records = records[n:]
	}
	for len(effects) > 0 {
		n, size := 0, 0
		for n < len(effects) && n < listChunk && (n == 0 || size+effects[n].size() <= m.limits.ChunkBytes) {
			size += effects[n].size()
			n++
		}
		chunks = append(chunks, chunk{effects: effects[:n]})
		effects = effects[n:]
	}
	if len(chunks) == 0 {
		return []chunk{{}}
	}
	return chunks
}

// pumpTransfer sends chunks up to the window.
func (m *Machine) pumpTransfer(r *replica, f *follower) {
	out := f.out
	for out.sent < uint32(len(out.chunks)) && out.sent < out.acked+uint32(m.limits.ChunkWindow) {
		c := &out.chunks[out.sent]
		if c.gone() {
			m.startTransfer(r, f, out.above)
			return
		}
		if m.absent(r, c.effects) {
			return
		}
		t := out.transfer(out.sent)
		out.sent++
		if r.lead.learner == f {
			m.send(f.who, &wire.Snap{ShardHead: m.head(r, f.who), Gen: r.lead.gen, Transfer: t})
		} else {
			m.send(f.who, &wire.Recon{ShardHead: m.head(r, f.who), Transfer: t})
		}
	}
}

// feedTransfer notes which chunks arrived and sends the next. A receiver that
// began anew is sent everything again, at the next resend.
func (m *Machine) feedTransfer(now holo.Time, r *replica, f *follower, stream uint64, next uint32) {
	out := f.out
	if out == nil || out.stream != stream || next > uint32(len(out.chunks)) {
		return
	}
	if next <= out.acked {
		out.acked = next
		return
	}
	out.acked = next
	out.sent = max(out.sent, next)
	m.progress(now, f)
	m.pumpTransfer(r, f)
}

// resendTransfer sends the chunks that were not acknowledged once more; the
// last one always, since its answer may be what was lost.
func (m *Machine) resendTransfer(r *replica, f *follower) {
	if f.out == nil {
		return
	}
	f.out.sent = min(f.out.acked, uint32(len(f.out.chunks))-1)
	m.pumpTransfer(r, f)
}

func (o *outgoing) transfer(index uint32) wire.Transfer {
	c := &o.chunks[index]
	t := wire.Transfer{
		Started: o.started, Stream: o.stream, Above: o.above, Commit: o.commit, Seq: o.seq,
		Index: index, Last: int(index) == len(o.chunks)-1, Marks: c.marks, Records: c.records,
	}
	for _, e := range c.effects {
		t.Images = append(t.Images, wire.PageImage{Page: e.id, Version: e.version, Kind: e.kind, Data: e.data, Digest: e.sum()})
	}
	return t
}

// streamKey orders the transfers that a node may get of one shard. A delayed
// chunk of an older one is never mixed into, or put in place of, a newer one:
// the learner's generation decides, then the epoch, then the sender's count.
type streamKey struct {
	gen     uint64
	started holo.Epoch
	stream  uint64
}

func (k streamKey) compare(o streamKey) int {
	return cmp.Or(cmp.Compare(k.gen, o.gen), cmp.Compare(k.started, o.started), cmp.Compare(k.stream, o.stream))
}

// incoming is a transfer as its receiver keeps it, apart from the copy until
// it is complete: an interrupted one changes nothing.
type incoming struct {
	from        wire.Member
	key         streamKey
	commit, seq holo.Seq
	next        uint32
	complete    bool
	arrival     uint64 // of a learner's copy: which one it is; 0: of a member's
	bytes       int    // of pages
	net         int    // of pages of which it holds the committed value and a newer one, the larger
	sizes       map[holo.PageID]int
	effects     []effect
	marks       []wire.ArrayMark
	records     []wire.OpRecord
}

// Copies reports whether Step copies what it keeps of a message, so that the bytes
// it was decoded from can be used again afterwards.
func Copies(msg wire.Message) bool {
	switch msg.(type) {
	case *wire.Snap, *wire.Recon:
		return true
	}
	return false
}

// receive adds a chunk to the transfer that it belongs to, beginning a new one
// where the chunk is of a newer stream. It returns nil for what is older.
func (r *replica) receive(from wire.Member, gen uint64, t *wire.Transfer) *incoming {
	key := streamKey{gen, t.Started, t.Stream}
	in := r.incoming
	if in == nil || key.compare(in.key) > 0 {
		in = &incoming{from: from, key: key, commit: t.Commit, seq: t.Seq, sizes: map[holo.PageID]int{}}
		r.incoming = in
	}
	if in.key != key || in.from != from {
		return nil
	}
	if t.Index != in.next {
		return in // a repeated chunk, or one after a lost one
	}
	in.next++
	in.complete = t.Last
	for i := range t.Images {
		p := &t.Images[i]
		in.count(p)
		in.effects = append(in.effects, effect{p.Page, stored{newPage(p.Kind, p.Data, p.Digest), p.Version}})
	}
	in.marks = append(in.marks, t.Marks...)
	in.records = append(in.records, t.Records...)
	return in
}

// split divides a transfer at its commit watermark.
func (in *incoming) split() (known, rest *item) {
	known, rest = &item{seq: in.commit}, &item{seq: in.seq}
	side := func(s holo.Seq) *item {
		if s <= in.commit {
			return known
		}
		return rest
	}
	for _, e := range in.effects {
		it := side(e.version.Seq)
		it.effects = append(it.effects, e)
	}
	for _, a := range in.marks {
		it := side(a.Version.Seq)
		it.marks = append(it.marks, a)
	}
	for _, o := range in.records {
		it := side(o.Version.Seq)
		it.records = append(it.records, o)
	}
	return known, rest
}
