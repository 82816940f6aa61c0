package catalog

import (
	"strings"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/wire"
)

func (c *Catalog) clusterInit(m *wire.ClusterInit) (wire.Message, error) {
	if err := checkMember(m.Genesis.Node, m.Genesis.Name, &m.Place); err != nil {
		return nil, err
	}
	r, err := c.enrol(&m.Genesis, m.Place)
	if err == nil {
		c.foundKeys(m)
		c.begin(m)
	}
	return r, err
}

// invitePut records an invite. The owner's signature is checked here, once,
// and again by everybody who verifies the chain that grows from it.
func (c *Catalog) invitePut(m *wire.InvitePut, now int64) error {
	_, known := c.invites[m.InviteKey]
	proof := api.InviteProof
	if m.Client {
		proof = api.ClientInviteProof
	}
	switch {
	case key.CheckPublic(m.InviteKey) != nil:
		return holo.Errorf(holo.Invalid, "put invite: its public key is no good")
	case !key.Verify(c.chain.owner, proof(c.cluster, m.InviteKey[:], m.Expires), m.OwnerSig[:]):
		return holo.Refuse(holo.Denied, ReasonOwnerSig, "put invite: not signed by this cluster's owner")
	case now <= 0 || now > m.Expires:
		return holo.Refuse(holo.Denied, ReasonInviteExpired, "put invite: it expired at %d, now %d", m.Expires, now)
	case known || c.chain.usedBy(m.InviteKey):
		return holo.Errorf(holo.Exists, "put invite: it was put before")
	}
	if err := c.checkRole(m); err != nil {
		return err
	}
	for _, r := range c.invites {
		if r.Invite.PSKID == m.PSKID {
			return holo.Errorf(holo.Exists, "put invite: its pre-shared key is another invite's")
		}
	}
	for k, r := range c.invites {
		if now > r.Invite.Expires {
			delete(c.invites, k)
		}
	}
	if err := full("put invite", c.invites, MaxInvites); err != nil {
		return err
	}
	c.invites[m.InviteKey] = wire.InviteRecord{Invite: *m}
	return nil
}

// admit binds the invite to the node and appends the admission to the chain,
// in one step. The node that an invite is bound to may ask again until it
// expires, and gets the same answer; nobody else gets any.
func (c *Catalog) admit(m *wire.Admit, now int64) (wire.Message, error) {
	invite, err := c.checkInvite(m, now)
	if err != nil {
		return nil, err
	}
	if err := checkMember(m.Node, m.Name, &m.Place); err != nil {
		return nil, err
	}
	i := c.chain.find(m.Node)
	superseded := c.checkSuperseded(&invite.Invite)
	switch {
	case invite.Bound == m.Node && i >= 0:
		record := c.chain.records[c.chain.members[i].Position]
		return &record, nil
	case superseded != nil:
		return nil, superseded
	case invite.Bound == m.Node && !c.waits(m.Node):
		return nil, holo.Refuse(holo.Denied, ReasonInviteBound, "admit node %s: it was removed since this invite admitted it", m.Node)
	case i >= 0:
		return nil, holo.Errorf(holo.Exists, "admit node %s: it is a member by another invite", m.Node)
	case c.chain.named(m.Name):
		return nil, holo.Refuse(holo.Exists, ReasonNameTaken, "admit node %s: a member is named %s already: choose another name", m.Node, m.Name)
	}
	if err := c.room(m.Node); err != nil {
		return nil, err
	}
	if err := c.checkUser(m, &invite.Invite, now); err != nil {
		return nil, err
	}
	if c.chain.need > 0 {
		return c.wait(m, invite, now)
	}
	answer, err := c.enrol(c.admission(m, invite, now), m.Place)
	if err == nil {
		invite.Bound = m.Node
		c.invites[m.InviteKey] = invite
		delete(c.pending, m.Node)
		c.welcome(m, &invite.Invite, now)
	}
	return answer, err
}

// room reports whether the cluster can have one node more.
func (c *Catalog) room(node holo.NodeID) error {
	if len(c.table.Seats()) < wire.MaxNodes {
		return nil
	}
	return holo.Refuse(holo.Exhausted, ReasonFull, "admit node %s: the cluster has %d nodes, its limit", node, wire.MaxNodes)
}

// admission is the record that admits a node, but for its votes.
func (c *Catalog) admission(m *wire.Admit, invite wire.InviteRecord, now int64) *wire.ChainRecord {
	return &wire.ChainRecord{
		Prev: c.chain.head, Kind: wire.ChainAdmit, Time: now, Node: m.Node, Name: m.Name,
		InviteKey: m.InviteKey, Expires: invite.Invite.Expires, HandshakeHash: m.HandshakeHash, InviteSig: m.InviteSig, OwnerSig: invite.Invite.OwnerSig,
	}
}

// waits reports whether the node waits for votes.
func (c *Catalog) waits(node holo.NodeID) bool {
	_, ok := c.pending[node]
	return ok
}

// checkInvite finds the invite and checks that whoever asks holds it. The
// signature comes first: who does not hold the invite learns nothing about it.
func (c *Catalog) checkInvite(m *wire.Admit, now int64) (wire.InviteRecord, error) {
	invite, ok := c.invites[m.InviteKey]
	switch {
	case !ok:
		return invite, holo.Refuse(holo.Denied, ReasonUnknownInvite, "admit node %s: no such invite", m.Node)
	case !key.Verify(m.InviteKey, wire.AdmitProof(c.cluster, m.Node, m.HandshakeHash), m.InviteSig[:]):
		return invite, holo.Refuse(holo.Denied, ReasonInviteSig, "admit node %s: the invite's signature is wrong", m.Node)
	case invite.Invite.Client:
		return invite, holo.Refuse(holo.Denied, ReasonInviteKind, "admit node %s: the invite is for a client", m.Node)
	case now <= 0 || now > invite.Invite.Expires:
		return invite, holo.Refuse(holo.Denied, ReasonInviteExpired, "admit node %s: the invite expired at %d, now %d", m.Node, invite.Invite.Expires, now)
	case invite.Bound != [32]byte{} && invite.Bound != m.Node:
		return invite, holo.Refuse(holo.Denied, ReasonInviteBound, "admit node %s: the invite was used by another node", m.Node)
	}
	return invite, nil
}

// enrol appends a record that admits a node, and seats it.
func (c *Catalog) enrol(r *wire.ChainRecord, place wire.Place) (wire.Message, error) {
	if err := c.chain.append(r); err != nil {
		return nil, err
	}
	err := c.table.Admit(r.Node, Weight(&place))
	invariant.Check(err == nil, "a node that passed every check gets no seat: %v", err)
	c.nodes[r.Node] = wire.NodeRecord{Node: r.Node, Name: r.Name, Place: place, Joined: r.Time, Admission: c.chain.head, Changed: c.version}
	c.keys.handed(r.Node)
	record := *r
	return &record, nil
}

// CheckEvict reports why an eviction would be refused now, before anything is
// done for it: the signature, and what would be lost without the owner's word.
func (c *Catalog) CheckEvict(m *wire.Evict) error {
	if err := c.chain.check(c.eviction(m, 0)); err != nil {
		return err
	}
	if shards := c.table.OnlyAt(m.Node); !m.LoseData {
		if names := c.namesIn(shards); len(names) > 0 {
			return holo.Refuse(holo.Conflict, ReasonDataLoss, "evict node %s: it holds the only copy of parts of %d arrays: %s", m.Node, len(names), strings.Join(names[:min(len(names), 8)], ", "))
		}
	}
	return nil
}

func (c *Catalog) eviction(m *wire.Evict, now int64) *wire.ChainRecord {
	return &wire.ChainRecord{
		Prev: c.chain.head, Kind: wire.ChainEvict, Time: now, Node: m.Node, Admission: m.Admission, LoseData: m.LoseData, OwnerSig: m.OwnerSig,
	}
}

func (c *Catalog) evict(m *wire.Evict, now int64) (wire.Message, error) {
	if err := c.CheckEvict(m); err != nil {
		return nil, err
	}
	r := c.eviction(m, now)
	if err := c.chain.append(r); err != nil {
		return nil, err
	}
	lost, err := c.table.Evict(m.Node)
	invariant.Check(err == nil, "a member without a seat: %v", err)
	c.markLost(lost)
	delete(c.nodes, m.Node)
	delete(c.programs, m.Node)
	c.raise() // it may be what held the others back
	delete(c.keys.confirmed, m.Node)
	c.keys.trim()
	c.keys.rotate()
	return r, nil
}

func (c *Catalog) nodeAddress(m *wire.NodeAddress) error {
	r, ok := c.nodes[m.Node]
	if !ok {
		return holo.Errorf(holo.NotFound, "place node %s: not a member", m.Node)
	}
	if err := checkMember(m.Node, r.Name, &m.Place); err != nil {
		return err
	}
	if err := c.mayStay(m.Node, m.Speaks); err != nil {
		return err
	}
	r.Place, r.Speaks, r.Changed = m.Place, m.Speaks, c.version
	c.nodes[m.Node] = r
	c.raise()
	return c.table.Admit(m.Node, Weight(&m.Place))
}

func checkMember(node holo.NodeID, name string, place *wire.Place) error {
	if err := checkName("node", name); err != nil {
		return err
	}
	if place.Capacity>>20 > placement.MaxWeight || place.Spill>>20 > placement.MaxWeight-place.Capacity>>20 {
		return holo.Errorf(holo.Invalid, "place node %s: it offers more than %d MiB", node, uint64(placement.MaxWeight))
	}
	return nil
}

// Weight is a node's part of what is placed: what it offers in memory and on disk.
func Weight(p *wire.Place) uint64 { return (p.Capacity + p.Spill) >> 20 }

// checkName keeps names to what is safe in a terminal, a path and a shell:
// letters, digits and . _ - / after a letter or digit.
func checkName(what, name string) error {
	if name == "" || len(name) > wire.MaxName {
		return holo.Errorf(holo.Invalid, "name %s: %d bytes, want 1 to %d", what, len(name), wire.MaxName)
	}
	for i := range len(name) {
		b := name[i]
		plain := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
		mark := b == '.' || b == '_' || b == '-' || b == '/'
		if !plain && (i == 0 || !mark) {
			return holo.Errorf(holo.Invalid, "name %s %q: want letters, digits and . _ - / after a letter or digit", what, name)
		}
	}
	return nil
}
