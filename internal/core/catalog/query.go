package catalog

import (
	"bytes"
	"slices"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/wire"
)

// Version is the index of the last command applied.
func (c *Catalog) Version() uint64 { return c.version }

// Shards is the shard table. Only Apply changes it.
func (c *Catalog) Shards() *placement.Table { return c.table }

// Cluster is what the catalogue was made for.
func (c *Catalog) Cluster() holo.ClusterID { return c.cluster }

// Owner is the key that rules the cluster now.
func (c *Catalog) Owner() holo.PrincipalID { return c.chain.owner }

// Chain is the verified membership chain. The caller must not modify it.
func (c *Catalog) Chain() []wire.ChainRecord { return c.chain.records }

// Members lists the members in the order of their admission. The caller must
// not modify the list; it stays as it is.
func (c *Catalog) Members() []ChainMember { return c.chain.members }

// Member finds a member in the chain.
func (c *Catalog) Member(id holo.NodeID) (ChainMember, bool) {
	if i := c.chain.find(id); i >= 0 {
		return c.chain.members[i], true
	}
	return ChainMember{}, false
}

// Admission is the record by which a member was founded or admitted: what it
// shows to prove its membership.
func (c *Catalog) Admission(id holo.NodeID) (*wire.ChainRecord, bool) {
	m, ok := c.Member(id)
	if !ok {
		return nil, false
	}
	record := c.chain.records[m.Position]
	return &record, true
}

// Answered reports whether a request has its answer: asking again changes
// nothing.
func (c *Catalog) Answered(id wire.RequestID) bool {
	_, ok := c.answers.given[id]
	return ok
}

// Node finds a member's record.
func (c *Catalog) Node(id holo.NodeID) (wire.NodeRecord, bool) {
	r, ok := c.nodes[id]
	if ok {
		s, _ := c.table.Seat(id)
		r.Incarnation, r.Alive, r.Draining = s.Incarnation, s.Alive, s.Draining
		if r.Draining {
			r.Held = uint32(c.table.Held(id))
		}
	}
	return r, ok
}

// Nodes lists the members' records by ID.
func (c *Catalog) Nodes() []wire.NodeRecord {
	list := make([]wire.NodeRecord, 0, len(c.nodes))
	for _, id := range sorted(c.nodes, holo.NodeID.Compare) {
		r, _ := c.Node(id)
		list = append(list, r)
	}
	return list
}

// Invites lists the invites by public key, expired ones too until they give
// way to others.
func (c *Catalog) Invites() []wire.InviteRecord {
	return values(c.invites, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
}

// InviteByPSK finds the invite whose pre-shared key has an ID, expired or
// bound as it may be: Admit decides, and a stranger learns nothing before.
func (c *Catalog) InviteByPSK(id [8]byte) (wire.InviteRecord, bool) {
	for _, r := range c.invites {
		if r.Invite.PSKID == id {
			return r, true
		}
	}
	return wire.InviteRecord{}, false
}

// Arrays lists the arrays by ID, deleted ones until they are purged.
func (c *Catalog) Arrays() []wire.ArrayRecord { return values(c.arrays, compareIDs) }

// ArrayByID finds an array.
func (c *Catalog) ArrayByID(id holo.ArrayID) (wire.ArrayRecord, bool) {
	r, ok := c.arrays[id]
	return r, ok
}

// ArrayByName finds an array that has not been deleted.
func (c *Catalog) ArrayByName(name string) (wire.ArrayRecord, bool) {
	id, ok := c.arrayNames[name]
	return c.arrays[id], ok
}

// Kernels lists the kernels by name.
func (c *Catalog) Kernels() []wire.KernelRecord { return values(c.kernels, strings.Compare) }

// KernelByName finds a kernel.
func (c *Catalog) KernelByName(name string) (wire.KernelRecord, bool) {
	r, ok := c.kernels[name]
	return r, ok
}

// Jobs lists the jobs by ID.
func (c *Catalog) Jobs() []wire.JobRecord { return values(c.jobs, compareIDs) }

// JobByID finds a job.
func (c *Catalog) JobByID(id holo.JobID) (wire.JobRecord, bool) {
	r, ok := c.jobs[id]
	return r, ok
}

// ChangesSince feeds a node that does not vote and has the first chain records
// of the membership chain, and the node records as of a version.
func (c *Catalog) ChangesSince(version uint64, chain int) *wire.CatalogFeed {
	first := max(0, min(chain, len(c.chain.records)))
	f := &wire.CatalogFeed{Version: c.version, First: uint32(first), Chain: slices.Clone(c.chain.records[first:])}
	newest := c.keys.newest()
	f.Epoch, f.Settled, f.Access, f.Speaks = newest.Epoch, newest.Settled, c.AccessEpoch(), c.speaks
	for _, r := range c.Nodes() {
		if r.Changed > version {
			f.Nodes = append(f.Nodes, r)
		}
	}
	return f
}

// values lists a table by key.
func values[K comparable, V any](m map[K]V, compare func(a, b K) int) []V {
	list := make([]V, 0, len(m))
	for _, k := range sorted(m, compare) {
		list = append(list, m[k])
	}
	return list
}
