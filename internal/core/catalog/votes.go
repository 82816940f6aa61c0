package catalog

import (
	"bytes"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// PolicyOf gives, of a chain that was verified, the hash of the last policy's
// record and how many votes it wants; zeros where there is none.
func PolicyOf(records []wire.ChainRecord) (policy [32]byte, need uint8) {
	for i := range slices.Backward(records) {
		if records[i].Kind == wire.ChainPolicy {
			return RecordHash(&records[i]), records[i].Need
		}
	}
	return policy, 0
}

func (c *Catalog) policyPut(m *wire.PolicyPut, now int64) (wire.Message, error) {
	r := &wire.ChainRecord{Prev: c.chain.head, Kind: wire.ChainPolicy, Time: now, Need: m.Need, OwnerSig: m.OwnerSig}
	if err := c.chain.append(r); err != nil {
		return nil, err
	}
	return r, nil
}

// wait makes a node pending, or finds that it is. What it asked first stays:
// votes are about that. Under another policy they begin anew.
func (c *Catalog) wait(m *wire.Admit, invite wire.InviteRecord, now int64) (wire.Message, error) {
	p, waits := c.pending[m.Node]
	if waits && p.Admit.InviteKey == m.InviteKey && p.Policy == c.chain.policy {
		return &p, nil
	}
	for id, other := range c.pending {
		if id != m.Node && other.Admit.Name == m.Name && now <= other.Expires {
			return nil, holo.Refuse(holo.Exists, ReasonNameTaken, "admit node %s: a node that waits is named %s already: choose another name", m.Node, m.Name)
		}
	}
	p = wire.PendingRecord{Admit: *m, Expires: invite.Invite.Expires, Since: now, Policy: c.chain.policy, Need: c.chain.need}
	c.dropExpired(now)
	c.pending[m.Node] = p
	invite.Bound = m.Node
	c.invites[m.InviteKey] = invite
	return &p, nil
}

// dropExpired forgets who waited until the invite expired. There are never more
// that wait than invites.
func (c *Catalog) dropExpired(now int64) {
	for id, p := range c.pending {
		if now > p.Expires {
			delete(c.pending, id)
		}
	}
}

// admitVote counts a vote, and admits the node with the last one needed.
func (c *Catalog) admitVote(m *wire.AdmitVote, now int64) (wire.Message, error) {
	p, ok := c.pending[m.Node]
	invite, invited := c.invites[p.Admit.InviteKey]
	if !ok || !invited || now <= 0 || now > p.Expires {
		return nil, holo.Errorf(holo.NotFound, "vote for node %s: it does not wait for votes", m.Node)
	}
	if p.Policy != c.chain.policy {
		p.Policy, p.Need, p.Votes = c.chain.policy, c.chain.need, nil
	}
	r := c.admission(&p.Admit, invite, now)
	if !c.chain.counts(&m.Vote, r) {
		return nil, holo.Refuse(holo.Denied, ReasonVote, "vote for node %s: the vote of %x does not count", m.Node, m.Vote.Voter)
	}
	p.Votes = slices.DeleteFunc(slices.Clone(p.Votes), func(v wire.Vote) bool { return !c.chain.counts(&v, r) }) // of who was evicted since
	if slices.ContainsFunc(p.Votes, func(v wire.Vote) bool { return v.Voter == m.Vote.Voter }) {
		return nil, holo.Refuse(holo.Exists, ReasonVoteTwice, "vote for node %s: %x has voted", m.Node, m.Vote.Voter)
	}
	p.Votes = append(p.Votes, m.Vote)
	slices.SortFunc(p.Votes, func(a, b wire.Vote) int { return bytes.Compare(a.Voter[:], b.Voter[:]) })
	if len(p.Votes) < int(p.Need) {
		c.pending[m.Node] = p
		return &p, nil
	}
	r.Votes = p.Votes[:p.Need]
	if err := c.room(m.Node); err != nil {
		return nil, err
	}
	if err := c.checkUser(&p.Admit, &invite.Invite, now); err != nil {
		return nil, err
	}
	answer, err := c.enrol(r, p.Admit.Place)
	if err == nil {
		delete(c.pending, m.Node)
		c.welcome(&p.Admit, &invite.Invite, now)
	}
	return answer, err
}

// Pending lists the nodes that wait for votes, by ID.
func (c *Catalog) Pending() []wire.PendingRecord { return values(c.pending, holo.NodeID.Compare) }
