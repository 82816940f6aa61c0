package node

import (
	"context"
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/memory"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// apply asks a node for an atomic operation under one ID until it is answered,
// as the SDK does.
func apply(t *testing.T, n *Node, m *holov1.ApplyAtomicRequest) *holov1.AtomicResponse {
	m.Operation = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, rand.Uint64()), 1)
	for {
		r, err := n.Atomic(context.Background(), door.Caller{}, m)
		if kind := holo.KindOf(err); err != nil && (kind == holo.Indeterminate || kind == holo.Unavailable) {
			continue
		}
		if err != nil {
			t.Error(err)
			return &holov1.AtomicResponse{Met: make([]byte, 8)}
		}
		return r
	}
}

func number(b []byte) uint64 { return binary.LittleEndian.Uint64(append(b, make([]byte, 8-len(b))...)) }

// additions is how often each of the four clients of the test below adds: make
// atomics gives 100,000.
var additions = flag.Int("additions", 60, "additions of each client in the tests of atomic operations")

// M-10: several clients count one element up through several nodes, and another
// in loops of compare and swap. The node that they lie on is killed meanwhile.
// Not one addition is lost or done twice, and no two met the same value.
func TestAtomicOperationsCountExactlyOnceThoughTheHomeDies(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	a := c.countersOn(2)
	const clients, swaps = 4, 60
	counters := make([]*counter, clients)
	half := make(chan struct{}, clients)
	var wg sync.WaitGroup
	for k := range counters {
		counters[k] = &counter{node: c.nodes[k%2], array: a.Id, each: *additions, half: half}
		counters[k].start(t, &wg)
		wg.Go(func() { counters[k].swap(t, swaps) })
	}
	for range clients {
		<-half
	}
	c.kill(2)
	wg.Wait()
	all := uint64(clients * *additions)
	seen := make([]bool, all)
	for _, k := range counters {
		for _, v := range k.met {
			if v >= all || seen[v] {
				t.Fatalf("an addition met %d, which another did too or which is too much", v)
			}
			seen[v] = true
		}
	}
	for _, n := range c.nodes[:2] {
		var b [16]byte
		must(t, n.ReadRange(ctx, holo.ArrayID(a.Id), 24, b[:]))
		if x, y := number(b[:8:8]), number(b[8:]); x != all || y != clients*swaps || slices.Contains(seen, false) {
			t.Errorf("%d additions of %d and %d swaps of %d counted, or a value that none met", x, all, y, clients*swaps)
		}
	}
}

// countersOn makes an array that lies on a node.
func (c *cluster) countersOn(i int) (a *holov1.Array) {
	ctx := context.Background()
	var home holo.NodeID
	for try := 0; home != c.nodes[i].self; try++ {
		a = c.createOf(c.nodes[0], "counters"+string(rune('a'+try)), "u64", 16)
		must(c.t, c.nodes[0].WriteRange(ctx, holo.ArrayID(a.Id), 0, word(0))) // then its home is known
		rec, err := c.nodes[0].memory.Array(ctx, holo.ArrayID(a.Id))
		must(c.t, err)
		home, err = c.nodes[0].memory.HomeOf(ctx, rec.ID, memory.RunOf(rec, 0).Shard)
		must(c.t, err)
	}
	return a
}

// counter is a client that adds to element 3, several additions under way, and
// counts element 4 up by compare and swap.
type counter struct {
	node  *Node
	array uint64
	each  int
	half  chan<- struct{} // told when half of the additions are begun

	mu    sync.Mutex
	begun int
	met   []uint64 // what the additions met
}

// underWay is how many additions of a client are under way at once.
const underWay = 8

func (k *counter) start(t *testing.T, wg *sync.WaitGroup) {
	for range underWay {
		wg.Go(func() {
			for k.next() {
				r := apply(t, k.node, &holov1.ApplyAtomicRequest{Array: k.array, Index: 3, Kind: "add", Operand: word(1)})
				k.mu.Lock()
				k.met = append(k.met, number(r.Met))
				k.mu.Unlock()
			}
		})
	}
}

// next reports whether there is one more to do.
func (k *counter) next() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.begun == k.each/2 {
		k.half <- struct{}{}
	}
	k.begun++
	return k.begun <= k.each
}

func (k *counter) swap(t *testing.T, times int) {
	for range times {
		for have := uint64(0); ; {
			r := apply(t, k.node, &holov1.ApplyAtomicRequest{Array: k.array, Index: 4, Kind: door.SwapKind, Expected: word(have), Operand: word(have + 1)})
			if r.Applied {
				break
			}
			have = number(r.Met)
		}
	}
}

func word(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

func TestAtomicOperationsThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n, ctx := c.nodes[0], context.Background()
	a := c.createOf(n, "few", "i16", 4)
	op := make([]byte, 16)
	ask := func(array, index uint64, operand []byte) error {
		_, err := n.Atomic(ctx, door.Caller{}, &holov1.ApplyAtomicRequest{Array: array, Index: index, Operation: op, Kind: "add", Operand: operand})
		return err
	}
	for name, err := range map[string]error{
		"an index behind the end": ask(a.Id, 4, []byte{1, 0}),
		"a far index":             ask(a.Id, 1<<63, []byte{1, 0}),
		"a longer element":        ask(a.Id, 0, make([]byte, 8)),
		"a shorter element":       ask(a.Id, 0, []byte{1}),
	} {
		if holo.KindOf(err) != holo.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := ask(a.Id+7, 0, []byte{1, 0}); holo.KindOf(err) != holo.NotFound {
		t.Errorf("an array that there is not: %v", err)
	}
	_, err := c.seals(ctx, n, holo.ArrayID(a.Id))
	must(t, err)
	if err := ask(a.Id, 0, []byte{1, 0}); holo.KindOf(err) != holo.Conflict {
		t.Errorf("a sealed array: %v", err)
	}
}

func (c *cluster) createOf(n *Node, name, elements string, length uint64) *holov1.Array {
	c.t.Helper()
	a, err := c.makes(context.Background(), n, &holov1.CreateArrayRequest{Name: name, Type: elements, Length: length})
	must(c.t, err)
	return a
}

// A node that closes ends what it was asked, as cancelled. Nobody here gave up,
// so that is no end here: it is asked elsewhere, under the same ID.
func TestWhatAClosingNodeCancelsIsAskedAgain(t *testing.T) {
	f := wire.FailureOf(holo.Errorf(holo.Cancelled, "write to shard 7: the node is closing"))
	if err := given(context.Background(), holo.NodeID{1}, f); !wait.Again(err) || holo.KindOf(err) != holo.Indeterminate {
		t.Errorf("while the caller waits: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := given(ctx, holo.NodeID{1}, f); holo.KindOf(err) != holo.Cancelled {
		t.Errorf("after the caller gave up: %v", err)
	}
	lost := wire.FailureOf(holo.Refuse(holo.DataLost, "lost", "gone"))
	if err := given(context.Background(), holo.NodeID{1}, lost); holo.KindOf(err) != holo.DataLost {
		t.Errorf("another failure: %v", err)
	}
}
