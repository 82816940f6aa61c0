package node

import (
	"net"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// listen opens the socket and remembers where, so that the others find this
// node again after a restart.
func (n *Node) listen() (err error) {
	s := n.home.settings
	at := n.config.Listen
	if at == "" {
		at = s.Listen
	}
	if at == "" {
		at = anyLoopback
	}
	n.transport, err = transport.Listen(transport.Config{Listen: at, Local: n.local, Logger: n.log, Refused: n.refusals.add})
	if err != nil {
		return err
	}
	before := *s
	s.Listen = n.transport.Addr().String()
	if len(n.config.Advertise) > 0 {
		s.Advertise = n.config.Advertise
	}
	n.members.meet([]wire.Contact{{Node: n.self, Address: n.advertised()[0]}})
	if before.Listen == s.Listen && len(n.config.Advertise) == 0 {
		return nil
	}
	return identity.WriteCluster(n.home.path(identity.ClusterFile), s)
}

// advertised is where others should look for this node.
func (n *Node) advertised() []string {
	if len(n.home.settings.Advertise) > 0 {
		return n.home.settings.Advertise
	}
	addr := n.transport.Addr()
	if !addr.Addr().IsUnspecified() {
		return []string{addr.String()}
	}
	_, port, _ := net.SplitHostPort(addr.String())
	var found []string
	locals, _ := net.InterfaceAddrs()
	for _, a := range locals {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() && len(found) < 4 {
			found = append(found, net.JoinHostPort(ip.IP.String(), port))
		}
	}
	return append(found, net.JoinHostPort("127.0.0.1", port))
}

// dialFrom is the address to dial out from, beside a node that may listen on
// the same host.
func dialFrom(listen string) string {
	host, _, err := net.SplitHostPort(listen)
	if err != nil || host == "" {
		return anyLoopback
	}
	return net.JoinHostPort(host, "0")
}

// local is this side of a handshake, as node that dials or that answers.
func (n *Node) local() handshake.Local {
	return n.config.Policy.apply(handshake.Local{
		Kind: handshake.KindNode, Accept: []handshake.Kind{handshake.KindNode, handshake.KindJoin},
		Static: n.static(), PSK: n.clusterPSK(), FindPSK: n.findPSK, Proof: n.members.proof(), Admit: n.members.admit,
	})
}

func (n *Node) clusterPSK() handshake.PSK { return handshake.ClusterPSK(n.home.clusterKey, n.cluster) }

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
