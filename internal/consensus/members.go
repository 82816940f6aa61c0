package consensus

import (
	"context"
	"time"

	"github.com/hashicorp/raft"

	"github.com/holocompute/holocompute/internal/holo"
)

// Server is a node in the Raft configuration.
type Server struct {
	Node  holo.NodeID
	Voter bool
}

// serverID and address are both the node's ID: a node that moves to another
// address stays what it is, and the configuration never changes for it.
func serverID(id holo.NodeID) raft.ServerID     { return raft.ServerID(id.Hex()) }
func address(id holo.NodeID) raft.ServerAddress { return raft.ServerAddress(id.Hex()) }

// Servers lists the latest configuration this node knows, committed or not.
func (g *Group) Servers() []Server {
	var list []Server
	for _, s := range g.raft.GetConfiguration().Configuration().Servers {
		if id, err := holo.ParseNodeID(string(s.ID)); err == nil {
			list = append(list, Server{Node: id, Voter: s.Suffrage == raft.Voter})
		}
	}
	return list
}

// Voters lists the nodes whose majority decides.
func (g *Group) Voters() []holo.NodeID {
	var ids []holo.NodeID
	for _, s := range g.Servers() {
		if s.Voter {
			ids = append(ids, s.Node)
		}
	}
	return ids
}

// Expect lets a node that the configuration here does not name lead this one:
// the leader that is about to add this node to its configuration, or that was
// made a voter while this node was away. Only the last one named counts. The
// caller MUST know it from more than that node's own word.
func (g *Group) Expect(leader holo.NodeID) { g.link.expect(leader) }

// AddNonvoter has a node receive the log without a voice. Its group must be
// open and Expect this leader.
func (g *Group) AddNonvoter(ctx context.Context, id holo.NodeID) error {
	return g.await(ctx, "add nonvoter "+id.String(), func(timeout time.Duration) error {
		return g.raft.AddNonvoter(serverID(id), address(id), 0, timeout).Error()
	})
}

// Promote makes a nonvoter a voter once it has caught up, and waits for that
// as long as ctx lasts. Added while it lacks the log, it would count for the
// majority and stop all commits until it has it.
func (g *Group) Promote(ctx context.Context, id holo.NodeID) error {
	if err := g.catchUp(ctx, id); err != nil {
		return err
	}
	return g.await(ctx, "add voter "+id.String(), func(timeout time.Duration) error {
		return g.raft.AddVoter(serverID(id), address(id), 0, timeout).Error()
	})
}

// catchUp waits until the node acknowledged, within an election timeout, all
// that was in the log when that time began: as a voter it then delays a commit
// by no more than that (Raft thesis 4.2.1).
func (g *Group) catchUp(ctx context.Context, id holo.NodeID) error {
	for {
		begin, goal := time.Now(), g.raft.LastIndex()
		for {
			term := g.Term()
			has, changed := g.link.acknowledged(id, term)
			if !g.IsLeader() {
				return holo.Refuse(holo.Unavailable, ReasonNotLeader, "add voter %s: this node does not lead", id)
			}
			if has >= goal {
				break
			}
			select {
			case <-changed:
			case <-time.After(electionTimeout): // look whether this node still leads
			case <-ctx.Done():
				return holo.Errorf(holo.Unavailable, "add voter %s: it has %d of %d entries: %w", id, has, goal, ctx.Err())
			}
		}
		if time.Since(begin) <= electionTimeout {
			return nil
		}
	}
}

// Remove takes a node out of the configuration. Its own group stops then.
func (g *Group) Remove(ctx context.Context, id holo.NodeID) error {
	return g.await(ctx, "remove "+id.String(), func(timeout time.Duration) error {
		return g.raft.RemoveServer(serverID(id), 0, timeout).Error()
	})
}

// Demote takes a voter's voice. It goes on receiving the log, so that it knows all
// that is decided, and who leads, when it is back or may vote again.
func (g *Group) Demote(ctx context.Context, id holo.NodeID) error {
	return g.await(ctx, "demote "+id.String(), func(timeout time.Duration) error {
		return g.raft.DemoteVoter(serverID(id), 0, timeout).Error()
	})
}

// TransferLeadership has another voter lead, the one with the most of the log.
// It fails with kind Unavailable where there is no other.
func (g *Group) TransferLeadership(ctx context.Context) error {
	return g.await(ctx, "transfer leadership", func(time.Duration) error {
		if len(g.Voters()) < 2 {
			return raft.ErrNotVoter
		}
		return g.raft.LeadershipTransfer().Error()
	})
}

// TransferTo has a certain voter lead.
func (g *Group) TransferTo(ctx context.Context, id holo.NodeID) error {
	return g.await(ctx, "transfer leadership to "+id.String(), func(time.Duration) error {
		return g.raft.LeadershipTransferToServer(serverID(id), address(id)).Error()
	})
}
