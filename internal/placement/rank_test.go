package placement

import (
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func id(n int) holo.NodeID { return holo.NodeID{byte(n), byte(n >> 8)} }

func weighted(weights ...uint64) []Weighted {
	ws := make([]Weighted, len(weights))
	for i, w := range weights {
		ws[i] = Weighted{id(i + 1), w}
	}
	return ws
}

func TestRankIgnoresTheOrderOfTheNodes(t *testing.T) {
	nodes := weighted(100, 200, 300, 50)
	for s := range holo.ShardID(100) {
		want := Rank(s, nodes)
		slices.Reverse(nodes)
		if got := Rank(s, nodes); !slices.Equal(got, want) {
			t.Fatalf("shard %d: %v, then %v", s, want, got)
		}
	}
}

func TestNodeThatComesChangesTheOrderOfNoOthers(t *testing.T) {
	before, after := weighted(100, 200, 300), weighted(100, 200, 300, 400)
	for s := range holo.ShardID(holo.MaxClass * holo.ShardCount) {
		got := slices.DeleteFunc(Rank(s, after), func(n holo.NodeID) bool { return n == id(4) })
		if want := Rank(s, before); !slices.Equal(got, want) {
			t.Fatalf("shard %d: %v, then %v", s, want, got)
		}
	}
}

// Over many names a node of weight w of W is first about w/W of the time.
func TestRankIsProportionalToWeight(t *testing.T) {
	nodes := weighted(1, 2, 5)
	first := map[holo.NodeID]int{}
	const rounds = 40
	for r := range rounds {
		for i := range nodes {
			nodes[i].Node[31] = byte(r) // other names, other hashes
		}
		for s := range holo.ShardID(holo.ShardCount) {
			n := Rank(s, nodes)[0]
			n[31] = 0
			first[n]++
		}
	}
	total := float64(rounds * holo.ShardCount)
	for i, share := range []float64{1.0 / 8, 2.0 / 8, 5.0 / 8} {
		got := float64(first[id(i+1)])
		if sd := math.Sqrt(total * share * (1 - share)); math.Abs(got-total*share) > 4.5*sd {
			t.Errorf("weight share %.3f: first %.0f times of %.0f", share, got, total)
		}
	}
}

// The integer logarithm agrees with the real one, and never goes the wrong way.
func TestNegLog2IsTheLogarithm(t *testing.T) {
	last := uint64(math.MaxUint64)
	for _, x := range []uint64{1, 2, 3, 1000, 1 << 31, 1<<32 + 1, 1 << 62, 1<<63 - 1, 1 << 63, 3 << 62, math.MaxUint64 - 1, math.MaxUint64} {
		got := negLog2(x)
		f, _ := new(big.Float).SetUint64(x).Float64()
		if want := (64 - math.Log2(f)) * (1 << 32); math.Abs(float64(got)-want) > 4096 {
			t.Errorf("-log2(%d/2^64) = %d, want about %.0f", x, got, want)
		}
		if got > last || got == 0 {
			t.Errorf("-log2(%d/2^64) = %d, after %d for a smaller one", x, got, last)
		}
		last = got
	}
}

func TestExtentsGoRoundTheShards(t *testing.T) {
	first := ShardOf(2, "flights", 0)
	seen := map[holo.ShardID]bool{}
	for e := range uint64(holo.ShardCount) {
		s := ShardOf(2, "flights", e)
		if want := holo.MakeShardID(2, uint64(first.Number())+e); s != want {
			t.Fatalf("extent %d is in shard %d, want %d", e, s, want)
		}
		seen[s] = true
	}
	if len(seen) != holo.ShardCount {
		t.Errorf("256 extents lie in %d shards", len(seen))
	}
	if ShardOf(2, "flights", holo.ShardCount) != first {
		t.Error("extent 256 is not where extent 0 is")
	}
	if ShardOf(1, "flights", 7).Number() != ShardOf(3, "flights", 7).Number() {
		t.Error("the class changes the number of the shard")
	}
}

// The answer is part of the protocol: all nodes of all versions must agree.
func TestShardOfAndRankAreFixed(t *testing.T) {
	if got := ShardOf(2, "flights", 5); got != goldenShard {
		t.Errorf("shard of flights, extent 5: %d, want %d", got, goldenShard)
	}
	for i, want := range goldenRanks {
		var got []int
		for _, n := range Rank(holo.ShardID(300+i), weighted(256, 256, 512, 1024)) {
			got = append(got, int(n[0]))
		}
		if !slices.Equal(got, want) {
			t.Errorf("rank for shard %d: %v, want %v", 300+i, got, want)
		}
	}
}

const goldenShard = holo.ShardID(478)

var goldenRanks = [][]int{{4, 3, 2, 1}, {2, 4, 1, 3}, {4, 3, 2, 1}, {4, 2, 1, 3}}

// A million pages, each of an array of its own name: every node computes the same
// home, and the pages that move when a node comes are those that the newcomer takes,
// no more than a fifth above its share.
func TestNodeThatComesTakesItsShareAndNoMore(t *testing.T) {
	const pages = 1_000_000
	for n := 1; n <= 5; n++ {
		before, after := homes(t, n), homes(t, n+1)
		moved := 0
		for p := range uint64(pages) {
			s := pageShard(p)
			if before[s] == after[s] {
				continue
			}
			if moved++; after[s] != id(n+1) {
				t.Fatalf("page %d moves from %v to %v, which was there before", p, before[s], after[s])
			}
		}
		if most := 1.2 * pages / float64(n+1); float64(moved) > most || moved == 0 {
			t.Errorf("the node that comes to %d moves %d of %d pages, want at most %.0f", n, moved, pages, most)
		}
	}
}

// pageShard spreads pages over the shards of all classes, under an affinity and an
// extent each.
func pageShard(p uint64) holo.ShardID {
	affinity := string([]byte{byte(p), byte(p >> 8)})
	return ShardOf(holo.Class(1+p%holo.MaxClass), affinity, p>>16)
}

// homes are the first nodes of all shards among n alike, as each of them computes
// them: it lists itself first.
func homes(t *testing.T, n int) map[holo.ShardID]holo.NodeID {
	t.Helper()
	first := map[holo.ShardID]holo.NodeID{}
	for self := range n {
		nodes := weighted(slices.Repeat([]uint64{256}, n)...)
		nodes[0], nodes[self] = nodes[self], nodes[0]
		for s := range holo.ShardID(holo.MaxClass * holo.ShardCount) {
			home := Rank(s, nodes)[0]
			if self > 0 && first[s] != home {
				t.Fatalf("shard %d of %d nodes: %v or %v", s, n, first[s], home)
			}
			first[s] = home
		}
	}
	return first
}
