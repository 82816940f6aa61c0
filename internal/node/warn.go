package node

import (
	"fmt"
	"time"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/transport"
)

// skewWarning is the difference between two clocks from which the status warns:
// a fifth of what ends handshakes, and as much as tokens allow.
const skewWarning = time.Minute

// linkWarnings say in sentences what this node has seen of the links with the
// others that somebody should look into. None of it is silent: what was refused
// is in the counters too.
func (n *Node) linkWarnings() (out []string) {
	for _, id := range n.members.ids() {
		for _, s := range n.peers.Sessions(id) {
			if skew := s.Skew(); skew.Abs() >= skewWarning {
				out = append(out, fmt.Sprintf("The clock of node %s differs from this node's by %s (%s): sessions are refused from %d s on.",
					n.members.name(id), skew, handshake.ReasonClockSkew, handshake.ClockSkew))
				break
			}
		}
	}
	out = append(out, n.blameWarnings()...)
	refused := n.refusals.all()
	if refused[handshake.ReasonClockSkew] > 0 {
		out = append(out, fmt.Sprintf("Sessions were refused because two clocks differ by more than %d s (%s): compare the machines' clocks.",
			handshake.ClockSkew, handshake.ReasonClockSkew))
	}
	if refused[handshake.ReasonVersion] > 0 {
		out = append(out, fmt.Sprintf("Sessions were refused because programs have no version of the protocol in common, or one does not speak the cluster's (%s): `holo version` on each machine shows what it speaks.", handshake.ReasonVersion))
	}
	if refused[transport.ReasonDuplicate] > 0 {
		out = append(out, fmt.Sprintf("Two processes ran with the key of one node (%s): the second is refused; find out who copied its folder.", transport.ReasonDuplicate))
	}
	return out
}
