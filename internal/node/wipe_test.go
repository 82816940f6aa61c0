package node

import "testing"

// The key goes after the audit log, whose last record it signs, and is read
// from its file again at the next start.
func TestNodeThatEndsWipesItsKey(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	signer, self := n.home.signer, n.self
	must(t, n.Close())
	if !signer.IsZero() || signer.Sign([]byte("label")) != nil {
		t.Error("the key of a node that ended still signs")
	}
	c.start(0)
	if c.nodes[0].self != self {
		t.Error("the node is another after a restart")
	}
}
