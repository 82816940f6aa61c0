package node

import (
	"context"
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

// promoteOnce brings the configuration a step nearer to what is wanted. New
// voters are made nonvoters first, so that the cluster passes through two voters
// as briefly as it can; who is replaced goes after them.
func (d *leadership) promoteOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, catchUpTimeout)
	defer cancel()
	v := d.voting()
	gone, add, replaced := v.plan()
	if len(gone)+len(add)+len(replaced) == 0 {
		return d.cedeTo(ctx, v.successors())
	}
	if err := each(ctx, gone, d.n.consensus.Remove); err != nil {
		return err
	}
	if err := d.addVoters(ctx, add); err != nil {
		return err
	}
	return each(ctx, replaced, d.n.consensus.Demote) // a dead one may be back
}

func (d *leadership) addVoters(ctx context.Context, add []holo.NodeID) error {
	if err := each(ctx, add, d.n.consensus.AddNonvoter); err != nil {
		return err
	}
	return each(ctx, add, func(ctx context.Context, id holo.NodeID) error {
		if err := d.n.consensus.Promote(ctx, id); err != nil {
			return err
		}
		d.n.log.Info("voter made", "voter", id.String())
		return nil
	})
}

func each(ctx context.Context, ids []holo.NodeID, do func(context.Context, holo.NodeID) error) error {
	for _, id := range ids {
		if err := do(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// cedeTo has one of the voters lead, by chance, so that one that does not take
// it is not asked for ever.
func (d *leadership) cedeTo(ctx context.Context, voters []holo.NodeID) error {
	if len(voters) == 0 {
		return nil
	}
	return d.n.consensus.TransferTo(ctx, voters[newRand().IntN(len(voters))])
}

// voting is what the leader decides from about the voters.
func (d *leadership) voting() voting {
	var nodes []*wire.NodeRecord
	d.n.catalog.read(func(c *catalog.Catalog) {
		for _, m := range c.Members() {
			if r, ok := c.Node(m.Node); ok {
				nodes = append(nodes, &r)
			}
		}
	})
	v := newVoting(d.n.self, d.n.consensus.Voters(), nodes)
	v.member = d.n.members.has
	return v
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
			d.n.expire(ctx)
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
