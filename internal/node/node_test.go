package node

import (
	"context"
	"testing"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
)

func TestThreeNodesShareOneArray(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	a := c.create(c.nodes[0], "shared", 8<<20)
	data := noise(1, 8<<20)
	must(t, c.nodes[0].WriteRange(ctx, holo.ArrayID(a.Id), 0, data))
	for _, n := range c.nodes[1:] {
		got := make([]byte, len(data))
		must(t, n.ReadRange(ctx, holo.ArrayID(a.Id), 0, got))
		if digest.Of(got) != digest.Of(data) {
			t.Fatalf("node %s reads other bytes than were written", n.self)
		}
	}
	extents, err := c.nodes[1].Pages(ctx, door.Caller{}, holo.ArrayID(a.Id))
	must(t, err)
	homes := map[string]int{}
	for _, e := range extents {
		homes[e.Primary]++
		if len(e.Members) != 2 || e.State != "ok" {
			t.Errorf("extent %d: %d copies, state %s", e.Number, len(e.Members), e.State)
		}
	}
	if len(homes) != 3 {
		t.Errorf("8 extents lie on %d of 3 nodes: %v", len(homes), homes)
	}
}
