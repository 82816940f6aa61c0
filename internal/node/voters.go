package node

import (
	"context"
	"slices"
	"time"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	// wantVoters is how many nodes decide once there are as many: with 1, 2, 3,
	// 4 ... nodes there are 1, 1, 3, 3 ... voters. Two would stop when either
	// stops, which is worse than one.
	wantVoters = 3
	// promoteEvery is how often the leader looks whether voters are missing.
	promoteEvery = 500 * time.Millisecond
	// catchUpTimeout bounds one attempt to make a voter.
	catchUpTimeout = 30 * time.Second
	// sweepEvery is how often the leader looks for deleted arrays that somebody
	// began to drop and did not finish.
	sweepEvery = 5 * time.Second
)

// promote makes voters while this node leads: a node receives the log first,
// and counts when it has it.
func (d *leadership) promote(ctx context.Context) {
	ticker := time.NewTicker(promoteEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !d.n.consensus.IsLeader() {
			continue
		}
		if err := d.promoteOnce(ctx); err != nil {
			d.n.log.Info("voter not made yet", "error", err)
		}
	}
}

// promoteOnce brings the configuration a step nearer to what is wanted. Both
// new voters are made nonvoters first, so that the cluster passes through two
// voters as briefly as it can.
func (d *leadership) promoteOnce(ctx context.Context) error {
	if d.n.drains.has(d.n.self) && len(d.n.consensus.Voters()) > 1 {
		return d.n.consensus.TransferLeadership(ctx) // before this node loses its vote, or is switched off
	}
	add, remove := d.voterChanges()
	if len(add) == 0 && len(remove) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, catchUpTimeout)
	defer cancel()
	for _, id := range remove {
		if err := d.n.consensus.Remove(ctx, id); err != nil {
			return err
		}
	}
	for _, id := range add {
		if err := d.n.consensus.AddNonvoter(ctx, id); err != nil {
			return err
		}
	}
	for _, id := range add {
		if err := d.n.consensus.Promote(ctx, id); err != nil {
			return err
		}
		d.n.log.Info("voter made", "voter", id.String())
	}
	return nil
}

// voterChanges decides who should become a voter, and who should leave Raft's
// configuration because it is no member any more. A dead voter is replaced only
// where a living node can take its place.
func (d *leadership) voterChanges() (add, remove []holo.NodeID) {
	var alive []holo.NodeID
	d.n.catalog.read(func(c *catalog.Catalog) {
		for _, m := range c.Members() {
			if r, ok := c.Node(m.Node); ok && r.Alive && !r.Draining {
				alive = append(alive, m.Node)
			}
		}
	})
	voters := d.n.consensus.Voters()
	for _, v := range voters {
		if !d.n.members.has(v) && v != d.n.self {
			remove = append(remove, v)
		}
	}
	living := 0
	var spare []holo.NodeID
	for _, id := range alive {
		if slices.Contains(voters, id) {
			living++
		} else {
			spare = append(spare, id)
		}
	}
	missing := wantVoters - living
	if missing <= 0 || len(alive) < wantVoters {
		return nil, remove
	}
	add = spare[:min(missing, len(spare))]
	for _, v := range voters { // each newcomer takes a dead one's place
		if len(voters)-len(remove)+len(add) <= wantVoters {
			break
		}
		if !slices.Contains(alive, v) && !slices.Contains(remove, v) {
			remove = append(remove, v)
		}
	}
	return add, remove
}

// sweep finishes what others began: a deleted array is dropped by its shards
// and forgotten, though the node that deleted it is gone.
func (d *leadership) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	seen := map[holo.ArrayID]bool{} // deleted at the look before: whoever did has had its time
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if d.n.consensus.IsLeader() {
			seen = d.sweepOnce(ctx, seen)
			d.drained()
			d.n.resumeOrphans(ctx)
		}
	}
}

func (d *leadership) sweepOnce(ctx context.Context, seen map[holo.ArrayID]bool) map[holo.ArrayID]bool {
	var left []wire.ArrayRecord
	d.n.catalog.read(func(c *catalog.Catalog) {
		for _, a := range c.Arrays() {
			if a.State == wire.ArrayDeleted {
				left = append(left, a)
			}
		}
	})
	next := map[holo.ArrayID]bool{}
	for i := range left {
		a := &left[i]
		next[a.ID] = true
		if !seen[a.ID] {
			continue
		}
		if err := d.n.purge(ctx, a); err != nil {
			d.n.log.Info("deleted array is not dropped everywhere yet", "array", uint64(a.ID), "error", err)
		}
	}
	return next
}
