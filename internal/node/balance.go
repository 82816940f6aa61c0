package node

import (
	"context"
	"fmt"
	"slices"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/claim"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/liveness"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/wire"
)

// StartBalance has the leader even out now what the nodes hold.
func (n *Node) StartBalance(ctx context.Context, c door.Caller) error {
	_, err := n.propose(ctx, n.asked(c))
	return err
}

// asksToEvenOut reports whether a client's request is one that is for the keeper,
// once the catalogue has it.
func asksToEvenOut(msg wire.Message) bool {
	m, ok := msg.(*wire.Asked)
	return ok && m.Procedure == claim.Rebalance
}

// evenOut tells the keeper of a request that was committed. A leader that is none
// any more has no keeper: the next evens out by itself after a while.
func (n *Node) evenOut(ctx context.Context) {
	n.turns.Do(ctx, func(now holo.Time) {
		if n.loop.keeper != nil {
			n.loop.keeper.EvenOut(now)
		}
	})
}

// Balance tells what each node holds, and what evening out would move.
func (n *Node) Balance(ctx context.Context, _ door.Caller) (*holov1.BalanceResponse, error) {
	nodes, err := queryAll[*wire.NodeRecord](ctx, n, wire.CatalogQuery{What: wire.QueryNodes})
	if err != nil {
		return nil, err
	}
	all, err := queryOne[*wire.ConfigPush](ctx, n, wire.CatalogQuery{What: wire.QueryShards})
	if err != nil {
		return nil, err
	}
	bytes, err := n.bytesOf(ctx, all.Configs)
	if err != nil {
		return nil, err
	}
	return balanceOf(nodes, all.Configs, bytes), nil
}

// bytesOf is what the shards take. Who does not vote has no replica that knows the
// arrays, and asks for them: those that are deleted and not purged are not told.
func (n *Node) bytesOf(ctx context.Context, configs []wire.ShardConfig) (map[holo.ShardID]uint64, error) {
	if !slices.Contains(n.consensus.Voters(), n.self) {
		arrays, err := queryAll[*wire.ArrayRecord](ctx, n, wire.CatalogQuery{What: wire.QueryArrays})
		return catalog.BytesOf(arrays), err
	}
	bytes := make(map[holo.ShardID]uint64, len(configs))
	n.catalog.read(func(c *catalog.Catalog) {
		for i := range configs {
			bytes[configs[i].Shard] = c.Bytes(configs[i].Shard)
		}
	})
	return bytes, nil
}

// sizes are liveness.Sizes, out of records.
type sizes struct {
	bytes  map[holo.ShardID]uint64
	offers map[holo.NodeID]wire.Place
}

func (s sizes) Bytes(id holo.ShardID) uint64 { return s.bytes[id] }

func (s sizes) Offers(id holo.NodeID) (memory, spill uint64) {
	p := s.offers[id]
	return p.Capacity, p.Spill
}

func balanceOf(nodes []*wire.NodeRecord, configs []wire.ShardConfig, bytes map[holo.ShardID]uint64) *holov1.BalanceResponse {
	out, open := &holov1.BalanceResponse{Waits: waitsFor(nodes, configs)}, []placement.Weighted{}
	known := sizes{bytes, map[holo.NodeID]wire.Place{}}
	for _, r := range nodes {
		known.offers[r.Node] = r.Place
		if r.Alive && !r.Draining {
			out.Shares = append(out.Shares, shareOf(r, configs))
			open = append(open, placement.Weighted{Node: r.Node, Weight: catalog.Weight(&r.Place)})
		}
	}
	copies, leads := liveness.Uneven(open, configs, known)
	out.Copies, out.Leads = uint32(copies), uint32(leads)
	return out
}

func shareOf(r *wire.NodeRecord, configs []wire.ShardConfig) *holov1.NodeShare {
	s := &holov1.NodeShare{Node: r.Node[:], Name: r.Name, OffersBytes: r.Place.Capacity + r.Place.Spill}
	for i := range configs {
		if configs[i].Has(r.Node) {
			s.Copies++
		}
		if configs[i].Primary == r.Node {
			s.Leads++
		}
	}
	return s
}

// waitsFor is what comes before evening out.
func waitsFor(nodes []*wire.NodeRecord, configs []wire.ShardConfig) string {
	short := 0
	for i := range configs {
		if len(configs[i].Members) < int(configs[i].Shard.Class()) && !configs[i].Lost {
			short++
		}
	}
	leaves := slices.IndexFunc(nodes, func(r *wire.NodeRecord) bool { return r.Draining && r.Held > 0 })
	switch {
	case short > 0:
		return fmt.Sprintf("%d shards lack copies: those are made first", short)
	case leaves >= 0:
		return fmt.Sprintf("node %s drains: what it holds is moved first", nodes[leaves].Name)
	}
	return ""
}
