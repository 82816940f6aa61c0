package receipt

import (
	"fmt"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Trace tells what was changed in the receipt of a task that its node has not signed,
// as far as that can be known: again is what running the task again comes to, and
// nodes are those that may have signed. What was signed is among the fields as they
// would be, or the change is where nobody can look. Empty: it is signed.
func (j Job) Trace(t Task, again *wire.Receipt, nodes []holo.NodeID) string {
	if j.Check(t) == nil {
		return ""
	}
	mended := *again
	mended.Node, mended.Time, mended.Signature = t.Said.Node, t.Said.Time, t.Said.Signature
	if j.Check(Task{t.Run, &mended}) == nil {
		return "signature: node " + t.Said.Node.String() + " has signed what running the task again comes to: what differs was changed afterwards, and nothing else"
	}
	for _, node := range nodes {
		if mended.Node = node; j.Check(Task{t.Run, &mended}) == nil {
			return fmt.Sprintf("node: the receipt says %s, and %s has signed it", t.Said.Node, node)
		}
	}
	return fmt.Sprintf("signature: node %s has not signed this: the time, the signature, or what the task was told was changed", t.Said.Node)
}
