package node

import (
	"net/netip"
	"slices"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/discover"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// listen opens the sockets and remembers where, so that the others find this
// node again after a restart, and whom it talks with.
func (n *Node) listen() (err error) {
	s := n.home.settings
	before := *s
	n.config.exposure().over(s)
	allow, err := parseAllow(s.Allow)
	if err != nil {
		return err
	}
	n.transport, err = transport.Listen(transport.Config{
		Listen: s.Listen, Also: s.Also, Allow: allow, Local: n.local, Logger: n.log, Refused: n.refusals.add,
	})
	if err != nil {
		return err
	}
	addrs := n.addrs()
	s.Listen, s.Also = addrs[0], addrs[1:]
	n.members.meet([]wire.Contact{{Node: n.self, Address: n.advertised()[0]}})
	if before.Equal(s) {
		return nil
	}
	return identity.WriteCluster(n.home.path(identity.ClusterFile), s)
}

// openResponder has the node answer, when it was told to, who holds an invite
// and cannot find it.
func (n *Node) openResponder() error {
	if !n.config.Announce {
		return nil
	}
	allow, err := parseAllow(n.home.settings.Allow)
	if err != nil {
		return err
	}
	allowed := func(ip netip.Addr) bool {
		return len(allow) == 0 || slices.ContainsFunc(allow, func(p netip.Prefix) bool { return p.Contains(ip) })
	}
	r := &discover.Responder{Cluster: n.cluster, Port: n.transport.Addr().Port(), Answers: allowed}
	var at []netip.Addr
	for _, a := range n.transport.Addrs() {
		at = append(at, a.Addr())
	}
	if err := r.Open(at); err != nil {
		return err
	}
	n.group.Run(r.Serve)
	return nil
}

func (n *Node) addrs() (out []string) {
	for _, a := range n.transport.Addrs() {
		out = append(out, a.String())
	}
	return out
}

// exposure is how a node meets the network. What is empty stays as it was.
type exposure struct {
	listen, advertise, allow []string
	clients                  *bool
}

func (c *Config) exposure() exposure {
	e := exposure{advertise: c.Advertise, allow: c.Allow, clients: c.Clients}
	if c.Listen != "" {
		e.listen = append([]string{c.Listen}, c.Also...)
	}
	return e
}

// over puts what was said now over what was said before. Where nothing was ever
// said, the node listens on the loopback interface.
func (e exposure) over(s *identity.Cluster) {
	if len(e.listen) > 0 {
		s.Listen, s.Also = e.listen[0], e.listen[1:]
	}
	if len(e.advertise) > 0 {
		s.Advertise = e.advertise
	}
	if len(e.allow) > 0 {
		s.Allow = e.allow
	}
	if e.clients != nil {
		s.Clients = *e.clients
	}
	if s.Listen == "" {
		s.Listen = anyLoopback
	}
}

// local is this side of a handshake, as node that dials or that answers.
func (n *Node) local() handshake.Local {
	admit := n.members.admit
	accept := []handshake.Kind{handshake.KindNode, handshake.KindJoin}
	if n.home.settings.Clients {
		accept = append(accept, handshake.KindClient)
	}
	return n.config.Policy.apply(handshake.Local{
		Kind: handshake.KindNode, Accept: accept, Owner: n.members.owner(),
		Static: n.static(), PSK: n.clusterPSK(), Proof: n.members.proof(), Parting: n.parting, Cluster: n.Protocol(),
		FindPSK: func(kind handshake.Kind, id [8]byte) (handshake.PSK, bool) {
			psk, ok := n.findPSK(kind, id)
			if ok || kind != handshake.KindNode {
				return psk, ok
			}
			psk, epoch, ok := n.latecomer(id)
			admit = func(kind handshake.Kind, peer holo.NodeID, name string, proof []byte) error {
				return n.admitLate(epoch, kind, peer, name, proof)
			}
			return psk, ok
		},
		Admit: func(kind handshake.Kind, peer holo.NodeID, name string, proof []byte) error {
			return admit(kind, peer, name, proof)
		},
	})
}

// formerLocal is this side of a dial to a member that may not have the newest
// cluster key yet.
func (n *Node) formerLocal() (handshake.Local, bool) {
	l := n.local()
	psk, ok := n.keys.formerPSK()
	l.PSK = psk
	return l, ok
}

func (n *Node) clusterPSK() handshake.PSK { return n.keys.psk() }

// static is the Noise key that this process uses, renewed long before its
// certificate ends.
func (n *Node) static() *handshake.Static {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := unixNow()
	if n.mu.static == nil || n.mu.static.Stale(now) {
		s, err := handshake.NewStatic(n.home.signer, n.cluster, n.home.settings.NodeName, now)
		if err != nil {
			n.log.Error("no static key", "error", err)
			return n.mu.static
		}
		n.mu.static = s
	}
	return n.mu.static
}
