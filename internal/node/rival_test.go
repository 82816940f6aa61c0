package node

import (
	"context"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
)

// The attack of N-09: a copy of a node's folder is started elsewhere while the
// node runs.
func TestCopyOfALivingNodeIsRefusedAndTheNodeGoesOn(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	i := (c.leads() + 1) % 3
	first, others := c.nodes[i], []*Node{c.nodes[(i+1)%3], c.nodes[(i+2)%3]}
	a := c.create(first, "kept", 4<<20)
	data := noise(41, 4<<20)
	must(t, first.WriteRange(ctx, holo.ArrayID(a.Id), 0, data)) // sessions of both classes, to all
	must(t, first.ReadRange(ctx, holo.ArrayID(a.Id), 0, make([]byte, 4<<20)))
	incarnation := first.incarnation

	second, err := Start(ctx, Config{Dir: copyDir(t, c.dirs[i]), Listen: anyLoopback, MemoryBytes: 64 << 20, Logger: testLogger(t)})
	must(t, err)
	defer second.Close()
	if second.self != first.self {
		t.Fatal("it is no copy")
	}
	leader := c.nodes[c.leads()]
	refused(t, leader, transport.ReasonDuplicate, 2)
	await(t, "the copy is told", func() bool { return second.refusals.all()[transport.ReasonDuplicate] > 0 })
	onRecord(t, leader, "node.duplicate_identity", transport.ReasonDuplicate)
	if second.holdsLease() {
		t.Error("the copy got a lease")
	}
	for range 4 {
		wantBytes(t, first, a.Id, 0, data)
		must(t, first.WriteRange(ctx, holo.ArrayID(a.Id), 0, data[:1<<20]))
	}
	for _, n := range others {
		wantBytes(t, n, a.Id, 0, data)
	}
	if r, err := leader.registered(ctx, first.self); err != nil || r != incarnation || !first.holdsLease() {
		t.Errorf("incarnation %x is registered, the first is %x, holds a lease: %v (%v)", r, incarnation, first.holdsLease(), err)
	}
}

func TestRestartIsNoCopy(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	i := (c.leads() + 1) % 3
	c.kill(i)
	c.start(i)
	c.settle()
	if n := sum(c.nodes, transport.ReasonDuplicate); n > 0 {
		t.Errorf("an honest restart was refused %d times", n)
	}
	// The machine moved: its folder runs elsewhere, and the old place is dark.
	must(t, c.nodes[i].Close())
	c.dirs[i] = copyDir(t, c.dirs[i])
	c.start(i)
	c.settle()
	if n := sum(c.nodes, transport.ReasonDuplicate); n > 0 {
		t.Errorf("a node that moved was refused %d times", n)
	}
}
