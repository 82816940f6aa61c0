package node

import "github.com/holocompute/holocompute/internal/code"

// openCode opens the folder in which the machine code of kernels is kept, under
// a key that follows from this node's.
func (n *Node) openCode() (*code.Store, error) {
	k, err := code.KeyOf(n.home.signer)
	if err != nil {
		return nil, err
	}
	s, err := code.Open(code.Config{Dir: n.home.path(codeDir), Key: k, Logger: n.log, Count: n.refusals.add})
	if err != nil {
		k.Wipe()
	}
	return s, err
}
