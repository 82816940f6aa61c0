package placement

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
)

// Weighted is a node and how much it offers, in MiB of memory.
type Weighted struct {
	Node   holo.NodeID
	Weight uint64
}

// ShardOf is the shard that holds an extent of an array. Extents that follow
// one another go round the shards, so one large array is spread evenly, and
// arrays of the same class, affinity and extent are co-located.
func ShardOf(class holo.Class, affinity string, extent uint64) holo.ShardID {
	h := digest.Of([]byte(affinity))
	return holo.MakeShardID(class, binary.LittleEndian.Uint64(h[:8])+extent)
}

// Rank orders nodes by weighted rendezvous hashing: the first is the node that
// would hold the shard if nothing else were known. A node is first in
// proportion to its weight, and one that comes or goes changes the order of no
// others.
//
// The usual score is -weight/ln(h) for a hash h in (0,1). The catalogue must
// come to the same answer on every processor, and floating-point logarithms do
// not promise that, so the logarithm is in integers and the quotients are
// compared by cross-multiplying.
func Rank(shard holo.ShardID, nodes []Weighted) []holo.NodeID {
	scored := make([]score, len(nodes))
	for i, n := range nodes {
		scored[i] = score{n.Node, max(n.Weight, 1), negLog2(hash(shard, n.Node))}
	}
	slices.SortFunc(scored, score.compare)
	ids := make([]holo.NodeID, len(scored))
	for i, s := range scored {
		ids[i] = s.node
	}
	return ids
}

type score struct {
	node   holo.NodeID
	weight uint64
	cost   uint64 // -log2(h), 32 fractional bits, at most 65<<32
}

// compare puts the larger weight/cost first; ties go by name.
func (s score) compare(o score) int {
	ah, al := bits.Mul64(s.weight, o.cost)
	bh, bl := bits.Mul64(o.weight, s.cost)
	switch {
	case ah > bh || ah == bh && al > bl:
		return -1
	case ah < bh || ah == bh && al < bl:
		return 1
	}
	return s.node.Compare(o.node)
}

func hash(shard holo.ShardID, node holo.NodeID) uint64 {
	var b [34]byte
	binary.LittleEndian.PutUint16(b[:], uint16(shard))
	copy(b[2:], node[:])
	h := digest.Of(b[:])
	return binary.LittleEndian.Uint64(h[:8])
}

// negLog2 is -log2(x/2^64), for an x of at least 1, with 32 fractional bits, by repeated squaring:
// squaring the mantissa doubles its logarithm, and the bit that carries out is
// the next bit of the result.
func negLog2(x uint64) uint64 {
	x = max(x, 1)
	zeros := bits.LeadingZeros64(x)
	mantissa := x << zeros // in [1,2) with 63 fractional bits
	var fraction uint64
	for range 32 {
		hi, lo := bits.Mul64(mantissa, mantissa) // in [1,4) with 126 fractional bits
		fraction <<= 1
		if hi>>63 == 1 {
			fraction |= 1
			mantissa = hi
			continue
		}
		mantissa = hi<<1 | lo>>63
	}
	return uint64(zeros+1)<<32 - fraction
}
