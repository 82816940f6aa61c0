package node

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"sync"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// members is who belongs to the cluster, as this node verified for itself from
// an owner's key, and where they were last known to be. It never forgets a
// record: a chain that tells another past is refused.
type members struct {
	cluster holo.ClusterID
	anchor  holo.PrincipalID // an owner that the cluster has, or had
	self    holo.NodeID
	kept    holo.PrincipalID // the owner that cluster.json names; under Node.saving
	changed wait.Signal
	mu      struct {
		sync.RWMutex
		records  []wire.ChainRecord
		verified *catalog.Verified // nil: nothing is known yet
		members  map[holo.NodeID]catalog.ChainMember
		order    []holo.NodeID // in order of admission
		contacts map[holo.NodeID]string
		version  uint64 // of the catalogue, up to which contacts are known
	}
}

func newMembers(cluster holo.ClusterID, anchor holo.PrincipalID, self holo.NodeID) *members {
	m := &members{cluster: cluster, anchor: anchor, self: self, kept: anchor}
	m.mu.members = map[holo.NodeID]catalog.ChainMember{}
	m.mu.contacts = map[holo.NodeID]string{}
	return m
}

// extend verifies the chain as extended by records from a position on, and
// takes it when it holds. It gives the nodes that are members no more, and the
// records that were not known before.
func (m *members) extend(first int, records []wire.ChainRecord) (removed []holo.NodeID, fresh []wire.ChainRecord, err error) {
	if len(records) == 0 {
		return nil, nil, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	chain, err := catalog.SpliceChain(m.mu.records, first, records)
	if err != nil {
		return nil, nil, err
	}
	verified, err := catalog.ReadChain(m.cluster, m.anchor, chain)
	if err != nil {
		return nil, nil, err
	}
	now := make(map[holo.NodeID]catalog.ChainMember, len(verified.Members))
	order := make([]holo.NodeID, len(verified.Members))
	for i, v := range verified.Members {
		now[v.Node], order[i] = v, v.Node
	}
	for id := range m.mu.members {
		if _, still := now[id]; !still {
			removed = append(removed, id)
			delete(m.mu.contacts, id)
		}
	}
	fresh = chain[len(m.mu.records):]
	m.mu.records, m.mu.verified, m.mu.members, m.mu.order = chain, verified, now, order
	return removed, fresh, nil
}

// locate notes where nodes are, as of a version of the catalogue.
func (m *members) locate(version uint64, nodes []wire.NodeRecord) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range nodes {
		if len(nodes[i].Place.Addresses) > 0 {
			m.mu.contacts[nodes[i].Node] = nodes[i].Place.Addresses[0]
		}
	}
	m.mu.version = max(m.mu.version, version)
}

// meet notes where nodes were said to be by somebody else than the catalogue.
func (m *members) meet(contacts []wire.Contact) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range contacts {
		if _, known := m.mu.contacts[c.Node]; !known {
			m.mu.contacts[c.Node] = c.Address
		}
	}
}

// at says how far this node's knowledge goes.
func (m *members) at() (version uint64, chain int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.version, len(m.mu.records)
}

// has reports whether a node is a member.
func (m *members) has(id holo.NodeID) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	_, ok := m.mu.members[id]
	return ok
}

// name is what a member called itself when it was admitted.
func (m *members) name(id holo.NodeID) string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.members[id].Name
}

// ids lists the members in order of admission. The caller must not modify it.
func (m *members) ids() []holo.NodeID {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.order
}

// address is where a member was last known to be. It is the address book of
// the pool: who is no member is never dialled.
func (m *members) address(id holo.NodeID) (string, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	_, member := m.mu.members[id]
	addr, known := m.mu.contacts[id]
	return addr, member && known
}

// state is everything, to hand over or to keep.
func (m *members) state() ([]wire.ChainRecord, []wire.Contact) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	contacts := make([]wire.Contact, 0, len(m.mu.contacts))
	for _, id := range slices.SortedFunc(maps.Keys(m.mu.contacts), holo.NodeID.Compare) {
		contacts = append(contacts, wire.Contact{Node: id, Address: m.mu.contacts[id]})
	}
	return m.mu.records, contacts
}

// proof is that of this node's own admission, which it shows in handshakes.
func (m *members) proof() []byte {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mu.verified == nil {
		return nil
	}
	return m.mu.verified.Proof(m.self)
}

// parting is what a node that was put out may be told.
func (m *members) parting(evict wire.ChainRecord) []byte {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.verified.Parting(evict)
}

// admission is the record by which a member was admitted.
func (m *members) admission(id holo.NodeID) ([32]byte, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	member, ok := m.mu.members[id]
	return member.Admission, ok
}

// owner is whose signatures count now, as far as this node has verified.
func (m *members) owner() holo.PrincipalID {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mu.verified == nil {
		return m.anchor
	}
	return m.mu.verified.Owner()
}

// ruled reports whether a key is or was the owner's.
func (m *members) ruled(by holo.PrincipalID) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.verified != nil && slices.Contains(m.mu.verified.Owners, by)
}

// admit decides inside a handshake about the peer: a node must be a member
// now; a joiner has proven an invite and may ask, nothing else; a client has
// proven a key, and the door asks whether anybody knows it.
func (m *members) admit(kind handshake.Kind, peer holo.NodeID, _ string, _ []byte) error {
	switch {
	case kind == handshake.KindJoin || kind == handshake.KindClient:
		return nil
	case kind == handshake.KindNode && m.has(peer):
		return nil
	}
	return holo.Refuse(holo.Denied, reasonMembership, "node %s is not a member of this cluster", peer)
}

// encodeChain and decodeChain are the form in which the chain is kept and
// handed over: records with four bytes of length in front.
func encodeChain(records []wire.ChainRecord) []byte {
	var b []byte
	for i := range records {
		b = appendRecord(b, &records[i])
	}
	return b
}

func appendRecord(b []byte, m wire.Message) []byte {
	r := wire.Encode(m)
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(r))), r...)
}

// sealChain is the chain as a file has it: with its SHA-256 behind it, because
// of the last record not everything is signed or named by a hash.
func sealChain(records []wire.ChainRecord) []byte {
	b := encodeChain(records)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func openChain(b []byte) ([]wire.ChainRecord, error) {
	n := len(b) - sha256.Size
	if n < 0 || sha256.Sum256(b[:n]) != [sha256.Size]byte(b[n:]) {
		return nil, holo.Refuse(holo.Corrupt, reasonCorruptChain, "it does not match its checksum")
	}
	return decodeChain(b[:n])
}

func decodeChain(b []byte) ([]wire.ChainRecord, error) {
	found, err := decodeRecords(b, wire.MaxChain)
	if err != nil {
		return nil, err
	}
	records := make([]wire.ChainRecord, 0, len(found))
	for _, m := range found {
		r, ok := m.(*wire.ChainRecord)
		if !ok {
			return nil, undecoded()
		}
		records = append(records, *r)
	}
	return records, nil
}

// decodeRecords reads what appendRecord wrote, and nothing else.
func decodeRecords(b []byte, limit int) ([]wire.Message, error) {
	var found []wire.Message
	for len(b) > 0 {
		if len(b) < 4 || len(found) == limit {
			return nil, undecoded()
		}
		n := uint64(binary.LittleEndian.Uint32(b))
		if n > uint64(len(b)-4) {
			return nil, undecoded()
		}
		msg, err := wire.Decode(b[4 : 4+n])
		if err != nil {
			return nil, err
		}
		found = append(found, msg)
		b = b[4+n:]
	}
	return found, nil
}

func undecoded() error {
	return holo.Refuse(holo.Corrupt, reasonCorruptChain, "kept records do not decode")
}
