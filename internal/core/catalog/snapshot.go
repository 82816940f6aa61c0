package catalog

import (
	"bytes"
	"encoding/binary"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/protocol"
	"github.com/holocompute/holocompute/internal/wire"
)

// Snapshot encodes the whole catalogue: records in a fixed order, each with
// its length in front. Equal catalogues give equal bytes.
func (c *Catalog) Snapshot() []byte {
	w := &writer{}
	w.put(&wire.CatalogHead{Cluster: c.cluster, Owner: c.chain.ruled[0], Version: c.version, Speaks: c.speaks, LastArray: c.lastArray, LastJob: c.lastJob})
	w.put(c.table.Record())
	writeAll(w, c.chain.records)
	writeAll(w, c.Nodes())
	writeAll(w, c.Programs())
	writeAll(w, c.Invites())
	writeAll(w, c.Pending())
	if len(c.keys.epochs) > 0 {
		writeAll(w, c.keys.epochs)
		w.put(c.KeyState())
	}
	writeAll(w, c.Arrays())
	writeAll(w, c.Kernels())
	writeAll(w, c.Jobs())
	w.put(c.AccessHead())
	writeAll(w, c.Grants())
	writeAll(w, c.TokenKeys())
	writeAll(w, c.Tokens())
	writeAll(w, c.Revocations())
	w.put(c.stamps.record(false))
	w.put(c.words.record(true))
	for _, id := range c.answers.order {
		a := c.answers.given[id]
		w.put(&a)
	}
	return w.b
}

type writer struct{ b []byte }

func (w *writer) put(m wire.Message) {
	at := len(w.b)
	w.b = wire.Append(append(w.b, 0, 0, 0, 0), m)
	binary.LittleEndian.PutUint32(w.b[at:], uint32(len(w.b)-at-4))
}

func writeAll[R any, P interface {
	*R
	wire.Message
}](w *writer, records []R) {
	for i := range records {
		w.put(P(&records[i]))
	}
}

// Restore replaces the catalogue by a snapshot of the same cluster. It is
// strict: its version of the protocol is spoken here, the chain is verified, and the snapshot must be the very bytes that
// the restored catalogue gives. On an error the catalogue is as before. The
// snapshot must not be modified afterwards.
func (c *Catalog) Restore(snapshot []byte) error {
	next := New(c.cluster, c.chain.ruled[0], c.reader)
	rest, began := snapshot, false
	for len(rest) > 0 {
		if len(rest) < 4 || uint64(binary.LittleEndian.Uint32(rest)) > uint64(len(rest)-4) {
			return corrupt("it is cut short")
		}
		n := int(binary.LittleEndian.Uint32(rest))
		m, err := wire.Decode(rest[4 : 4+n])
		if err != nil {
			return corrupt("%w", err)
		}
		head, first := m.(*wire.CatalogHead)
		if first == began {
			return corrupt("its head is missing, or not the first record")
		}
		if first {
			if err := protocol.CheckKnown(head.Speaks); err != nil {
				return err
			}
		}
		began = true
		if err := next.load(m); err != nil {
			return corrupt("%w", err)
		}
		rest = rest[4+n:]
	}
	if !began || !next.consistent() || !bytes.Equal(next.Snapshot(), snapshot) {
		return corrupt("its records are not in order, or contradict one another")
	}
	*c = *next
	return nil
}

func corrupt(format string, args ...any) error {
	cause := holo.Errorf(holo.Corrupt, format, args...)
	return holo.Errorf(holo.Corrupt, "restore catalogue: %w", cause)
}

// load takes one record of a snapshot. What repeats, or comes in another
// order, shows when the result is encoded again.
func (c *Catalog) load(msg wire.Message) error {
	switch m := msg.(type) {
	case *wire.CatalogHead:
		if m.Cluster != c.cluster || m.Owner != c.chain.ruled[0] {
			return holo.Errorf(holo.Denied, "it is cluster %s of owner %s", m.Cluster, m.Owner)
		}
		c.version, c.speaks, c.lastArray, c.lastJob = m.Version, m.Speaks, m.LastArray, m.LastJob
	case *wire.ShardTable:
		return c.loadTable(m)
	case *wire.ChainRecord:
		return c.chain.append(m)
	case *wire.NodeRecord:
		c.nodes[m.Node] = *m
	case *wire.NodeProgram:
		c.programs[m.Node] = *m
	case *wire.InviteRecord:
		c.invites[m.Invite.InviteKey] = *m
	case *wire.PendingRecord:
		c.pending[m.Admit.Node] = *m
	case *wire.ClusterKey:
		c.keys.epochs = append(c.keys.epochs, *m)
	case *wire.ClusterKeyState:
		c.keys.load(m)
	case *wire.ArrayRecord:
		c.loadArray(m)
	case *wire.KernelRecord:
		c.kernels[m.Name] = *m
	case *wire.JobRecord:
		c.jobs[m.ID] = *m
	case *wire.AccessHead:
		if m.Owner != c.chain.owner {
			return holo.Errorf(holo.Corrupt, "the access of owner %s, by the chain %s", m.Owner, c.chain.owner)
		}
		c.access.epoch, c.access.last = m.Epoch, m.LastGrant
	case *wire.GrantRecord:
		c.access.grants[m.ID] = *m
	case *wire.TokenKeyRecord:
		return c.loadTokenKey(m)
	case *wire.TokenRecord:
		c.tokens[m.ID] = *m
	case *wire.Revocation:
		c.revocations[revoked{m.Kind, m.Name}] = *m
	case *wire.Stamps:
		if m.Nodes {
			c.words.load(m)
			return nil
		}
		c.stamps.load(m)
	case *wire.Answered:
		c.answers.add(*m)
	default:
		return holo.Errorf(holo.Corrupt, "a record of type %#04x", uint16(msg.Type()))
	}
	return nil
}

func (c *Catalog) loadTable(m *wire.ShardTable) (err error) {
	c.table, err = placement.FromRecord(m)
	return err
}

func (c *Catalog) loadArray(m *wire.ArrayRecord) {
	c.keep(*m)
	if m.State != wire.ArrayDeleted {
		c.arrayNames[m.Name] = m.ID
	}
}

// consistent reports whether the tables agree: what the encoding alone cannot
// show.
func (c *Catalog) consistent() bool {
	names := 0
	for _, r := range c.arrays {
		if r.ID > c.lastArray {
			return false
		}
		if r.State != wire.ArrayDeleted {
			names++
		}
	}
	for id := range c.jobs {
		if id > c.lastJob {
			return false
		}
	}
	for id, r := range c.access.grants {
		if id > c.access.last || r.Epoch > c.access.epoch {
			return false
		}
	}
	for _, m := range c.chain.members {
		_, seated := c.table.Seat(m.Node)
		if r, ok := c.nodes[m.Node]; !ok || !seated || r.Admission != m.Admission {
			return false
		}
	}
	members := len(c.chain.members)
	if c.speaks < protocol.First || !c.programsConsistent() {
		return false
	}
	if c.AccessEpoch() <= uint64(len(c.tokenKeys)) || len(c.tokenKeys) > wire.MaxTokenKeys || len(c.revocations) > wire.MaxRevocations {
		return false // each key is a change of access
	}
	return c.stamps.consistent(c.version) && c.words.consistent(c.version) && c.table.Version() == c.version && names == len(c.arrayNames) && c.answers.consistent() && len(c.access.grants) <= MaxGrants &&
		members == len(c.nodes) && c.keys.consistent(c.chain.members) && members == len(c.table.Seats())
}
