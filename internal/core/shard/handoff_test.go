package shard

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Tasks at a primary that gives its shard away read on until it proposes the
// transfer.
// What would make it wait for them is refused: writes, and leases for caches.
func TestAShardThatIsGivenAwayIsReadAndNotWritten(t *testing.T) {
	g := newGroup(t, 2, 2, 2, DefaultLimits())
	id := holo.PageID{Array: 1}
	set := wire.Mutation{Kind: wire.MutateWrite, Array: 1, Changes: []wire.Change{{Kind: wire.PageDelta, Data: []byte{7}}}}
	if a := g.submit(set); a.Err != nil {
		t.Fatal(a.Err)
	}
	primary := g.machines[0]
	primary.Handoff(g.now, g.config.Shard, node(1).Node)
	if got := g.bytesAt(id, 0, 1); got[0] != 7 {
		t.Fatalf("reads %d, want 7", got[0])
	}
	if a := g.submit(set); holo.ReasonOf(a.Err) != "handoff" {
		t.Fatalf("write: %v, want it refused for the handoff", a.Err)
	}
	rd, err := primary.BeginRead(g.now, ReadRequest{Shard: g.config.Shard, Pages: []holo.PageID{id}, Holder: node(5)})
	if err == nil {
		err = primary.FinishRead(g.now, rd)
	}
	if err != nil || rd.Lease.For != 0 {
		t.Fatalf("lease of %v, error %v; want a read and no lease", rd.Lease.For, err)
	}
	g.tick(0) // nothing is under way: it proposes the transfer, and may be dropped by who is next
	if _, ok := g.proposed[len(g.proposed)-1].(*wire.ShardTransfer); !ok {
		t.Fatalf("it proposes %T", g.proposed[len(g.proposed)-1])
	}
	if _, err := g.read(0, id, false); holo.ReasonOf(err) != "handoff" {
		t.Fatalf("a read where another may be primary: %v, want it refused", err)
	}
}
