package node

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/memory"
)

// apart finds the node that is home to an array's first page, and one that holds
// no copy of it.
func (c *cluster) apart(id holo.ArrayID) (home, reader *Node) {
	c.t.Helper()
	rec, err := c.nodes[0].memory.Array(context.Background(), id)
	must(c.t, err)
	await(c.t, "the first page has a home", func() bool {
		config, _ := c.nodes[0].memory.Configs.Get(memory.RunOf(rec, 0).Shard)
		for _, n := range c.live() {
			if n.self == config.Primary {
				home = n
			} else if !config.Has(n.self) {
				reader = n
			}
		}
		return home != nil && reader != nil
	})
	return home, reader
}

// frozen has a node's loop stand still while f runs.
func (n *Node) frozen(t *testing.T, f func()) {
	t.Helper()
	stands, goOn := make(chan struct{}), make(chan struct{})
	if !n.turns.Post(context.Background(), func(holo.Time) { close(stands); <-goOn }) {
		t.Fatal("the node is closing")
	}
	<-stands
	defer close(goOn)
	f()
}

// misses is how many pages a node has fetched from others.
func (n *Node) misses(t *testing.T) uint64 {
	t.Helper()
	return must1(n.memory.Usage(context.Background()))(t).CacheMisses
}

// The home stands still at the second read, so whoever asked it would wait.
func TestSecondReadOfARemotePageMovesNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	a := c.create(c.nodes[0], "twice", 1<<20)
	id, data := holo.ArrayID(a.Id), noise(1, holo.PageSize)
	must(t, c.nodes[0].WriteRange(ctx, id, 0, data))
	home, reader := c.apart(id)
	await(t, "a read that the home takes no part in", func() bool {
		wantBytes(t, reader, a.Id, 0, data)
		misses := reader.misses(t)
		var err error
		home.frozen(t, func() {
			soon, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			err = reader.ReadRange(soon, id, 0, make([]byte, holo.PageSize))
		})
		return err == nil && reader.misses(t) == misses
	})
	_, err := c.seals(ctx, c.nodes[0], id)
	must(t, err)
	wantBytes(t, reader, a.Id, 0, data)
	misses := reader.misses(t)
	wantBytes(t, reader, a.Id, 0, data)
	if got := reader.misses(t); got != misses {
		t.Errorf("%d more pages of the sealed array were fetched", got-misses)
	}
	u, err := reader.memory.Usage(ctx)
	must(t, err)
	if u.CacheHits == 0 || u.CacheMisses == 0 || u.Cached < holo.PageSize {
		t.Errorf("the status says %+v", u)
	}
}

// One writer counts up on one node; readers on the others must never see less
// than was acknowledged when they asked, nor more than was begun when they were
// answered.
func TestReadersNeverSeeLessThanWasAcknowledged(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	a := c.create(c.nodes[0], "counter", 1<<20)
	id := holo.ArrayID(a.Id)
	home, _ := c.apart(id)
	var begun, acked atomic.Uint64
	var over atomic.Bool
	var wg sync.WaitGroup
	for _, n := range c.nodes {
		wg.Go(func() {
			for !over.Load() {
				low, got := acked.Load(), make([]byte, 8)
				if err := n.ReadRange(ctx, id, 0, got); err != nil {
					t.Error(err)
					return
				}
				if v := binary.LittleEndian.Uint64(got); v < low || v > begun.Load() {
					t.Errorf("node %s reads %d: %d was acknowledged before, %d begun", n.self, v, low, begun.Load())
					return
				}
			}
		})
	}
	for i := range uint64(200) {
		begun.Store(i + 1)
		must(t, home.WriteRange(ctx, id, 0, binary.LittleEndian.AppendUint64(nil, i+1)))
		acked.Store(i + 1)
	}
	over.Store(true)
	wg.Wait()
	hits := uint64(0)
	for _, n := range c.nodes {
		hits += must1(n.memory.Usage(ctx))(t).CacheHits
	}
	if hits == 0 {
		t.Error("no read was answered by a cache: this proves nothing")
	}
}

func TestWriterGetsPastADeadReader(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	a := c.create(c.nodes[0], "dead-reader", 1<<20)
	id := holo.ArrayID(a.Id)
	home, reader := c.apart(id)
	wantBytes(t, reader, a.Id, 0, make([]byte, 8))
	for i, n := range c.nodes {
		if n == reader {
			c.kill(i)
		}
	}
	must(t, home.WriteRange(ctx, id, 0, noise(2, 8)))
	wantBytes(t, home, a.Id, 0, noise(2, 8))
}

// What a node keeps of a sealed array goes when the array is deleted, and not only
// when nobody has read it for longer than this test waits.
func TestKeptPagesOfASealedArrayGoWithIt(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	a := c.create(c.nodes[0], "sealed", 1<<20)
	id, data := holo.ArrayID(a.Id), noise(1, holo.PageSize)
	must(t, c.nodes[0].WriteRange(ctx, id, 0, data))
	must1(c.seals(ctx, c.nodes[0], id))(t)
	_, reader := c.apart(id)
	kept := func() uint64 { return must1(reader.memory.Usage(ctx))(t).Cached }
	await(t, "the page is kept", func() bool {
		wantBytes(t, reader, a.Id, 0, data)
		return kept() > 0
	})
	must1(c.deletes(ctx, c.nodes[0], id))(t)
	await(t, "nothing is kept", func() bool { return kept() == 0 })
}
