package node

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// dump tells, for a test that failed, how each node saw the shards.
func (c *cluster) dump() {
	if !c.t.Failed() {
		return
	}
	for _, n := range c.live() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		n.turns.Do(ctx, func(now holo.Time) {
			c.t.Logf("node %s: lease %v, leads %v, usage %+v, refusals %v, queue %d", n.self, n.loop.holder.Valid(now),
				n.loop.keeper != nil, n.memory.Machine().Usage(), n.refusals.all(), n.turns.Waiting())
			for s := holo.ShardID(0); s.Valid(); s++ {
				if st := n.memory.Machine().Status(s); st.Seq > 0 || st.Queued > 0 {
					c.t.Logf("  shard %d: %v epoch %d promised %d seq %d commit %d primary %s members %d learner %s", s, st.State, st.Config.Epoch,
						st.Promised, st.Seq, st.Commit, st.Config.Primary, len(st.Config.Members), st.Config.Learner.Node)
				}
			}
		})
		cancel()
		c.t.Logf("  peers %+v transport %+v", n.peers.Stats(), n.transport.Stats())
	}
}
