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
