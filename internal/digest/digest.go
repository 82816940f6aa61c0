// Package digest is the one place that knows which hash checks a page:
// BLAKE3-256. A digest is taken when a page is created and verified at every
// hand-over: when it is received, before it is served, when it is read back.
package digest

import (
	"crypto/subtle"
	"encoding/binary"

	"github.com/zeebo/blake3"

	"github.com/holocompute/holocompute/internal/holo"
)

// Of hashes bytes, of a page or of anything else named by its content.
func Of(b []byte) holo.Digest { return blake3.Sum256(b) }

// Zero is the digest of a page of zero bytes.
var Zero = Of(make([]byte, holo.PageSize))

// Check reports whether b has the digest want.
func Check(b []byte, want holo.Digest) bool {
	got := Of(b)
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// Root hashes a list of digests in order, with its length in front: the root
// of a sealed array's pages.
func Root(pages []holo.Digest) holo.Digest {
	if len(pages) <= holo.MaxExtentPages {
		return short(pages)
	}
	h := NewRoot(uint64(len(pages)))
	for i := range pages {
		h.Add(pages[i])
	}
	return h.Sum()
}

// short is the root of the pages of an extent, as each task takes it: without a
// hasher, which is 10 KiB.
func short(pages []holo.Digest) holo.Digest {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+holo.MaxExtentPages*len(holo.Digest{})), uint64(len(pages)))
	for i := range pages {
		b = append(b, pages[i][:]...)
	}
	return Of(b)
}

// RootOf is a root in the making, for who does not hold all digests at once.
type RootOf struct{ h *blake3.Hasher }

// NewRoot begins the root of so many pages.
func NewRoot(pages uint64) RootOf {
	h := blake3.New()
	h.Write(binary.LittleEndian.AppendUint64(nil, pages))
	return RootOf{h}
}

// Add takes the digest of the next page.
func (r RootOf) Add(page holo.Digest) { r.h.Write(page[:]) }

// Sum is the root of the pages that were added.
func (r RootOf) Sum() holo.Digest { return holo.Digest(r.h.Sum(nil)) }
