package shard

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// alone makes a machine that is all that is left of some shards of two copies,
// each with a learner that has nothing yet.
func alone(shards int, limits Limits) *Machine {
	m := New(Options{Self: node(0), Timing: DefaultTiming(), Limits: limits})
	var configs []wire.ShardConfig
	for i := range shards {
		configs = append(configs, wire.ShardConfig{
			Shard: holo.MakeShardID(2, uint64(i)), Epoch: 2, Primary: node(0).Node,
			Members: []wire.Member{node(0)}, Learner: node(1), LearnerGen: 1,
		})
	}
	m.Configure(holo.Time(holo.Second), configs)
	return m
}

// taught lists the shards of which copies were begun since the last call.
func taught(m *Machine, now holo.Time) map[holo.ShardID]bool {
	m.Tick(now)
	list := map[holo.ShardID]bool{}
	for _, e := range m.Ready(now).Send {
		if s, ok := e.Msg.(*wire.Snap); ok {
			list[s.Shard] = true
		}
	}
	return list
}

// A few copies are made at a time, and those first for which reads wait.
func TestCopiesThatReadsWaitForAreMadeFirst(t *testing.T) {
	limits := DefaultLimits()
	limits.Copies = 3
	m := alone(20, limits)
	last := []holo.ShardID{holo.MakeShardID(2, 18), holo.MakeShardID(2, 19)}
	for _, s := range last {
		m.replicas[s].lead.held = m.replicas[s].commit + 1 // its last write may or may not have been acknowledged
	}
	list := taught(m, holo.Time(holo.Second))
	if len(list) != limits.Copies || !list[last[0]] || !list[last[1]] {
		t.Errorf("%v are copied first, want %d with %v", list, limits.Copies, last)
	}
}

// When one is complete the next begins, and one that makes no progress is not
// waited for.
func TestNextCopyBeginsWhenOneIsCompleteOrDoesNotGoOn(t *testing.T) {
	limits := DefaultLimits()
	limits.Copies = 2
	m, now := alone(5, limits), holo.Time(holo.Second)
	first := taught(m, now)
	for s := range first {
		f := m.replicas[s].lead.learner
		head := m.head(m.replicas[s], node(0))
		head.From, head.To = node(1).Incarnation, node(0).Incarnation
		m.Step(now, node(1).Node, &wire.SnapAck{ShardHead: head, Gen: 1, Stream: f.out.stream, Done: true})
		break
	}
	if list := taught(m, now.Add(holo.Millisecond)); len(first) != 2 || len(list) != 1 {
		t.Fatalf("%d copies are begun at first, and %d when one is complete", len(first), len(list))
	}
	fresh := 0
	for s := range taught(m, now.Add(2*DefaultTiming().SlowMember)) {
		if m.replicas[s].lead.learner.heard == now.Add(2*DefaultTiming().SlowMember) {
			fresh++
		}
	}
	if fresh != 2 {
		t.Errorf("%d copies are begun though two do not go on, want 2", fresh)
	}
}

// Who becomes a member tells how many pages it holds, also those that are shown only
// now because nobody else had them; who was one already tells nothing.
func TestPagesThatWaitedForACopyAreCountedWithIt(t *testing.T) {
	m, s := New(Options{Self: node(1), Timing: DefaultTiming(), Limits: DefaultLimits()}), holo.MakeShardID(2, 4)
	config := wire.ShardConfig{Shard: s, Epoch: 2, Primary: node(0).Node, Members: []wire.Member{node(0)}, Learner: node(1), LearnerGen: 1}
	m.Configure(0, []wire.ShardConfig{config})
	r := m.replica(s)
	r.table.set(at(7, 0), stored{page: zeroPage})
	r.tail.push(&item{effects: []effect{{at(7, 0), stored{page: zeroPage}}, {at(7, 1), stored{page: zeroPage}}, {at(7, 2), stored{page: zeroPage}}}})
	promoted := func(epoch holo.Epoch) (pages []int) {
		config.Epoch, config.Learner, config.Members = epoch, wire.Member{}, []wire.Member{node(0), node(1)}
		m.Configure(0, []wire.ShardConfig{config})
		for _, e := range m.Ready(0).Events {
			if e.Kind == Promoted {
				pages = append(pages, e.Pages)
			}
		}
		return pages
	}
	if got := promoted(3); len(got) != 1 || got[0] != 3 {
		t.Errorf("promoted with %v pages, want 3", got)
	}
	if got := promoted(4); len(got) != 0 {
		t.Errorf("promoted again with %v pages", got)
	}
}
