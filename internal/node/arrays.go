package node

import (
	"context"
	"encoding/hex"
	"slices"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/claim"
	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/memory"
	"github.com/holocompute/holocompute/internal/wire"
)

// CreateArray makes an array of zeros. The catalogue decides whether its copies
// fit into what the nodes offer.
func (n *Node) CreateArray(ctx context.Context, c door.Caller, m *holov1.CreateArrayRequest) (*holov1.Array, error) {
	if _, err := claim.ShapeOf(m); err != nil {
		return nil, err
	}
	a, err := proposeFor[*wire.ArrayRecord](ctx, n, n.asked(c))
	if err != nil {
		return nil, err
	}
	return n.arrayOut(a), nil
}

// proposeFor has a command committed whose result is of one type.
func proposeFor[M wire.Message](ctx context.Context, n *Node, cmd wire.Message) (none M, err error) {
	m, err := n.propose(ctx, cmd)
	if err != nil {
		return none, err
	}
	result, ok := m.(M)
	if !ok {
		return none, holo.Errorf(holo.Internal, "command %#04x: the catalogue gave another result", uint16(cmd.Type()))
	}
	return result, nil
}

// GetArray finds an array by its name, or by "#" and its ID.
func (n *Node) GetArray(ctx context.Context, _ door.Caller, name string) (*holov1.Array, error) {
	a, err := n.memory.ArrayNamed(ctx, name)
	if err != nil {
		return nil, err
	}
	return n.arrayOut(a), nil
}

// ListArrays lists the arrays by ID.
func (n *Node) ListArrays(ctx context.Context, _ door.Caller) ([]*holov1.Array, error) {
	list, err := queryAll[*wire.ArrayRecord](ctx, n, wire.CatalogQuery{What: wire.QueryArrays})
	if err != nil {
		return nil, err
	}
	out := make([]*holov1.Array, len(list))
	for i, a := range list {
		out[i] = n.arrayOut(a)
	}
	return out, nil
}

// Shape is the geometry of an array, which never changes: the record that it
// was authorised by will do.
func (n *Node) Shape(ctx context.Context, id holo.ArrayID) (holo.Shape, error) {
	a, err := n.memory.Array(ctx, id)
	if err != nil {
		return holo.Shape{}, err
	}
	return a.Shape, nil
}

func (n *Node) arrayOut(a *wire.ArrayRecord) *holov1.Array {
	out := &holov1.Array{
		Id: uint64(a.ID), Name: a.Name, Type: a.Shape.Type.String(), Length: a.Shape.Length, ExtentElements: a.Shape.Extent,
		Copies: uint32(a.Class), Affinity: a.Affinity, State: a.State.String(), Bytes: a.Shape.Bytes(), Pages: a.Shape.Pages(),
		ResultOf: uint64(a.Result), ExpiresUnix: a.Expires, Buffer: a.Buffer,
	}
	if a.State == wire.ArrayFrozen {
		out.Root = hex.EncodeToString(a.Root[:])
	}
	return out
}

// SealArray makes an array immutable: it is closed to writers in the catalogue
// and then in each of its shards, and the root of its pages' digests is
// recorded. An attempt that broke off is finished by the next.
func (n *Node) SealArray(ctx context.Context, c door.Caller, id holo.ArrayID) (*holov1.Array, error) {
	a, err := proposeFor[*wire.ArrayRecord](ctx, n, n.asked(c))
	n.memory.Forget(id)
	if err != nil {
		return nil, err
	}
	if a.State == wire.ArrayFrozen {
		return n.arrayOut(a), nil
	}
	if err := n.memory.MutateAll(ctx, a, wire.MutateSeal); err != nil {
		return nil, err
	}
	list, err := n.memory.CollectDigests(ctx, a, holo.NodeID{})
	if err != nil {
		return nil, err
	}
	sealed, err := proposeFor[*wire.ArrayRecord](ctx, n, &wire.ArraySealed{Array: id, Root: digest.Root(list)})
	n.memory.Forget(id)
	if err != nil {
		return nil, err
	}
	n.memory.Proven(id, list)
	return n.arrayOut(sealed), nil
}

// DeleteArray takes an array's name away and its pages out of all memory. The
// name is gone when it returns; where a shard cannot drop its pages now, the
// leader sees to it later, and 0 bytes are reported freed.
func (n *Node) DeleteArray(ctx context.Context, c door.Caller, id holo.ArrayID) (freedBytes uint64, err error) {
	a, err := proposeFor[*wire.ArrayRecord](ctx, n, n.asked(c))
	n.memory.Forget(id)
	if err != nil {
		return 0, err
	}
	if err := n.purge(ctx, a); err != nil {
		n.log.Warn("deleted array is not dropped everywhere yet", "array", uint64(id), "error", err)
		return 0, nil
	}
	return uint64(a.Class) * a.Shape.Pages() * holo.PageSize, nil
}

// purge has a deleted array dropped by all its shards, and then forgotten.
func (n *Node) purge(ctx context.Context, a *wire.ArrayRecord) error {
	if err := n.memory.MutateAll(ctx, a, wire.MutateDrop); err != nil {
		return err
	}
	_, err := n.propose(ctx, &wire.ArrayPurge{Array: a.ID})
	if holo.KindOf(err) == holo.NotFound {
		return nil // somebody else did
	}
	return err
}

// Pages tells where the extents of an array lie.
func (n *Node) Pages(ctx context.Context, _ door.Caller, id holo.ArrayID) ([]*holov1.Extent, error) {
	a, err := n.memory.Array(ctx, id)
	if err != nil {
		return nil, err
	}
	configs, err := n.shardConfigs(ctx)
	if err != nil {
		return nil, err
	}
	lives, err := n.lives(ctx) // after the shards: a life that they name is over, never to come
	if err != nil {
		return nil, err
	}
	list := make([]*holov1.Extent, a.Shape.Extents())
	for i := range list {
		run := memory.RunOf(a, uint64(i))
		list[i] = extentOut(a, uint64(i), run, held(configs[run.Shard], lives))
	}
	return list, nil
}

// held is a configuration without the copies that a restart emptied. Where that
// leaves none, also none that is suspended, the shard is lost.
func held(c wire.ShardConfig, lives map[holo.NodeID]holo.Incarnation) wire.ShardConfig {
	gone := func(m wire.Member) bool { life, ok := lives[m.Node]; return ok && life != m.Incarnation }
	if slices.ContainsFunc(c.Members, gone) {
		c.Members = slices.DeleteFunc(slices.Clone(c.Members), gone)
		c.Lost = c.Lost || len(c.Members)+len(c.Suspended) == 0
	}
	return c
}

func extentOut(a *wire.ArrayRecord, number uint64, run wire.PageRun, c wire.ShardConfig) *holov1.Extent {
	e := &holov1.Extent{
		Number: number, FirstPage: uint64(run.First), Pages: uint64(run.Count), Shard: uint32(run.Shard),
		Epoch: uint64(c.Epoch), Primary: c.Primary.Hex(), State: health(&c),
	}
	if a.LostIn(run.Shard) {
		e.State = "lost"
	}
	for _, m := range c.Members {
		e.Members = append(e.Members, m.Node.Hex())
	}
	return e
}

// shardConfigs asks the catalogue for all shards.
func (n *Node) shardConfigs(ctx context.Context) (map[holo.ShardID]wire.ShardConfig, error) {
	all, err := queryOne[*wire.ConfigPush](ctx, n, wire.CatalogQuery{What: wire.QueryShards})
	if err != nil {
		return nil, err
	}
	of := make(map[holo.ShardID]wire.ShardConfig, len(all.Configs))
	for _, c := range all.Configs {
		of[c.Shard] = c
	}
	return of, nil
}
