package shard

import (
	"slices"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
	"github.com/holocompute/holocompute/internal/wire"
)

// page is the content of a page. Its bytes are never modified: a change makes
// a new page. Only the machine touches the digest, which is computed when it is
// first needed. Whoever refers to a page shares whether it is away.
type page struct {
	kind    wire.PageKind
	data    []byte
	digest  holo.Digest // of data
	hashed  bool
	away    bool // the data is not in memory; the digest is known
	damaged bool // nor on disk: what was there is not what was written
	gone    bool // it was away when it was replaced meanwhile: nobody can get it back
}

// size is the number of bytes of the data, wherever they are.
func (p *page) size() int {
	if p.away {
		return holo.PageSize
	}
	return len(p.data)
}

// zeroPage is what every page is that was never written.
var zeroPage = &page{kind: wire.PageZero}

// stored is a page at a version.
type stored struct {
	*page
	version holo.Version
}

// newPage copies the bytes: they may alias a frame many times their size.
func newPage(kind wire.PageKind, data []byte, sum holo.Digest) *page {
	return ownPage(kind, slices.Clone(data), sum)
}

// ownPage is made of bytes that are nobody else's.
func ownPage(kind wire.PageKind, data []byte, sum holo.Digest) *page {
	if kind == wire.PageZero {
		return zeroPage
	}
	return &page{kind: kind, data: data, digest: sum, hashed: true}
}

// changed is the page that a change makes of this one. own: see SubmitOwn.
func (p *page) changed(c *wire.Change, own bool) *page {
	if own && c.Kind == wire.PageData {
		return ownPage(c.Kind, c.Data, c.Digest)
	}
	if c.Kind != wire.PageDelta {
		return newPage(c.Kind, c.Data, c.Digest)
	}
	invariant.Check(!p.away, "shard: change part of a page that is away")
	buf := make([]byte, holo.PageSize)
	expand(buf, p.kind, p.data)
	copy(buf[c.Offset:], c.Data)
	return &page{kind: wire.PageData, data: buf}
}

// sum is the digest of the page's data.
func (p *page) sum() holo.Digest {
	if !p.hashed && p.kind != wire.PageZero {
		p.digest, p.hashed = digest.Of(p.data), true
	}
	return p.digest
}

// at copies len(dst) bytes of the page from an offset.
func (p *page) at(dst []byte, offset uint32) {
	switch p.kind {
	case wire.PageData:
		copy(dst, p.data[offset:])
	case wire.PageFill:
		for i := range dst {
			dst[i] = p.data[(int(offset)+i)%len(p.data)]
		}
	default:
		clear(dst)
	}
}

// expand writes the page's 64 KiB into buf, which is zero.
func expand(buf []byte, kind wire.PageKind, data []byte) {
	n := copy(buf, data)
	if kind != wire.PageFill {
		return
	}
	for n < len(buf) {
		n += copy(buf[n:], buf[:n])
	}
}

// View is a page as a reader gets it. Data is shared with the machine and
// with other readers, and MUST NOT be modified.
type View struct {
	Page    holo.PageID
	Version holo.Version
	Kind    wire.PageKind
	Data    []byte      // nil, the pattern, or all 64 KiB
	Digest  holo.Digest // of Data, when Hashed
	Hashed  bool
	Away    bool // the 64 KiB lie on disk: Data is nil, and Digest theirs
	Damaged bool // nor on disk any more: Spoilt says what can be done
}

func (s stored) view(id holo.PageID) View {
	return View{Page: id, Version: s.version, Kind: s.kind, Data: s.data, Digest: s.digest, Hashed: s.hashed, Away: s.away, Damaged: s.damaged}
}

// Sum is the digest of Data. It may take the time of hashing a page, so it is
// not for the goroutine that owns the machine.
func (v *View) Sum() holo.Digest {
	if !v.Hashed && v.Kind != wire.PageZero {
		v.Digest, v.Hashed = digest.Of(v.Data), true
	}
	return v.Digest
}

// Bytes writes the page into dst, which holds 64 KiB.
func (v *View) Bytes(dst []byte) {
	dst = dst[:holo.PageSize]
	clear(dst)
	expand(dst, v.Kind, v.Data)
}

// Content is the digest of the page's 64 KiB, however they are stored: the
// leaf of a sealed array's root.
func (v *View) Content() holo.Digest {
	switch v.Kind {
	case wire.PageZero:
		return digest.Zero
	case wire.PageFill:
		buf := make([]byte, holo.PageSize)
		v.Bytes(buf)
		return digest.Of(buf)
	}
	return v.Sum()
}
