package jobs

import (
	"bytes"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// source gives the elements of one input's extent as bytes. Its pages are
// immutable and shared; it copies only where a run spans pages or a page is a
// pattern.
type source struct {
	elem    holo.ElementType
	pages   []Page
	pattern []byte // what filled was made from
	filled  []byte // a page of pattern
	gather  []byte // a run of several pages
}

// zeroPage is what a page that was never written reads as.
var zeroPage = make([]byte, holo.PageSize)

func newSource(t holo.ElementType, pages []Page) *source { return &source{elem: t, pages: pages} }

// bytes are n elements from element at of the extent, valid until the next
// call.
func (s *source) bytes(at, n uint64) []byte {
	size := s.elem.Size()
	page, from := at*size/holo.PageSize, at*size%holo.PageSize
	if from+n*size <= holo.PageSize {
		return s.page(page)[from : from+n*size]
	}
	s.gather = s.gather[:0]
	for left := n * size; left > 0; page, from = page+1, 0 {
		part := s.page(page)[from:]
		part = part[:min(uint64(len(part)), left)]
		s.gather = append(s.gather, part...)
		left -= uint64(len(part))
	}
	return s.gather
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
