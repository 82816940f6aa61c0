package node

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
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

// M-10: several clients count one element up through several nodes, and another
// in loops of compare and swap. The node that they lie on is killed meanwhile.
// Not one addition is lost or done twice, and no two met the same value.
func TestAtomicOperationsCountExactlyOnceThoughTheHomeDies(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	var a *holov1.Array
	var home holo.NodeID
	for i := 0; home != c.nodes[2].self; i++ { // one that lies on the node that dies
		a = c.createOf(c.nodes[0], "counters"+string(rune('a'+i)), "u64", 16)
		must(t, c.nodes[0].WriteRange(ctx, holo.ArrayID(a.Id), 0, word(0))) // then its home is known
		rec, err := c.nodes[0].array(ctx, holo.ArrayID(a.Id))
		must(t, err)
		home, err = c.nodes[0].homeOf(ctx, rec.ID, spans(rec, 0, 8)[0].shard)
		must(t, err)
	}
	const clients, each = 4, 60
	met := make([]map[uint64]bool, clients)
	half := make(chan struct{}, clients)
	var wg sync.WaitGroup
	for k := range clients {
		met[k] = map[uint64]bool{}
		wg.Go(func() {
			n := c.nodes[k%2]
			for i := range each {
				if i == each/2 {
					half <- struct{}{}
				}
				r := apply(t, n, &holov1.ApplyAtomicRequest{Array: a.Id, Index: 3, Kind: "add", Operand: word(1)})
				met[k][number(r.Met)] = true
				for have := uint64(0); ; {
					r := apply(t, n, &holov1.ApplyAtomicRequest{Array: a.Id, Index: 4, Kind: door.SwapKind, Expected: word(have), Operand: word(have + 1)})
					if r.Applied {
						break
					}
					have = number(r.Met)
				}
			}
		})
	}
	for range clients {
		<-half
	}
	c.kill(2)
	wg.Wait()
	seen := map[uint64]bool{}
	for k := range met {
		for v := range met[k] {
			if seen[v] {
				t.Errorf("two additions met %d", v)
			}
			seen[v] = true
		}
	}
	for _, n := range c.nodes[:2] {
		var b [16]byte
		must(t, n.ReadRange(ctx, holo.ArrayID(a.Id), 24, b[:]))
		if x, y := number(b[:8:8]), number(b[8:]); x != clients*each || y != clients*each || len(seen) != clients*each {
			t.Errorf("%d additions and %d swaps counted, %d values met, want %d of each", x, y, len(seen), clients*each)
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
	_, err := n.SealArray(ctx, door.Caller{}, holo.ArrayID(a.Id))
	must(t, err)
	if err := ask(a.Id, 0, []byte{1, 0}); holo.KindOf(err) != holo.Conflict {
		t.Errorf("a sealed array: %v", err)
	}
}

func (c *cluster) createOf(n *Node, name, elements string, length uint64) *holov1.Array {
	c.t.Helper()
	a, err := n.CreateArray(context.Background(), door.Caller{}, &holov1.CreateArrayRequest{Name: name, Type: elements, Length: length})
	must(c.t, err)
	return a
}

// A node that closes ends what it was asked, as cancelled. Nobody here gave up,
// so that is no end here: it is asked elsewhere, under the same ID.
func TestWhatAClosingNodeCancelsIsAskedAgain(t *testing.T) {
	f := wire.FailureOf(holo.Errorf(holo.Cancelled, "write to shard 7: the node is closing"))
	if err := given(context.Background(), holo.NodeID{1}, f); !again(err) || holo.KindOf(err) != holo.Indeterminate {
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
