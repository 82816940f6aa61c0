package node

import (
	"context"
	"crypto/rand"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// propose has a catalogue command committed and gives its result, nil where it
// has none. It goes under a request ID, so it is sent again after an answer
// that did not come. What is this node's own word is signed here.
func (n *Node) propose(ctx context.Context, cmd wire.Message) (wire.Message, error) {
	if wire.IsAttested(cmd) {
		cmd = n.attest(cmd)
	}
	r, err := n.control(ctx, newRequestID(), cmd)
	if err != nil || len(r.Items) == 0 {
		return nil, err
	}
	return wire.Decode(r.Items[0])
}

func newRequestID() (id wire.RequestID) {
	rand.Read(id[:])
	return id
}

// query asks the catalogue, as of some moment between call and return, and
// gives everything that it found.
func (n *Node) query(ctx context.Context, q wire.CatalogQuery) ([]wire.Message, error) {
	var found []wire.Message
	for {
		r, err := n.control(ctx, wire.RequestID{}, &q)
		if err != nil {
			return nil, err
		}
		for _, item := range r.Items {
			msg, err := wire.Decode(item)
			if err != nil {
				return nil, err
			}
			found = append(found, msg)
		}
		if r.More == 0 {
			return found, nil
		}
		q.Cursor = r.More
	}
}

// control brings a command or query to the leader, wherever that is, until
// the catalogue has answered or the deadline ends.
func (n *Node) control(ctx context.Context, id wire.RequestID, msg wire.Message) (r *wire.ControlResponse, err error) {
	req := &wire.ControlRequest{Request: id, Body: wire.Encode(msg)}
	err = wait.Retry(ctx, controlDeadline, &n.led, func(ctx context.Context) error {
		r, err = n.controlOnce(ctx, req)
		return err
	})
	if err == nil && r.Refused {
		return nil, r.Failure.Err()
	}
	return r, err
}

// controlOnce asks whoever leads as far as this node knows; where it knows of
// nobody it asks the members one after the other.
func (n *Node) controlOnce(ctx context.Context, req *wire.ControlRequest) (*wire.ControlResponse, error) {
	if n.consensus.IsLeader() {
		return n.answerCall(ctx, n.self, req)
	}
	last := holo.Refuse(holo.Unavailable, reasonNoLeader, "ask the catalogue: nobody is known to lead it")
	for _, id := range n.leaderCandidates() {
		r, err := n.controlAt(ctx, id, req)
		if err == nil || !wait.Again(err) {
			return r, err
		}
		last = wait.LastError(last, err)
	}
	return nil, last
}

// leaderCandidates is whom to ask, the most likely first.
func (n *Node) leaderCandidates() []holo.NodeID {
	leader, known := n.leader()
	ids := make([]holo.NodeID, 0, 8)
	if known && leader != n.self {
		ids = append(ids, leader)
	}
	for _, id := range n.members.ids() {
		if id != n.self && id != leader {
			ids = append(ids, id)
		}
	}
	return ids
}

func (n *Node) controlAt(ctx context.Context, id holo.NodeID, req *wire.ControlRequest) (*wire.ControlResponse, error) {
	ctx, cancel := within(ctx, attemptDeadline)
	defer cancel()
	m, err := n.ask(ctx, id, transport.Control, req)
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *wire.ControlResponse:
		n.ledBy(id)
		return m, nil
	case *wire.Redirect:
		n.ledBy(m.Leader)
		n.vouch(id, m.Leader)
		return nil, holo.Refuse(holo.Unavailable, reasonNotLeader, "node %s does not lead the catalogue", id)
	}
	return nil, n.unexpected(id, m)
}

// leader is who leads the catalogue, as far as this node knows: Raft's word
// where this node is a voter, else whoever answered last.
func (n *Node) leader() (holo.NodeID, bool) {
	if id, ok := n.consensus.Leader(); ok {
		return id, true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.hint, !n.mu.hint.IsZero()
}

// ledBy remembers who leads; the zero node forgets it.
func (n *Node) ledBy(id holo.NodeID) {
	n.mu.Lock()
	news := n.mu.hint != id
	n.mu.hint = id
	n.mu.Unlock()
	if news {
		n.led.Fire()
	}
}

// vouch remembers the leader that a voter named, as far as this node knows who
// votes: a voter that was away learns so of one that was made meanwhile.
func (n *Node) vouch(by, leader holo.NodeID) {
	if !slices.Contains(n.consensus.Voters(), by) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.vouched = leader
}

func (n *Node) vouched() holo.NodeID {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.vouched
}

// serveCall answers a ControlRequest if this node leads, and else says who
// does.
func (n *Node) serveCall(ctx context.Context, r *request) error {
	ctx, cancel := within(ctx, attemptDeadline)
	defer cancel()
	if !n.consensus.IsLeader() {
		leader, _ := n.consensus.Leader()
		return r.answer(&wire.Redirect{Leader: leader})
	}
	answer, err := n.answerCall(ctx, r.from, r.msg.(*wire.ControlRequest))
	if err != nil {
		return err
	}
	return r.answer(answer)
}

// answerCall serves one command or query as the leader.
func (n *Node) answerCall(ctx context.Context, from holo.NodeID, req *wire.ControlRequest) (*wire.ControlResponse, error) {
	msg, err := wire.Decode(req.Body)
	if err != nil {
		return nil, n.blame(from, holo.Refuse(holo.Invalid, reasonMalformed, "command of node %s: %w", from, err))
	}
	if q, ok := msg.(*wire.CatalogQuery); ok {
		if err := n.consensus.Read(ctx); err != nil {
			return nil, err
		}
		return n.answerQuery(q), nil
	}
	if err := mayPropose(from, msg); err != nil {
		return nil, n.blame(from, err)
	}
	if refusal, err := n.judgeSigned(ctx, req.Request, msg); err != nil {
		return nil, err
	} else if refusal != nil {
		n.blameUnsigned(from, refusal)
		return &wire.ControlResponse{Refused: true, Failure: *wire.FailureOf(refusal)}, nil
	}
	if m, ok := msg.(*wire.Evict); ok {
		if final, err := n.prepareEvict(ctx, req.Request, m); final {
			return &wire.ControlResponse{Refused: true, Failure: *wire.FailureOf(err)}, nil
		} else if err != nil {
			return nil, err
		}
	}
	r, err := n.commit(ctx, req.Request, msg)
	if err == nil && !r.Refused && asksToEvenOut(msg) {
		n.evenOut(ctx)
	}
	return r, err
}

// mayPropose refuses what a node must not ask the catalogue for: lives and
// shards are the keeper's business. The rest bears its evidence, which the
// catalogue checks.
func mayPropose(from holo.NodeID, msg wire.Message) error {
	allowed := false
	switch m := msg.(type) {
	case *wire.InvitePut, *wire.ClientEnrol, *wire.Admit, *wire.AdmitVote, *wire.PolicyPut, *wire.Evict, *wire.ClusterRekey, *wire.TokenKeyChange, *wire.TokenIssued, *wire.TokenRevoke, *wire.GrantPut, *wire.GrantRevoke, *wire.Succession, *wire.OwnerSuccession, // the evidence is in them
		*wire.Asked:
		allowed = true
	case *wire.Attested:
		allowed = m.Node == from
	}
	if !allowed {
		return holo.Refuse(holo.Denied, reasonNotAllowed, "node %s may not propose command %#04x", from, uint16(msg.Type()))
	}
	return nil
}

// commit puts a command through Raft and gives what applying it came to.
func (n *Node) commit(ctx context.Context, id wire.RequestID, body wire.Message) (*wire.ControlResponse, error) {
	cmd := &wire.Command{Request: id, Time: unixNow(), Body: body}
	v, err := n.consensus.Propose(ctx, wire.Encode(cmd))
	if err != nil {
		return nil, err
	}
	done, ok := v.(applied)
	switch {
	case !ok:
		return nil, holo.Errorf(holo.Internal, "apply command %#04x: no outcome", uint16(body.Type()))
	case done.err != nil:
		return &wire.ControlResponse{Refused: true, Failure: *wire.FailureOf(done.err)}, nil
	case done.result == nil:
		return &wire.ControlResponse{}, nil
	}
	return &wire.ControlResponse{Items: [][]byte{wire.Encode(done.result)}}, nil
}

// queryOne asks the catalogue for one thing.
func queryOne[M wire.Message](ctx context.Context, n *Node, q wire.CatalogQuery) (none M, err error) {
	all, err := queryAll[M](ctx, n, q)
	if err != nil {
		return none, err
	}
	if len(all) != 1 {
		return none, holo.Errorf(holo.Internal, "query %d of the catalogue gave %d answers", q.What, len(all))
	}
	return all[0], nil
}

// queryAll asks the catalogue for things of one type.
func queryAll[M wire.Message](ctx context.Context, n *Node, q wire.CatalogQuery) ([]M, error) {
	found, err := n.query(ctx, q)
	if err != nil {
		return nil, err
	}
	all := make([]M, 0, len(found))
	for _, m := range found {
		one, ok := m.(M)
		if !ok {
			return nil, holo.Errorf(holo.Corrupt, "query %d of the catalogue gave message %#04x", q.What, uint16(m.Type()))
		}
		all = append(all, one)
	}
	return all, nil
}
