package node

// sign signs with the node's key: not at all once the node has ended, for a
// call that comes late must not meet half a key.
func (n *Node) sign(msg []byte) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.home.signer.Sign(msg)
}

// wipe ends the use of the node's key, as its last act.
func (n *Node) wipe() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.home.signer.Wipe()
}
