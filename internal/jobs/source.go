package jobs

import (
	"bytes"
	"slices"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// source gives the elements of one input's extent as bytes. Its pages are
// immutable and shared.
type source struct {
	elem    holo.ElementType
	used    uint64 // bytes of elements, from the first page on
	pages   []Page
	pattern []byte // what filled was made from
	filled  []byte // a page of pattern

	filledSum holo.Digest // of the last filled page that was summed

	around Around // nothing without a halo
}

// zeroPage is what a page that was never written reads as.
var zeroPage = make([]byte, holo.PageSize)

func newSource(t holo.ElementType, used uint64, pages []Page) *source {
	return &source{elem: t, used: used, pages: pages}
}

// read fills b from byte `from` on of what a kernel sees: what lies before the
// extent, the extent, and what lies after it.
func (s *source) read(b []byte, from uint64) {
	if before := uint64(len(s.around.Before)); from < before {
		n := copy(b, s.around.Before[from:])
		b, from = b[n:], 0
	} else {
		from -= before
	}
	own := b[:min(uint64(len(b)), s.used-min(from, s.used))]
	for b = b[len(own):]; len(own) > 0; {
		n := copy(own, s.page(from / holo.PageSize)[from%holo.PageSize:])
		own, from = own[n:], from+uint64(n)
	}
	copy(b, s.around.After[min(from-min(from, s.used), uint64(len(s.around.After))):])
}

// page is the content of one page.
func (s *source) page(i uint64) []byte {
	switch p := s.pages[i]; p.Kind {
	case wire.PageData:
		return p.Data
	case wire.PageFill:
		return s.fill(p.Data)
	default:
		return zeroPage
	}
}

// fill is a page of a pattern, kept for the pages after it. The pattern's
// length divides the page's (wire.PageFrame).
func (s *source) fill(pattern []byte) []byte {
	if !bytes.Equal(pattern, s.pattern) {
		s.pattern, s.filled = pattern, bytes.Repeat(pattern, holo.PageSize/len(pattern))
	}
	return s.filled
}

// root is the root of the digests of the extent's pages. Where the pages lie
// their digests are known, and it costs next to nothing.
func (s *source) root() holo.Digest {
	sums := make([]holo.Digest, len(s.pages))
	for i := range s.pages {
		sums[i] = s.sum(i)
	}
	return digest.Root(sums)
}

// sum is the digest of a page's 64 KiB, with zeros behind the last element
// whatever lies there.
func (s *source) sum(i int) holo.Digest {
	p := &s.pages[i]
	switch {
	case p.Kind == wire.PageZero:
		return digest.Zero
	case uint64(i+1)*holo.PageSize > s.used:
		n := s.used % holo.PageSize
		return digest.Of(slices.Concat(s.page(uint64(i))[:n], zeroPage[n:])) // on the heap: a page is much for a stack
	case p.Kind == wire.PageData && p.Hashed:
		return p.Digest
	case p.Kind == wire.PageData:
		return digest.Of(p.Data)
	case i == 0 || s.pages[i-1].Kind != wire.PageFill || !bytes.Equal(p.Data, s.pages[i-1].Data):
		s.filledSum = digest.Of(s.fill(p.Data))
	}
	return s.filledSum
}
