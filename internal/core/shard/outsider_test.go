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
