package holocompute

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
)

const (
	// balanceLook is how often an evening out is looked at.
	balanceLook = 250 * time.Millisecond
	// balanceStuck is after how long without any change nobody waits any more: a
	// shard that one node does not give away is tried again within it.
	balanceStuck = 2 * time.Minute
)

// Balance is what the nodes hold, and what is left to move until no move makes
// that more even.
type Balance struct {
	Shares []NodeShare `json:"shares"` // of the nodes that live and do not drain
	Copies int         `json:"copies"` // of shards, still to be moved
	Leads  int         `json:"leads"`  // still to be handed over, as the copies lie now
	Waits  string      `json:"waits"`  // what comes before; "": nothing
}

// NodeShare is a node's part of all shards.
type NodeShare struct {
	Node        string `json:"node"` // public key, hexadecimal
	Name        string `json:"name"`
	OffersBytes uint64 `json:"offers_bytes"` // in memory and on disk: its share goes by it
	Copies      int    `json:"copies"`       // of shards that it holds
	Leads       int    `json:"leads"`        // of those it is the primary of
}

// Left is how many moves are left. No move makes more even what is Even.
func (b Balance) Left() int { return b.Copies + b.Leads }

// Even reports whether nothing is left to move.
func (b Balance) Even() bool { return b.Left() == 0 }

// Balance tells how evenly the nodes hold what there is.
func (c *Cluster) Balance(ctx context.Context) (Balance, error) {
	m, err := read(ctx, c.client, "balance", c.balances.Get, &holov1.GetBalanceRequest{})
	if err != nil {
		return Balance{}, err
	}
	b := Balance{Shares: []NodeShare{}, Copies: int(m.GetCopies()), Leads: int(m.GetLeads()), Waits: m.GetWaits()}
	for _, s := range m.GetShares() {
		b.Shares = append(b.Shares, NodeShare{
			Node: hex.EncodeToString(s.GetNode()), Name: s.GetName(), OffersBytes: s.GetOffersBytes(), Copies: int(s.GetCopies()), Leads: int(s.GetLeads()),
		})
	}
	return b, nil
}

// Rebalance has the cluster even out now what its nodes hold, which it does by
// itself only for a node that has been there for 10 s, and where one has a quarter
// more than another. It is as gentle as that, and returns when it is agreed
// (AwaitBalance). It needs the right DRAIN, or the owner's key in the
// configuration folder.
func (c *Cluster) Rebalance(ctx context.Context) error {
	return c.entitled(ctx, func(as *client) error {
		_, err := change(ctx, as, "rebalance", holov1connect.BalanceServiceStartProcedure, c.balances.Start, &holov1.StartBalanceRequest{})
		return err
	})
}

// AwaitBalance waits until no move makes more even what the nodes hold. It calls
// see, if there is one, with how that is, at once and then now and again. Where
// nothing changes any more it gives up, and says what is left.
func (c *Cluster) AwaitBalance(ctx context.Context, see func(Balance)) (Balance, error) {
	last, changed := -1, time.Now()
	for {
		b, err := c.Balance(ctx)
		if err != nil {
			return b, err
		}
		if see != nil {
			see(b)
		}
		if b.Left() != last {
			last, changed = b.Left(), time.Now()
		}
		switch {
		case b.Even():
			return b, nil
		case time.Since(changed) > balanceStuck:
			return b, holo.Errorf(Unavailable, "await balance: nothing was moved for %s, %d moves are left%s", balanceStuck, b.Left(), because(b))
		}
		if stop := sleep(ctx, balanceLook); stop != nil {
			return b, holo.Errorf(Cancelled, "await balance: %d moves are left: %w", b.Left(), stop)
		}
	}
}

func because(b Balance) string {
	if b.Waits != "" {
		return ": " + b.Waits
	}
	return ": holo status says whether a node has no room"
}
