package node

import (
	"context"
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/buffer"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
)

// appended is how many records each producer of the test below appends: make
// buffers gives 100,000.
var appended = flag.Int("records", 600, "records of each producer in the tests of buffers")

// settled calls until the outcome is known, as the SDK does.
func settled[A any](t *testing.T, call func() (A, error)) A {
	for {
		m, err := call()
		if kind := holo.KindOf(err); err != nil && (kind == holo.Indeterminate || kind == holo.Unavailable) {
			continue
		}
		if err != nil {
			t.Error(err)
		}
		return m
	}
}

// laneExtent is 8 pages: 384 KiB of frames in a lane.
const laneExtent = 8 * holo.PageSize

func (c *cluster) buffer(n *Node, name string, lanes uint64) uint64 {
	m := &holov1.CreateArrayRequest{Name: name, Type: "u8", Length: lanes * laneExtent, ExtentElements: laneExtent, Buffer: true}
	a, err := c.makes(context.Background(), n, m)
	must(c.t, err)
	return a.Id
}

// producer appends numbered records, and consumer collects them.
type producer struct {
	node   *Node
	caller door.Caller
	array  uint64
	number uint64
}

func (p *producer) run(t *testing.T, count int, half func()) {
	ctx := context.Background()
	settled(t, func() (*holov1.OpenBufferResponse, error) {
		return p.node.OpenProducer(ctx, p.caller, &holov1.OpenBufferRequest{Array: p.array, Producer: p.number})
	})
	for next := 1; next <= count && !t.Failed(); {
		m := &holov1.AppendRequest{Array: p.array, Producer: p.number, Sequence: uint64(next), WaitMilliseconds: 10_000}
		for range min(1+rand.IntN(40), count-next+1) {
			m.Records = append(m.Records, append(binary.LittleEndian.AppendUint64(nil, uint64(next)), make([]byte, rand.IntN(300))...))
			if next++; next == count/2 {
				half()
			}
		}
		settled(t, func() (*holov1.AppendResponse, error) {
			r, err := p.node.AppendRecords(ctx, p.caller, m)
			if holo.ReasonOf(err) == buffer.ReasonFull {
				err = holo.Errorf(holo.Unavailable, "%w", err) // the consumers are behind
			}
			return r, err
		})
	}
}

// collected is what the consumers had, by producer, in the order in which it was
// committed.
type collected struct {
	mu   sync.Mutex
	of   map[uint64][]uint64
	left int
}

// run consumes until everybody together has all.
func (c *collected) run(t *testing.T, n *Node, caller door.Caller, array, number uint64) {
	ctx := context.Background()
	for seq := uint64(1); !t.Failed(); seq++ {
		c.mu.Lock()
		left := c.left
		c.mu.Unlock()
		if left <= 0 {
			return
		}
		b := settled(t, func() (*holov1.Taken, error) {
			return n.TakeRecords(ctx, caller, &holov1.TakeRequest{Array: array, Consumer: number, Sequence: seq, MostBytes: 20_000, WaitMilliseconds: 500})
		})
		if b.GetNumber() == 0 {
			continue
		}
		settled(t, func() (*holov1.SettleResponse, error) {
			c.mu.Lock() // what is committed is written down before somebody else can have what follows
			defer c.mu.Unlock()
			err := n.SettleRecords(ctx, caller, &holov1.SettleRequest{Array: array, Consumer: number, Lane: b.Lane, Number: b.Number})
			if err == nil {
				c.add(t, b)
			}
			return nil, err
		})
	}
}

func (c *collected) add(t *testing.T, b *holov1.Taken) {
	for _, r := range b.Records {
		if v := binary.LittleEndian.Uint64(r.Data); v != r.Sequence {
			t.Errorf("record %d of producer %x says that it is %d", r.Sequence, r.Producer, v)
		}
		c.of[r.Producer] = append(c.of[r.Producer], r.Sequence)
		c.left--
	}
}

// M-04: four producers append to one buffer through several nodes, two consumers
// take from it. The home of a lane is killed meanwhile. Nothing is lost, nothing
// comes twice, and what one producer appended comes in its order.
func TestBufferLosesAndDoublesNothingThoughAHomeDies(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	array := c.buffer(c.nodes[0], "records", 6)
	const producers = 4
	got := &collected{of: map[uint64][]uint64{}, left: producers * *appended}
	half := make(chan struct{}, producers)
	var wg sync.WaitGroup
	for k := range producers {
		p := &producer{node: c.nodes[k%2], array: array, number: uint64(1 + k)}
		wg.Go(func() { p.run(t, *appended, func() { half <- struct{}{} }) })
	}
	for k := range 2 {
		wg.Go(func() { got.run(t, c.nodes[k], door.Caller{}, array, uint64(11+k)) })
	}
	for range producers {
		<-half
	}
	c.kill(2)
	wg.Wait()
	for k := range uint64(producers) {
		list := got.of[1+k]
		if len(list) != *appended {
			t.Fatalf("%d records of producer %d came, of %d", len(list), k, *appended)
		}
		for i, seq := range list {
			if seq != uint64(i+1) {
				t.Fatalf("record %d of producer %d came in place %d", seq, k, i+1)
			}
		}
	}
}

// A producer's or consumer's number says nothing: with somebody else's key it is
// somebody else.
func TestNumberOfSomebodyElseIsOfNoUse(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	ctx, n := context.Background(), c.nodes[0]
	array := c.buffer(n, "records", 1)
	owner, other := door.Caller{Principal: holo.PrincipalID{1}}, door.Caller{Principal: holo.PrincipalID{2}}
	_, err := n.OpenProducer(ctx, owner, &holov1.OpenBufferRequest{Array: array, Producer: 5})
	must(t, err)
	first := &holov1.AppendRequest{Array: array, Producer: 5, Sequence: 1, Records: [][]byte{{1}}}
	if _, err := n.AppendRecords(ctx, other, first); holo.ReasonOf(err) != buffer.ReasonForgotten {
		t.Errorf("somebody else appends as the producer: %v", err)
	}
	_, err = n.OpenProducer(ctx, other, &holov1.OpenBufferRequest{Array: array, Producer: 5, Close: true})
	must(t, err)
	_, err = n.AppendRecords(ctx, owner, first)
	must(t, err)
	b, err := n.TakeRecords(ctx, owner, &holov1.TakeRequest{Array: array, Consumer: 6, Sequence: 1})
	must(t, err)
	if again, err := n.TakeRecords(ctx, owner, &holov1.TakeRequest{Array: array, Consumer: 6, Sequence: 1}); err != nil || again.Number != b.Number {
		t.Errorf("asked for again it is hand-out %d instead of %d: %v", again.GetNumber(), b.Number, err)
	}
	if got, err := n.TakeRecords(ctx, other, &holov1.TakeRequest{Array: array, Consumer: 6, Sequence: 1}); err != nil || got.Number != 0 {
		t.Errorf("somebody else is given %v: %v", got, err)
	}
	settle := &holov1.SettleRequest{Array: array, Consumer: 6, Number: b.Number}
	if err := n.SettleRecords(ctx, other, settle); holo.ReasonOf(err) != buffer.ReasonOver {
		t.Errorf("somebody else commits: %v", err)
	}
	must(t, n.SettleRecords(ctx, owner, settle))
}

// A buffer's pages are changed by its own operations and by nothing else.
func TestBufferIsNotWrittenAsAnArray(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	ctx, n := context.Background(), c.nodes[0]
	id := holo.ArrayID(c.buffer(n, "records", 1))
	_, atomic := n.Atomic(ctx, door.Caller{}, &holov1.ApplyAtomicRequest{Array: uint64(id), Operation: make([]byte, 16), Kind: "add", Operand: []byte{1}})
	_, hold := n.Hold(ctx, door.Caller{}, &holov1.HoldRequest{Array: uint64(id), Count: 1, Lease: 1, Milliseconds: 1000})
	for what, err := range map[string]error{
		"write": n.WriteRange(ctx, id, 0, []byte{1}), "fill": n.FillRange(ctx, id, 0, 1, []byte{1}), "atomic": atomic, "hold": hold,
	} {
		if holo.KindOf(err) != holo.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	plain := c.create(n, "plain", 1<<20)
	if _, err := n.AppendRecords(ctx, door.Caller{}, &holov1.AppendRequest{Array: plain.Id, Producer: 1, Sequence: 1, Records: [][]byte{{1}}}); holo.KindOf(err) != holo.Invalid {
		t.Errorf("append to an array: %v", err)
	}
}
