package node

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// findPSK gives a handshake the pre-shared key that the peer says it has: the
// cluster's for a node, an invite's for a joiner.
func (n *Node) findPSK(kind handshake.Kind, id [8]byte) (handshake.PSK, bool) {
	switch kind {
	case handshake.KindNode:
		return n.keys.find(id)
	case handshake.KindJoin:
		r, ok := n.findInvite(id)
		if !ok || unixNow() > r.Invite.Expires {
			return handshake.PSK{}, false
		}
		return handshake.PSK{ID: id, Key: r.Invite.PSK}, true
	}
	return handshake.PSK{}, false
}

// findInvite looks in this node's replica of the catalogue; a node without one
// asks the leader, one question at a time, so that strangers who guess cost
// the leader no more than this node's gate lets through. The time to wait for
// one's turn is bounded too: while nobody leads, they would pile up here after
// their connections are gone.
func (n *Node) findInvite(id [8]byte) (r wire.InviteRecord, ok bool) {
	voter := false
	n.catalog.read(func(c *catalog.Catalog) {
		voter = len(c.Chain()) > 0
		r, ok = c.InviteByPSK(id)
	})
	if ok || voter {
		return r, ok
	}
	ctx, cancel := within(n.group.Context(), attemptDeadline)
	defer cancel()
	select {
	case n.inviteQuery <- struct{}{}:
		defer func() { <-n.inviteQuery }()
	case <-ctx.Done():
		return wire.InviteRecord{}, false
	}
	q := wire.CatalogQuery{What: wire.QueryInvite, Number: binary.BigEndian.Uint64(id[:])}
	found, err := queryOne[*wire.InviteRecord](ctx, n, q)
	if err != nil {
		return wire.InviteRecord{}, false
	}
	return *found, true
}

// serveOther serves a session that is not of a member: a client's, or a
// joiner's, which has the routes of its kind and a deadline.
func (n *Node) serveOther(s *transport.Session) {
	if s.Kind() == handshake.KindClient {
		n.serveClient(s)
		return
	}
	ctx, cancel := within(n.group.Context(), 2*controlDeadline)
	defer cancel()
	defer s.Close("served")
	stop := context.AfterFunc(ctx, func() { s.Close("deadline") })
	defer stop()
	st, err := s.Accept(ctx)
	if err != nil {
		return
	}
	n.serve(s, st)
	select { // the answer must arrive before the session ends
	case <-s.Done():
	case <-ctx.Done():
	}
}

// serveJoin has an admission decided by the catalogue, which checks the
// evidence: the owner's signature of the invite, the invite's of this very
// session, that no other node used it, and the votes that the policy wants. Only
// then, and when that is recorded, is anything of the cluster handed over.
func (n *Node) serveJoin(ctx context.Context, r *request) error {
	m := r.msg.(*wire.JoinRequest)
	cmd := &wire.Admit{
		Node: r.from, Name: m.Name, Place: wire.Place{Addresses: m.Addresses, Capacity: m.Capacity},
		InviteKey: m.InviteKey, HandshakeHash: r.session.Hash(), InviteSig: m.Signature, User: m.User, UserSig: m.UserSig,
	}
	decided, err := n.propose(ctx, cmd)
	p, waits := decided.(*wire.PendingRecord)
	if !waits {
		err = n.recordJoin("cluster.join", fmt.Sprintf("node %s %s", r.from.Hex(), m.Name), wire.Actor{Kind: wire.ActorNode, Key: r.from}, err)
	}
	if err != nil {
		n.log.Warn("admission refused", "node", r.from.String(), "name", m.Name, "error", err)
		return err
	}
	if waits {
		n.log.Info("node waits for votes", "node", r.from.String(), "name", m.Name, "votes", len(p.Votes), "wanted", p.Need)
		return r.answer(&wire.JoinPending{Have: uint8(len(p.Votes)), Need: p.Need})
	}
	n.log.Info("node admitted", "node", r.from.String(), "name", m.Name)
	if err := n.awaitMember(ctx, r.from); err != nil {
		return err
	}
	return r.answer(n.joinAnswer())
}

// awaitMember waits until this node's own verified chain has the newcomer.
func (n *Node) awaitMember(ctx context.Context, id holo.NodeID) error {
	ctx, cancel := within(ctx, controlDeadline)
	defer cancel()
	for {
		changed := n.members.changed.Wait()
		if n.members.has(id) {
			return nil
		}
		n.followOnce(ctx)
		if n.members.has(id) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return holo.Errorf(holo.Unavailable, "admit node %s: it is not in the chain here yet: ask again", id)
		}
	}
}

func (n *Node) joinAnswer() *wire.JoinAnswer {
	records, contacts := n.members.state()
	a := &wire.JoinAnswer{Chain: make([][]byte, len(records)), Contacts: contacts}
	for i := range records {
		a.Chain[i] = wire.Encode(&records[i])
	}
	copy(a.ClusterKey[:], n.keys.secret().Bytes())
	return a
}
