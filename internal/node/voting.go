package node

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// voting is what decides who is to vote on the catalogue: a value, made by the
// leader each time that it looks.
type voting struct {
	self    holo.NodeID   // who leads
	voters  []holo.NodeID // of Raft's configuration
	staying []holo.NodeID // members that live and do not drain
	leaving []holo.NodeID // members that live and drain
	member  func(holo.NodeID) bool
}

// newVoting sorts the members that live.
func newVoting(self holo.NodeID, voters []holo.NodeID, nodes []*wire.NodeRecord) voting {
	v := voting{self: self, voters: voters}
	for _, r := range nodes {
		switch {
		case r.Alive && r.Draining:
			v.leaving = append(v.leaving, r.Node)
		case r.Alive:
			v.staying = append(v.staying, r.Node)
		}
	}
	return v
}

// plan says who goes because it is no member, who becomes a voter, and who goes
// after that. Who is dead or drains is replaced where three others can vote; where
// the leader alone stays, it is to vote alone. The leader never removes itself:
// if it drains, it first brings those in who can lead after it.
func (v voting) plan() (gone, add, replaced []holo.NodeID) {
	gone = v.among(v.voters, func(id holo.NodeID) bool { return !v.member(id) && id != v.self })
	stay := v.among(v.voters, v.stays)
	spare := v.among(v.staying, func(id holo.NodeID) bool { return !slices.Contains(v.voters, id) })
	leave := v.among(v.voters, v.leaves)
	switch {
	case len(v.staying) >= wantVoters:
		add = spare[:min(len(spare), max(v.wanted()-len(stay), 0))]
		replaced = v.tooMany(len(gone), len(add))
	case v.leaves(v.self) && len(stay) == 0:
		add = spare[:min(len(spare), 1)]
	case v.stays(v.self) && len(stay)+len(leave) == len(v.voters) && len(stay) == 1:
		replaced = leave // and none is dead: with one that is, the leader alone is no majority
	}
	return gone, add, replaced
}

// wanted is how many of the nodes that stay are to vote. A leader that drains
// keeps its own place until another one leads, and one that has only just
// started and is not registered yet keeps it too.
func (v voting) wanted() int {
	if v.stays(v.self) {
		return wantVoters
	}
	return wantVoters - 1
}

// tooMany lists voters that are dead or drain, as many as there are too many
// once some are gone and some are added.
func (v voting) tooMany(gone, added int) []holo.NodeID {
	worn := v.among(v.voters, func(id holo.NodeID) bool { return !v.stays(id) && v.member(id) && id != v.self })
	return worn[:min(len(worn), max(len(v.voters)-gone+added-wantVoters, 0))]
}

// successors are the voters that may lead in place of a leader that drains.
func (v voting) successors() []holo.NodeID {
	if !v.leaves(v.self) {
		return nil
	}
	return v.among(v.voters, v.stays)
}

// needs reports whether the catalogue would stop without a node that drains: the
// voters that live and stay are no majority, and it is one more.
func (v voting) needs(id holo.NodeID) bool {
	return slices.Contains(v.voters, id) && len(v.among(v.voters, v.stays)) <= len(v.voters)/2
}

func (v voting) stays(id holo.NodeID) bool  { return slices.Contains(v.staying, id) }
func (v voting) leaves(id holo.NodeID) bool { return slices.Contains(v.leaving, id) }

func (voting) among(ids []holo.NodeID, is func(holo.NodeID) bool) (out []holo.NodeID) {
	for _, id := range ids {
		if is(id) {
			out = append(out, id)
		}
	}
	return out
}
