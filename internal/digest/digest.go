// Package digest is the one place that knows which hash checks a page:
// BLAKE3-256. A digest is taken when a page is created and verified at every
// hand-over: when it is received, before it is served, when it is read back.
package digest

import (
	"crypto/subtle"

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
	h := blake3.New()
	var n [8]byte
	for i := range n {
		n[i] = byte(uint64(len(pages)) >> (8 * i))
	}
	h.Write(n[:])
	for i := range pages {
		h.Write(pages[i][:])
	}
	return holo.Digest(h.Sum(nil))
}
