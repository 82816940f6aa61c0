package shard

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// TestOutsidersOfAShardAreIgnored: a member of the cluster that holds nothing of
// a shard, with the right incarnation numbers, tries to seal its primary with an
// epoch that no successor reaches, and to make a copy equal to its own.
func TestOutsidersOfAShardAreIgnored(t *testing.T) {
	primary, backup := wire.Member{Node: holo.NodeID{1}, Incarnation: 11}, wire.Member{Node: holo.NodeID{2}, Incarnation: 12}
	outsider := wire.Member{Node: holo.NodeID{9}, Incarnation: 19}
	s := holo.MakeShardID(2, 7)
	config := wire.ShardConfig{Shard: s, Epoch: 1, Primary: primary.Node, Members: []wire.Member{primary, backup}}
	now := holo.Time(0)
	later := now.Add(holo.Second)
	for _, self := range []wire.Member{primary, backup} {
		m := New(Options{Self: self, Timing: DefaultTiming(), Limits: DefaultLimits()})
		m.Grant(now, later, []wire.ShardConfig{config})
		m.Ready(now)
		head := wire.ShardHead{Shard: s, Epoch: 1 << 60, From: outsider.Incarnation, To: self.Incarnation}
		for _, msg := range []wire.Message{
			&wire.Seal{ShardHead: head}, &wire.Recon{ShardHead: head}, &wire.Snap{ShardHead: head, Gen: 1 << 60}, &wire.Repl{ShardHead: head},
			&wire.Ack{ShardHead: head, Seq: 1 << 60}, &wire.SealAck{ShardHead: head}, &wire.ReconAck{ShardHead: head, Done: true}, &wire.SnapAck{ShardHead: head, Done: true},
		} {
			m.Step(now, outsider.Node, msg)
			if sent := m.Ready(now).Send; len(sent) > 0 && sent[0].To == outsider.Node {
				t.Errorf("%T of an outsider is answered by %T", msg, sent[0].Msg)
			}
		}
		if r := m.replica(s); r.promised > config.Epoch || r.sealed || r.incoming != nil || r.learned.gen != 0 {
			t.Errorf("an outsider changed the copy of %v: promised %d, sealed %v", self.Node, r.promised, r.sealed)
		}
		other := holo.MakeShardID(1, 3) // no configuration of it is known here yet
		head.Shard = other
		m.Step(now, outsider.Node, &wire.Seal{ShardHead: head})
		if r := m.replica(other); r.promised != 0 || r.sealed {
			t.Error("an outsider sealed a shard that is not there yet")
		}
	}
}

// TestNobodyIsBelievedAboutAnEpoch: a node that the configuration names, as a
// backup, as the learner or as suspended, but that is not the primary, says what
// only a primary says, of the present epoch and of one that Raft never makes. And
// the primary itself speaks of such an epoch.
func TestNobodyIsBelievedAboutAnEpoch(t *testing.T) {
	who := func(n byte) wire.Member {
		return wire.Member{Node: holo.NodeID{n}, Incarnation: holo.Incarnation(10 + n)}
	}
	primary, backup, learner, suspended := who(1), who(2), who(3), who(4)
	s := holo.MakeShardID(2, 7)
	config := wire.ShardConfig{
		Shard: s, Epoch: 5, Primary: primary.Node, Members: []wire.Member{primary, backup}, Learner: learner, LearnerGen: 2, Suspended: []wire.Member{suspended},
	}
	for _, self := range []wire.Member{primary, backup, learner, suspended} {
		for _, liar := range []wire.Member{primary, backup, learner, suspended} {
			for _, e := range []holo.Epoch{4, 5, 6, 1 << 60} {
				if liar == self || liar == primary && e == 5 {
					continue
				}
				m := New(Options{Self: self, Timing: DefaultTiming(), Limits: DefaultLimits()})
				m.Configure(0, []wire.ShardConfig{config})
				before := m.Status(s)
				head := wire.ShardHead{Shard: s, Epoch: e, From: liar.Incarnation, To: self.Incarnation}
				transfer := wire.Transfer{Started: e, Stream: 1 << 40, Commit: 1 << 50, Seq: 1 << 50, Last: true}
				for _, msg := range []wire.Message{
					&wire.Seal{ShardHead: head}, &wire.Recon{ShardHead: head, Transfer: transfer}, &wire.Snap{ShardHead: head, Gen: 2, Transfer: transfer},
					&wire.Repl{ShardHead: head, Commit: 1 << 50, Entries: []wire.Entry{{Epoch: e, Seq: 1}}},
				} {
					m.Ready(0)
					m.Step(0, liar.Node, msg)
					if sent := m.Ready(0).Send; len(sent) > 0 {
						t.Errorf("node %d answers a %T of node %d and epoch %d with a %T", self.Node[0], msg, liar.Node[0], e, sent[0].Msg)
					}
				}
				if after := m.Status(s); after.Promised != before.Promised || after.State != before.State || after.Seq != 0 || after.Commit != 0 {
					t.Errorf("node %d after what node %d says of epoch %d: %+v", self.Node[0], liar.Node[0], e, after)
				}
			}
		}
	}
}

// TestLearnerTakesOnlyTheGenerationThatIsDecided: numbers of a snapshot that
// nobody decided would stand in the way of every later one.
func TestLearnerTakesOnlyTheGenerationThatIsDecided(t *testing.T) {
	primary, learner := wire.Member{Node: holo.NodeID{1}, Incarnation: 11}, wire.Member{Node: holo.NodeID{3}, Incarnation: 13}
	s := holo.MakeShardID(2, 7)
	m := New(Options{Self: learner, Timing: DefaultTiming(), Limits: DefaultLimits()})
	m.Configure(0, []wire.ShardConfig{{Shard: s, Epoch: 5, Primary: primary.Node, Members: []wire.Member{primary}, Learner: learner, LearnerGen: 2}})
	head := wire.ShardHead{Shard: s, Epoch: 5, From: primary.Incarnation, To: learner.Incarnation}
	for _, msg := range []*wire.Snap{
		{ShardHead: head, Gen: 1, Transfer: wire.Transfer{Started: 5, Last: true}},
		{ShardHead: head, Gen: 1 << 60, Transfer: wire.Transfer{Started: 5, Last: true}},
		{ShardHead: head, Gen: 2, Transfer: wire.Transfer{Started: 1 << 60, Last: true}},
	} {
		m.Step(0, primary.Node, msg)
		if m.replica(s).learned != (streamKey{}) || m.replica(s).incoming != nil {
			t.Errorf("a snapshot of generation %d, begun in epoch %d, is taken", msg.Gen, msg.Started)
		}
	}
	m.Step(0, primary.Node, &wire.Snap{ShardHead: head, Gen: 2, Transfer: wire.Transfer{Started: 5, Last: true}})
	if m.replica(s).learned.gen != 2 {
		t.Error("the snapshot that was decided is not taken")
	}
}
