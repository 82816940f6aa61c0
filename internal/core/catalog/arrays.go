package catalog

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/lane"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/wire"
)

// arrayCreate admits an array when its copies fit, makes the class's shards
// when it is the first of its class, and takes lost shards into use again that
// the array lies on.
func (c *Catalog) arrayCreate(m *wire.ArrayCreate, now int64) (wire.Message, error) {
	r := wire.ArrayRecord{
		ID: c.lastArray + 1, Owner: m.Owner, Name: m.Name, Shape: m.Shape, Class: m.Class, Affinity: m.Affinity,
		State: wire.ArrayOpen, Created: now, Buffer: m.Buffer,
	}
	if r.Class == 0 {
		r.Class = c.DefaultClass()
	}
	if r.Affinity == "" {
		r.Affinity = fmt.Sprintf("#%d", r.ID) // no name begins like this
	} else if err := checkName("affinity", r.Affinity); err != nil {
		return nil, err
	}
	if err := c.checkArray(&r); err != nil {
		return nil, err
	}
	if err := c.checkWithin(m, &r); err != nil {
		return nil, err
	}
	if err := c.checkNodes(&r); err != nil {
		return nil, err
	}
	if err := c.openClass(&r); err != nil {
		return nil, err
	}
	c.lastArray++
	c.keep(r)
	c.arrayNames[r.Name] = r.ID
	return &r, nil
}

// DefaultClass is the number of copies of an array that names none: one on a
// cluster of one node, two on any other.
func (c *Catalog) DefaultClass() holo.Class {
	return holo.Class(min(len(c.chain.members), 2))
}

func (c *Catalog) checkArray(r *wire.ArrayRecord) error {
	if err := checkName("array", r.Name); err != nil {
		return err
	}
	if err := r.Shape.Check(); err != nil {
		return err
	}
	if err := checkBuffer(r); err != nil {
		return err
	}
	_, taken := c.arrayNames[r.Name]
	alive := len(c.table.Open())
	switch {
	case taken:
		return holo.Errorf(holo.Exists, "create array %s: the name is taken", r.Name)
	case !r.Class.Valid():
		return holo.Errorf(holo.Invalid, "create array %s: %d copies, want 1 to %d", r.Name, r.Class, holo.MaxClass)
	case int(r.Class) > c.staying():
		return holo.Refuse(holo.Invalid, ReasonFewNodes, "create array %s: %d copies wanted, the cluster has %d nodes that do not drain", r.Name, r.Class, c.staying())
	case alive < wire.MinAck(r.Class):
		return holo.Refuse(holo.Unavailable, ReasonFewNodes, "create array %s: writes need %d nodes, %d live and do not drain", r.Name, wire.MinAck(r.Class), alive)
	}
	if err := full("create array "+r.Name, c.arrays, MaxArrays); err != nil {
		return err
	}
	return c.checkRoom(r)
}

// checkBuffer refuses what cannot be the lanes of a buffer: each is an extent,
// whole, in a shard of its own.
func checkBuffer(r *wire.ArrayRecord) error {
	s := &r.Shape
	if !r.Buffer || s.Type == holo.U8 && s.ExtentPages() >= lane.MinPages && s.Length > 0 && s.Length%s.Extent == 0 && s.Extents() <= holo.ShardCount {
		return nil
	}
	return holo.Errorf(holo.Invalid, "create buffer %s: %d %s in lanes of %d, want 1 to %d whole lanes of %d to %d pages of u8",
		r.Name, s.Length, s.Type, s.Extent, holo.ShardCount, lane.MinPages, lane.MaxPages)
}

// openClass makes the shards of the array's class when there are none, and
// recovers those lost shards that the array lies on: the arrays that lost data
// with them were marked when it happened.
func (c *Catalog) openClass(r *wire.ArrayRecord) error {
	if !c.table.HasClass(r.Class) {
		return c.table.Create(r.Class)
	}
	for n := range uint64(holo.ShardCount) {
		shard := holo.MakeShardID(r.Class, n)
		if s, ok := c.table.Get(shard); ok && s.Lost && covers(r, shard) {
			if err := c.table.Recover(shard); err != nil {
				return err
			}
		}
	}
	return nil
}

// covers reports whether an extent of the array lies in a shard of its class.
func covers(r *wire.ArrayRecord, shard holo.ShardID) bool {
	first := placement.ShardOf(r.Class, r.Affinity, 0)
	distance := (shard.Number() - first.Number() + holo.ShardCount) % holo.ShardCount
	return shard.Class() == r.Class && uint64(distance) < r.Shape.Extents()
}

// namesIn lists, by ID, the arrays that may have data in shards.
func (c *Catalog) namesIn(shards []holo.ShardID) (names []string) {
	for _, a := range c.Arrays() {
		if a.State != wire.ArrayDeleted && slices.ContainsFunc(shards, func(s holo.ShardID) bool { return covers(&a, s) && !a.LostIn(s) }) {
			names = append(names, a.Name)
		}
	}
	return names
}

// markLost marks the arrays that may have had data in shards which lost it.
func (c *Catalog) markLost(shards []holo.ShardID) {
	for _, shard := range shards {
		for id, r := range c.arrays {
			if covers(&r, shard) {
				r.Lost[shard.Number()/64] |= 1 << (shard.Number() % 64)
				c.arrays[id] = r
			}
		}
	}
}

// arraySealing closes an array to writers, and notes which node was asked to
// say what its root is.
func (c *Catalog) arraySealing(id holo.ArrayID, at holo.NodeID) (wire.Message, error) {
	if r := c.arrays[id]; r.Buffer {
		return nil, holo.Errorf(holo.Invalid, "seal array %s: it is a buffer, and what is in a buffer comes and goes", r.Name)
	}
	m, err := c.arrayStep(id, "seal", wire.ArrayOpen, wire.ArrayClosing, nil)
	if r := c.arrays[id]; err == nil && r.State == wire.ArrayClosing && !slices.Contains(r.Sealers, at) {
		list := slices.DeleteFunc(slices.Clone(r.Sealers), func(n holo.NodeID) bool { return c.chain.find(n) < 0 })
		r.Sealers = append(list, at)
		c.arrays[id] = r
		return &r, nil
	}
	return m, err
}

// arraySealed makes an array immutable.
func (c *Catalog) arraySealed(m *wire.ArraySealed) (wire.Message, error) {
	answer, err := c.arrayStep(m.Array, "seal", wire.ArrayClosing, wire.ArrayFrozen, &m.Root)
	if r := c.arrays[m.Array]; err == nil && len(r.Sealers) > 0 {
		r.Sealers = nil
		c.arrays[m.Array] = r
		return &r, nil
	}
	return answer, err
}

// arrayStep takes an array from one state to the next. Asking for the state
// that it is in is no error: two clients may seal the same array.
func (c *Catalog) arrayStep(id holo.ArrayID, what string, from, to wire.ArrayState, root *holo.Digest) (wire.Message, error) {
	r, ok := c.arrays[id]
	switch {
	case !ok || r.State == wire.ArrayDeleted:
		return nil, noArray(what, id)
	case r.State == to && (root == nil || *root == r.Root):
		return &r, nil
	case r.State == wire.ArrayFrozen && to == wire.ArrayClosing:
		return &r, nil
	case r.State != from:
		return nil, holo.Refuse(holo.Conflict, ReasonState, "%s array %s: it is %s", what, r.Name, r.State)
	}
	r.State = to
	if root != nil {
		r.Root = *root
	}
	c.arrays[id] = r
	return &r, nil
}

func (c *Catalog) arrayDelete(m *wire.ArrayDelete) (wire.Message, error) {
	r, ok := c.arrays[m.Array]
	if !ok || r.State == wire.ArrayDeleted {
		return nil, noArray("delete", m.Array)
	}
	delete(c.arrayNames, r.Name)
	r.State = wire.ArrayDeleted
	c.arrays[r.ID] = r
	return &r, nil
}

func (c *Catalog) arrayPurge(m *wire.ArrayPurge) error {
	r, ok := c.arrays[m.Array]
	switch {
	case !ok:
		return noArray("purge", m.Array)
	case r.State != wire.ArrayDeleted:
		return holo.Refuse(holo.Conflict, ReasonState, "purge array %s: it is %s", r.Name, r.State)
	}
	c.drop(r)
	return nil
}

func noArray(what string, id holo.ArrayID) error {
	return holo.Errorf(holo.NotFound, "%s array a%d: no such array", what, uint64(id))
}

func compareIDs[T cmp.Ordered](a, b T) int { return cmp.Compare(a, b) }
