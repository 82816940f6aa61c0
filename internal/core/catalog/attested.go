package catalog

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// attested applies what a node says of itself, of an array that it was asked to
// seal, of a job that it coordinates. Nobody says it in another node's name: not
// whoever leads, who only orders it.
func (c *Catalog) attested(m *wire.Attested, now int64) (wire.Message, error) {
	if err := c.proveNode(m); err != nil {
		return nil, err
	}
	c.words.spend(c.useOfAttested(m))
	if err := c.maySay(m.Node, m.Body); err != nil {
		return nil, err
	}
	switch m := m.Body.(type) {
	case *wire.NodeAddress:
		return nil, c.nodeAddress(m)
	case *wire.NodeProgram:
		return nil, c.nodeProgram(m)
	case *wire.ClusterKeyConfirm:
		return nil, c.clusterKeyConfirm(m)
	case *wire.ArraySealed:
		return c.arraySealed(m)
	case *wire.ArrayPurge:
		return nil, c.arrayPurge(m)
	case *wire.ArrayExpire:
		return c.arrayExpire(m, now)
	case *wire.JobTake:
		return c.jobTake(m)
	case *wire.JobState:
		return c.jobState(m, now)
	}
	return nil, unclaimed(m.Body)
}

// JudgeNode is Judge for what a node says.
func (c *Catalog) JudgeNode(m *wire.Attested) error {
	if err := c.inVersion(m); err != nil {
		return err
	}
	if err := c.proveNode(m); err != nil {
		return err
	}
	return c.maySay(m.Node, m.Body)
}

func (c *Catalog) useOfAttested(m *wire.Attested) wire.StampUse {
	return useOf(m.Node, wire.AttestProof(c.cluster, m), m.Stamp)
}

// proveNode checks that a member has signed, and for the first time.
func (c *Catalog) proveNode(m *wire.Attested) error {
	switch {
	case !key.Verify(m.Node, wire.AttestProof(c.cluster, m), m.Sig[:]):
		return holo.Refuse(holo.Denied, ReasonNodeSig, "command %#04x: node %s has not signed it", uint16(m.Body.Type()), m.Node)
	case c.chain.find(m.Node) < 0:
		return holo.Errorf(holo.NotFound, "command %#04x: node %s is not a member", uint16(m.Body.Type()), m.Node)
	}
	return c.words.check(c.useOfAttested(m), c.version)
}

// maySay refuses what is not the node's to say. That all shards have dropped a
// deleted array any member may say: whoever finishes a deletion does. And that
// time has passed, which the command's own time shows.
func (c *Catalog) maySay(node holo.NodeID, body wire.Message) error {
	may := false
	switch m := body.(type) {
	case *wire.NodeAddress:
		may = m.Node == node
	case *wire.NodeProgram:
		may = m.Node == node
	case *wire.ClusterKeyConfirm:
		may = m.Node == node
	case *wire.ArraySealed:
		a, ok := c.arrays[m.Array]
		may = !ok || a.State != wire.ArrayClosing || slices.Contains(a.Sealers, node) // else it is refused for its state
	case *wire.ArrayPurge, *wire.ArrayExpire:
		may = true
	case *wire.JobTake:
		may = m.Coordinator == node && c.orphan(m.Job, node)
	case *wire.JobState:
		j, ok := c.jobs[m.Job]
		may = !ok || j.Epoch != m.Epoch || j.Coordinator == node // else it is refused as stale
	}
	if !may {
		return holo.Refuse(holo.Denied, ReasonNotTheirs, "command %#04x: it is not for node %s to say", uint16(body.Type()), node)
	}
	return nil
}

// orphan reports whether a node may take a job: from one that does not live, or
// from itself, after a restart.
func (c *Catalog) orphan(id holo.JobID, by holo.NodeID) bool {
	j, ok := c.jobs[id]
	s, seated := c.table.Seat(j.Coordinator)
	return !ok || j.Coordinator == by || !seated || !s.Alive
}
