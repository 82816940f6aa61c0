package catalog

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/protocol"
	"github.com/holocompute/holocompute/internal/wire"
)

// ReasonVersion is why a command of a later version than the cluster's has no
// effect, and who does not speak the cluster's is no part of it.
const ReasonVersion = protocol.ReasonSkew

// Protocol is the version of the protocol that the cluster is at: the newest
// whose commands have an effect, and the oldest that a member may stop at. It
// never falls.
func (c *Catalog) Protocol() protocol.Version { return c.speaks }

// raise brings the cluster to the newest version that every member, on or off,
// has said it speaks. All voters come to the same, at the same place in the log.
func (c *Catalog) raise() {
	lowest := ^protocol.Version(0)
	for _, r := range c.nodes {
		lowest = min(lowest, r.Speaks.Newest)
	}
	c.speaks = max(c.speaks, lowest)
}

// begin has a new cluster be at what its first node speaks.
func (c *Catalog) begin(m *wire.ClusterInit) {
	r := c.nodes[m.Genesis.Node]
	r.Speaks = m.Speaks
	c.nodes[r.Node] = r
	c.raise()
}

// inVersion refuses a command that the cluster's version does not have. Programs
// that do not know it cannot read it, and it has no effect there either: so no
// two voters part over it.
func (c *Catalog) inVersion(m wire.Message) error {
	if v := wire.Since(m); v > c.speaks {
		return holo.Refuse(holo.Denied, ReasonVersion, "apply command %#04x: it is of version %d of the protocol, and the cluster is at %d", uint16(m.Type()), v, c.speaks)
	}
	return nil
}

// mayStay refuses a member that does not speak the cluster's version.
func (c *Catalog) mayStay(node holo.NodeID, r protocol.Range) error {
	if !r.Valid() || !r.Has(c.speaks) {
		return holo.Refuse(holo.Denied, ReasonVersion, "place node %s: its program speaks version %s of the protocol, and the cluster is at %d", node, r, c.speaks)
	}
	return nil
}

func (c *Catalog) nodeProgram(m *wire.NodeProgram) error {
	if _, ok := c.nodes[m.Node]; !ok {
		return holo.Errorf(holo.NotFound, "note program of node %s: not a member", m.Node)
	}
	c.programs[m.Node] = *m
	return nil
}

// Programs lists what the members said about their programs, by node.
func (c *Catalog) Programs() []wire.NodeProgram { return values(c.programs, holo.NodeID.Compare) }

// programsConsistent reports whether only members run programs, in a version
// that has them.
func (c *Catalog) programsConsistent() bool {
	for id := range c.programs {
		if _, ok := c.nodes[id]; !ok || c.speaks < wire.Since(&wire.NodeProgram{}) {
			return false
		}
	}
	return true
}
