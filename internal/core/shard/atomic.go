package shard

import (
	"bytes"
	"encoding/binary"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// decide does an atomic operation on the page as all that is ordered before
// leaves it: whether a compare-and-set applies, or what a fold gives. Members
// get the outcome, and need not come to it themselves. It is remembered with
// the operation, so that whoever asks again is told the same.
func (r *replica) decide(n *wire.Entry) {
	c := &n.Changes[0]
	have := make([]byte, len(c.Data))
	r.latest(holo.PageID{Array: n.Array, Index: c.Page}).at(have, c.Offset)
	n.Old = word(have)
	if n.Kind == wire.MutateSwap {
		n.Applied = bytes.Equal(have, n.Expect)
		return
	}
	result := binary.LittleEndian.AppendUint64(nil, n.Fold.Of(n.Element, n.Old, word(c.Data)))[:len(c.Data)]
	n.Changes = []wire.Change{{Page: c.Page, Kind: c.Kind, Offset: c.Offset, Data: result, Digest: digest.Of(result)}}
}

// word is an element of up to 8 bytes as a number.
func word(b []byte) uint64 {
	var w [holo.MaxAtom]byte
	copy(w[:], b)
	return binary.LittleEndian.Uint64(w[:])
}
