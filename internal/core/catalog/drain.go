package catalog

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// nodeDrain has a node's shards moved away, if the nodes that are left can hold
// what lies in the cluster: as many copies, and as many bytes.
func (c *Catalog) nodeDrain(m *wire.NodeDrain) error {
	r, ok := c.nodes[m.Node]
	if !ok {
		return holo.Errorf(holo.NotFound, "drain node %s: not a node of this cluster", m.Node)
	}
	was, _ := c.table.Seat(m.Node)
	if err := c.table.Drain(m.Node, m.On); err != nil {
		return err
	}
	if err := c.checkLeft(r.Name); m.On && err != nil {
		if undone := c.table.Drain(m.Node, was.Draining); undone != nil {
			return undone
		}
		return err
	}
	r.Changed = c.version
	c.nodes[m.Node] = r
	return nil
}

// checkLeft reports whether the nodes that do not drain suffice for the arrays
// that there are.
func (c *Catalog) checkLeft(name string) error {
	left := len(c.table.Open())
	for _, id := range sorted(c.arrays, compareIDs) {
		if a := c.arrays[id]; a.State != wire.ArrayDeleted && int(a.Class) > left {
			return holo.Refuse(holo.Conflict, ReasonFewNodes, "drain node %s: array %s has %d copies, and %d nodes that live and do not drain would be left", name, a.Name, a.Class, left)
		}
	}
	if room := c.Room(); room.Taken > room.Memory+room.Spill {
		return holo.Refuse(holo.Exhausted, ReasonQuota, "drain node %s: the arrays take %s, and the %d nodes that would be left offer %s (memory %s, spill %s)",
			name, mib(room.Taken), left, mib(room.Memory+room.Spill), mib(room.Memory), mib(room.Spill))
	}
	return nil
}

// staying counts the members that do not drain, whether they live or not.
func (c *Catalog) staying() (n int) {
	for _, s := range c.table.Seats() {
		if !s.Draining {
			n++
		}
	}
	return n
}
