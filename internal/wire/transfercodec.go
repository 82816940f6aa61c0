package wire

import "github.com/holocompute/holocompute/internal/holo"

func (p *PageImage) encode(e *Encoder) {
	e.page(p.Page)
	e.version(p.Version)
	e.U8(uint8(p.Kind))
	e.content(p.Kind, p.Data, &p.Digest)
}

func (p *PageImage) decode(d *Decoder) {
	p.Page = d.page()
	p.Version = d.version()
	p.Kind = PageKind(d.U8())
	p.Data = d.content(p.Kind, &p.Digest)
	d.Valid(d.err != nil || p.Kind != PageDelta && CheckContent(p.Kind, 0, p.Data), "image of a page")
}

func (m *ArrayMark) encode(e *Encoder) {
	e.U64(uint64(m.Array))
	e.U8(uint8(m.State))
	e.version(m.Version)
}

func (m *ArrayMark) decode(d *Decoder) {
	m.Array = holo.ArrayID(d.U64())
	m.State = MarkState(d.U8())
	d.Valid(m.State == MarkSealed || m.State == MarkDropped, "state of an array")
	m.Version = d.version()
}

func (r *OpRecord) encode(e *Encoder) {
	e.op(r.Op)
	e.Bool(r.ByTask)
	e.U64(uint64(r.Job))
	e.U32(uint32(r.Task))
	e.U64(uint64(r.Array))
	e.version(r.Version)
	e.Bool(r.Applied)
	e.U64(r.Old)
}

func (r *OpRecord) decode(d *Decoder) {
	r.Op = d.op()
	r.ByTask = d.Bool()
	r.Job = holo.JobID(d.U64())
	r.Task = holo.TaskID(d.U32())
	r.Array = holo.ArrayID(d.U64())
	r.Version = d.version()
	r.Applied = d.Bool()
	r.Old = d.U64()
}

func (t *Transfer) encode(e *Encoder) {
	e.U64(uint64(t.Started))
	e.U64(t.Stream)
	e.U64(uint64(t.Above))
	e.U64(uint64(t.Commit))
	e.U64(uint64(t.Seq))
	e.U32(t.Index)
	e.Bool(t.Last)
	e.Count(len(t.Images))
	for i := range t.Images {
		t.Images[i].encode(e)
	}
	e.Count(len(t.Marks))
	for i := range t.Marks {
		t.Marks[i].encode(e)
	}
	e.Count(len(t.Records))
	for i := range t.Records {
		t.Records[i].encode(e)
	}
}

func (t *Transfer) decode(d *Decoder) {
	t.Started = holo.Epoch(d.U64())
	t.Stream = d.U64()
	t.Above = holo.Seq(d.U64())
	t.Commit = holo.Seq(d.U64())
	t.Seq = holo.Seq(d.U64())
	d.Valid(t.Above <= t.Commit && t.Commit <= t.Seq, "watermarks")
	t.Index = d.U32()
	t.Last = d.Bool()
	if k := d.Count(MaxTransfer, imageBytes); k > 0 {
		t.Images = make([]PageImage, k)
	}
	for i := range t.Images {
		t.Images[i].decode(d)
	}
	if k := d.Count(MaxTransfer, markBytes); k > 0 {
		t.Marks = make([]ArrayMark, k)
	}
	for i := range t.Marks {
		t.Marks[i].decode(d)
	}
	if k := d.Count(MaxTransfer, recordBytes); k > 0 {
		t.Records = make([]OpRecord, k)
	}
	for i := range t.Records {
		t.Records[i].decode(d)
	}
}

func (m *Recon) encode(e *Encoder) {
	m.ShardHead.encode(e)
	m.Transfer.encode(e)
}

func (m *Recon) decode(d *Decoder) {
	m.ShardHead.decode(d)
	m.Transfer.decode(d)
}

func (m *ReconAck) encode(e *Encoder) {
	m.ShardHead.encode(e)
	e.U64(m.Stream)
	e.U32(m.Next)
	e.Bool(m.Done)
}

func (m *ReconAck) decode(d *Decoder) {
	m.ShardHead.decode(d)
	m.Stream = d.U64()
	m.Next = d.U32()
	m.Done = d.Bool()
}

func (m *Snap) encode(e *Encoder) {
	m.ShardHead.encode(e)
	e.U64(m.Gen)
	m.Transfer.encode(e)
}

func (m *Snap) decode(d *Decoder) {
	m.ShardHead.decode(d)
	m.Gen = d.U64()
	m.Transfer.decode(d)
}

func (m *SnapAck) encode(e *Encoder) {
	m.ShardHead.encode(e)
	e.U64(m.Gen)
	e.U64(m.Stream)
	e.U32(m.Next)
	e.Bool(m.Done)
}

func (m *SnapAck) decode(d *Decoder) {
	m.ShardHead.decode(d)
	m.Gen = d.U64()
	m.Stream = d.U64()
	m.Next = d.U32()
	m.Done = d.Bool()
}

func encodePages(e *Encoder, pages []holo.PageID) {
	e.Count(len(pages))
	for _, p := range pages {
		e.page(p)
	}
}

func decodePages(d *Decoder) []holo.PageID {
	n := d.Count(MaxInval, 16)
	if n == 0 {
		return nil
	}
	pages := make([]holo.PageID, n)
	for i := range pages {
		pages[i] = d.page()
	}
	return pages
}

func (m *Inval) encode(e *Encoder) {
	m.ShardHead.encode(e)
	e.U64(m.UpTo)
	encodePages(e, m.Pages)
}

func (m *Inval) decode(d *Decoder) {
	m.ShardHead.decode(d)
	m.UpTo = d.U64()
	m.Pages = decodePages(d)
}

func (m *InvalAck) encode(e *Encoder) {
	m.ShardHead.encode(e)
	e.U64(m.UpTo)
	encodePages(e, m.Pages)
}

func (m *InvalAck) decode(d *Decoder) {
	m.ShardHead.decode(d)
	m.UpTo = d.U64()
	m.Pages = decodePages(d)
}

func (m *PageAsk) encode(e *Encoder) {
	m.ShardHead.encode(e)
	e.page(m.Page)
	e.version(m.Version)
}

func (m *PageAsk) decode(d *Decoder) {
	m.ShardHead.decode(d)
	m.Page = d.page()
	m.Version = d.version()
}

func (m *PageGive) encode(e *Encoder) {
	m.ShardHead.encode(e)
	e.page(m.Page)
	e.version(m.Version)
	e.U64(uint64(m.Commit))
	if e.Bool(m.Has); m.Has {
		e.content(PageData, m.Data, &m.Digest)
	}
}

func (m *PageGive) decode(d *Decoder) {
	m.ShardHead.decode(d)
	m.Page = d.page()
	m.Version = d.version()
	m.Commit = holo.Seq(d.U64())
	if m.Has = d.Bool(); m.Has {
		m.Data = d.content(PageData, &m.Digest)
		d.Valid(d.err != nil || CheckContent(PageData, 0, m.Data), "image of a page")
	}
}
