package node

import (
	"fmt"
	"sync"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/memory"
	"github.com/holocompute/holocompute/internal/wire"
)

// happening is what nobody refused and somebody may look for in the log: that tasks
// had to be tried again, and why; that pages were copied to this node; that shards
// are in another epoch.
type happening struct{ event, reason string }

// happenings counts them. They are recorded by number as refusals are, so that a
// job which fails at every task, or a cluster that repairs itself all day, does not
// fill the log. A record names the last of them.
type happenings struct {
	*ledger[happening]
	last struct {
		sync.Mutex
		of map[happening]func() string
	}
}

func newHappenings() *happenings {
	h := &happenings{ledger: newLedger[happening]()}
	h.last.of = map[happening]func() string{}
	return h
}

// add counts, and keeps how to name the last of them: it is named when there is a
// record of it.
func (h *happenings) add(what happening, count uint64, last func() string) {
	h.last.Lock()
	h.last.of[what] = last
	h.last.Unlock()
	h.ledger.add(what, count)
}

func (h *happenings) lastOf(what happening) string {
	h.last.Lock()
	last := h.last.of[what]
	h.last.Unlock()
	return last()
}

// taskRetried is told by the jobs that this node coordinates.
func (n *Node) taskRetried(job holo.JobID, reason string, tasks uint64) {
	n.happened.add(happening{"task.retried", reason}, tasks, func() string { return fmt.Sprintf("job %d: %s", uint64(job), reason) })
}

// pagesCopied is told by the memory of this node: it holds one more copy of a shard
// that counts, because another one was lost or is to be given up.
func (n *Node) pagesCopied(e shard.Event) {
	n.happened.add(happening{event: "page.rereplicated"}, uint64(e.Pages), func() string { return fmt.Sprintf("shard %d from node %s", uint64(e.Shard), e.Node) })
}

// shardsReconfigured is told by the memory of this node: shards are in a later epoch,
// which Raft made. The record is this node's word for what it goes by when it signs.
func (n *Node) shardsReconfigured(shards uint64, last wire.ShardConfig) {
	n.happened.add(happening{event: "shard.configured"}, shards, func() string {
		root := memory.ConfigsRoot(n.memory.Configs.All())
		return fmt.Sprintf("shard %d epoch %d of node %s, root of all %s", uint64(last.Shard), uint64(last.Epoch), last.Primary, root.Hex())
	})
}

// recordHappened keeps a record of each kind. What cannot be recorded is counted on
// and tried again.
func (n *Node) recordHappened(due map[happening]uint64) {
	for what, count := range due {
		r := n.ownEvent(what.event, n.happened.lastOf(what))
		r.Count = count // a reason is of a refusal alone
		if err := n.audit.Report(r); err != nil {
			n.happened.owe(what, count)
			n.log.Error("event not recorded", "event", what.event, "count", count, "error", err)
		}
	}
}
