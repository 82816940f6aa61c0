package jobs

import (
	"bytes"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// source gives the elements of one input's extent as bytes. Its pages are
// immutable and shared.
type source struct {
	elem    holo.ElementType
	pages   []Page
	pattern []byte // what filled was made from
	filled  []byte // a page of pattern
}

// zeroPage is what a page that was never written reads as.
var zeroPage = make([]byte, holo.PageSize)

func newSource(t holo.ElementType, pages []Page) *source { return &source{elem: t, pages: pages} }

// read fills b from byte `from` of the extent on.
func (s *source) read(b []byte, from uint64) {
	for len(b) > 0 {
		n := copy(b, s.page(from / holo.PageSize)[from%holo.PageSize:])
		b, from = b[n:], from+uint64(n)
	}
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
