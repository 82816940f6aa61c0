package consensus

import (
	"context"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/holocompute/holocompute/internal/holo"
)

// pooled is how many idle streams Raft keeps per node.
const pooled = 3

// link is Raft's transport over Streams. Requests go out through one
// NetworkTransport and come in through one per peer, because the library does
// not tell which connection a request came on: so what comes in through a
// peer's is that peer's, and is refused when it claims to be somebody else's.
//
// Pipelining is off. It is worth nothing at our rates, and without it the
// answers that pass here say what each node holds.
type link struct {
	*raft.NetworkTransport // the way out
	config                 Config
	logger                 logger
	group                  *group
	requests               chan raft.RPC
	configuration          func() raft.Configuration
	mu                     struct {
		sync.Mutex
		heartbeat func(raft.RPC)
		inlets    map[holo.NodeID]*inlet
		expected  holo.NodeID // zero: nobody
		progress  map[holo.NodeID]progress
		round     uint64 // the latest that was begun
		answered  map[holo.NodeID]answer
		changed   chan struct{} // closed when progress or answered changes
		closed    bool
	}
}

// progress is how much of the log a node has acknowledged in a term.
type progress struct{ term, index uint64 }

// answer is the latest round that had begun when the node was asked something,
// as its leader in a term, and agreed.
type answer struct{ term, round uint64 }

func newLink(c Config, logger logger, g *group) *link {
	l := &link{config: c, logger: logger, group: g, requests: make(chan raft.RPC)}
	l.mu.inlets = map[holo.NodeID]*inlet{}
	l.mu.progress = map[holo.NodeID]progress{}
	l.mu.answered = map[holo.NodeID]answer{}
	l.mu.changed = make(chan struct{})
	l.NetworkTransport = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: newOutlet(c, g), MaxPool: pooled, MaxRPCsInFlight: 1, Timeout: rpcTimeout, Logger: logger,
	})
	return l
}

// serve starts taking streams, once Raft can say who is in its configuration.
func (l *link) serve(configuration func() raft.Configuration) {
	l.configuration = configuration
	l.group.run(l.accept)
}

func (l *link) accept(ctx context.Context) {
	for ctx.Err() == nil {
		conn, peer, err := l.config.Streams.Accept(ctx)
		if err != nil {
			return
		}
		if !l.known(peer) {
			conn.Close()
			l.refuse(ReasonStranger, peer)
			continue
		}
		if in := l.inlet(peer); in != nil {
			in.take(conn)
		} else {
			conn.Close()
		}
	}
}

// inlet finds or makes the way in of a peer.
func (l *link) inlet(peer holo.NodeID) *inlet {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return nil
	}
	in, ok := l.mu.inlets[peer]
	if !ok {
		in = newInlet(l, peer)
		l.mu.inlets[peer] = in
	}
	return in
}

// known reports whether the configuration names the node, or Expect did.
func (l *link) known(peer holo.NodeID) bool {
	l.mu.Lock()
	expected := !peer.IsZero() && l.mu.expected == peer
	l.mu.Unlock()
	if expected {
		return true
	}
	for _, s := range l.configuration().Servers {
		if s.ID == serverID(peer) {
			return true
		}
	}
	return false
}

func (l *link) expect(peer holo.NodeID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.expected = peer
}

func (l *link) refuse(reason string, peer holo.NodeID) {
	l.config.Logger.Debug("raft request refused", "peer", peer.String(), "reason", reason)
	if l.config.Refused != nil {
		l.config.Refused(reason, peer)
	}
}

// check says why a request from a peer is not to be served.
func (l *link) check(peer holo.NodeID, rpc raft.RPC) error {
	request, ok := rpc.Command.(raft.WithRPCHeader)
	if !ok {
		return holo.Refuse(holo.Denied, ReasonImpostor, "raft request without a sender")
	}
	head := request.GetRPCHeader()
	switch {
	case string(head.ID) != peer.Hex() || string(head.Addr) != peer.Hex():
		l.refuse(ReasonImpostor, peer)
		return holo.Refuse(holo.Denied, ReasonImpostor, "raft request of another node than %s", peer)
	case !l.known(peer):
		l.refuse(ReasonStranger, peer)
		return holo.Refuse(holo.Denied, ReasonStranger, "node %s is not in the raft configuration", peer)
	}
	return nil
}

// Consumer gives Raft the requests that came in.
func (l *link) Consumer() <-chan raft.RPC { return l.requests }

// SetHeartbeatHandler lets heartbeats pass by Raft's main loop, so that a slow
// disk does not look like a dead leader.
func (l *link) SetHeartbeatHandler(handle func(raft.RPC)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.heartbeat = handle
}

func (l *link) heartbeat() func(raft.RPC) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.heartbeat
}

// AppendEntriesPipeline makes Raft wait for each answer.
func (l *link) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// AppendEntries sends entries, or a heartbeat, and notes what the node has
// after them, and that it followed this node when it was asked.
func (l *link) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	round := l.presentRound()
	err := l.NetworkTransport.AppendEntries(id, target, args, resp)
	if node, bad := holo.ParseNodeID(string(id)); err == nil && bad == nil && resp.Success && resp.Term <= args.Term {
		l.note(node, progress{args.Term, args.PrevLogEntry + uint64(len(args.Entries))}, answer{args.Term, round})
	}
	return err
}

func (l *link) note(node holo.NodeID, p progress, a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	further, newer := p.after(l.mu.progress[node]), a.after(l.mu.answered[node])
	if further {
		l.mu.progress[node] = p
	}
	if newer {
		l.mu.answered[node] = a
	}
	if further || newer {
		close(l.mu.changed)
		l.mu.changed = make(chan struct{})
	}
}

func (p progress) after(old progress) bool {
	return p.term > old.term || p.term == old.term && p.index > old.index
}

func (a answer) after(old answer) bool {
	return a.term > old.term || a.term == old.term && a.round > old.round
}

func (l *link) presentRound() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.round
}

// beginRound begins a round of questions and numbers it.
func (l *link) beginRound() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.round++
	return l.mu.round
}

// confirmed reports whether a majority of the voters, this node among them,
// followed it in the term when they were asked in this round or later, and a
// channel that closes when more is known.
func (l *link) confirmed(voters []holo.NodeID, term, round uint64) (bool, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	agree := 0
	for _, v := range voters {
		if a := l.mu.answered[v]; v == l.config.Self || a.term == term && a.round >= round {
			agree++
		}
	}
	return agree > len(voters)/2, l.mu.changed
}

// acknowledged is how much of the log the node is known to hold in a term, and
// a channel that closes when more is known.
func (l *link) acknowledged(node holo.NodeID, term uint64) (uint64, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.mu.progress[node]
	if p.term != term {
		return 0, l.mu.changed
	}
	return p.index, l.mu.changed
}

// Close ends every stream in both directions.
func (l *link) Close() error {
	l.mu.Lock()
	l.mu.closed = true
	inlets := l.mu.inlets
	l.mu.inlets = nil
	l.mu.Unlock()
	for _, in := range inlets {
		in.close()
	}
	return l.NetworkTransport.Close() // which closes the outlet
}
