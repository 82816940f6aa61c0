package node

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/lockdown"
)

// posture is how this node is protected now.
func (n *Node) posture() []lockdown.Measure {
	return append(lockdown.Posture(), n.keysAtRest(), n.pagesAtRest(), n.network(), n.links())
}

// links tells whether somebody who records the links now can read them with a
// quantum computer later.
func (n *Node) links() lockdown.Measure {
	if postQuantum[n.config.Policy.PostQuantum] == handshake.PQRequire {
		return lockdown.Measure{Name: "post_quantum", Holds: true, Detail: "every link has the hybrid key exchange"}
	}
	return lockdown.Measure{Name: "post_quantum", Detail: "links without the hybrid key exchange are allowed: --post-quantum " + n.config.Policy.PostQuantum}
}

// network tells who can send this node a packet that it looks at.
func (n *Node) network() lockdown.Measure {
	m := lockdown.Measure{Name: "network_restricted", Holds: true, Detail: "it listens on the loopback interface only"}
	outside := slices.ContainsFunc(n.transport.Addrs(), func(a netip.AddrPort) bool { return !a.Addr().IsLoopback() })
	switch allow := n.home.settings.Allow; {
	case outside && len(allow) > 0:
		m.Detail = "it answers " + strings.Join(allow, ", ") + " only, and authenticates every peer"
	case outside:
		m.Holds, m.Detail = false, "it answers every address, and authenticates every peer; `holo agent --allow CIDR` makes it silent to the others"
	}
	return m
}

// keysAtRest tells whether who has the node's disk has its keys.
func (n *Node) keysAtRest() lockdown.Measure {
	m := lockdown.Measure{Name: "keys_protected", Holds: true, Detail: "node.key and cluster.key are encrypted under a passphrase"}
	for _, file := range []string{identity.NodeKeyFile, identity.ClusterKeyFile} {
		if protected, err := identity.Protected(n.home.path(file)); err != nil || !protected {
			m.Holds, m.Detail = false, file+" is not encrypted: who has the disk has it; `holo key protect node` encrypts it"
			break
		}
	}
	return m
}

// pagesAtRest tells what of arrays lies on this node's disk.
func (n *Node) pagesAtRest() lockdown.Measure {
	m := lockdown.Measure{Name: "pages_at_rest", Holds: true, Detail: "pages lie in memory only"}
	if n.config.SpillDir != "" {
		m.Detail = "pages in " + n.config.SpillDir + " are sealed with AES-256-GCM under keys that end with the process"
	}
	return m
}

// withPosture adds to a status how this node is protected, and a warning for
// each protection that should hold and does not.
func (n *Node) withPosture(out *holov1.StatusResponse) {
	for _, m := range n.posture() {
		out.Posture = append(out.Posture, &holov1.Measure{Name: m.Name, Holds: m.Holds, Expected: m.Expected, Detail: m.Detail})
		if m.Expected && !m.Holds {
			out.Warnings = append(out.Warnings, "This node is not protected as it should be: "+m.Detail+".")
		}
	}
}

// logPosture tells the log at the start what an operator may have to put right.
func (n *Node) logPosture() {
	for _, m := range n.posture() {
		level := slog.LevelInfo
		if m.Expected && !m.Holds {
			level = slog.LevelWarn
		}
		n.log.Log(n.group.Context(), level, "posture", "measure", m.Name, "holds", m.Holds, "detail", m.Detail)
	}
}
