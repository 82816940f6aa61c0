package shard

import (
	"bytes"
	"testing"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// What Copies says can be forgotten is: the bytes that a transfer was decoded from
// are another message's as soon as Step returns.
func TestTransfersAreCopiedFromTheirFrames(t *testing.T) {
	primary, other := node(0), node(2)
	s := holo.MakeShardID(2, 7)
	page := whole(0, 7)
	image := wire.PageImage{Page: at(1, 0), Version: holo.Version{Epoch: 5, Seq: 1}, Kind: wire.PageData, Data: page.Data, Digest: digest.Of(page.Data)}
	transfer := wire.Transfer{Started: 5, Stream: 1, Commit: 1, Seq: 1, Last: true, Images: []wire.PageImage{image}}
	head := wire.ShardHead{Shard: s, Epoch: 5, From: primary.Incarnation, To: other.Incarnation}
	learns := wire.ShardConfig{Shard: s, Epoch: 5, Primary: primary.Node, Members: []wire.Member{primary}, Learner: other, LearnerGen: 2}
	follows := wire.ShardConfig{Shard: s, Epoch: 5, Primary: primary.Node, Members: []wire.Member{primary, other}}
	for _, c := range []struct {
		config wire.ShardConfig
		before []wire.Message
		msg    wire.Message
	}{
		{learns, nil, &wire.Snap{ShardHead: head, Gen: 2, Transfer: transfer}},
		{follows, []wire.Message{&wire.Seal{ShardHead: head}}, &wire.Recon{ShardHead: head, Transfer: transfer}},
	} {
		m := New(Options{Self: other, Timing: DefaultTiming(), Limits: DefaultLimits()})
		m.Configure(0, []wire.ShardConfig{c.config})
		for _, b := range c.before {
			m.Step(0, primary.Node, b)
		}
		frame := wire.Encode(c.msg)
		msg, err := wire.Decode(frame)
		if err != nil || !Copies(msg) {
			t.Fatalf("%T: frame is kept, error %v", c.msg, err)
		}
		m.Step(0, primary.Node, msg)
		clear(frame)
		if got := m.replica(s).table.get(image.Page); got.page == nil || !bytes.Equal(got.data, page.Data) || got.version != image.Version {
			t.Errorf("%T: the page is not what was sent any more", c.msg)
		}
	}
	if Copies(&wire.PageGive{}) || Copies(&wire.Repl{}) {
		t.Error("a message is believed to be copied of which nobody looked")
	}
}

// A whole page that is its own is kept as it is by the primary. All else is copied: what
// was only lent, what is no page, and what a member hears of.
func TestPagesAreCopiedUnlessTheyAreTheirOwn(t *testing.T) {
	g := newGroup(t, 2, 2, 2, DefaultLimits())
	submit := func(how func(holo.Time, uint64, holo.ShardID, wire.Mutation), c wire.Change) []byte {
		t.Helper()
		g.last++
		mu := writeTo(1, c)
		mu.Op = holo.OpID{Session: 9, Num: g.last}
		SignMutation(&mu)
		how(g.now, g.last, g.config.Shard, mu)
		g.drain(0)
		g.settle()
		if a := g.answers[g.last]; a.Err != nil {
			t.Fatal(a.Err)
		}
		return c.Data
	}
	primary := g.machines[0]
	own := submit(primary.SubmitOwn, whole(0, 7))
	for i, m := range g.machines {
		kept := m.replica(g.config.Shard).latest(at(1, 0)).data
		if !bytes.Equal(kept, own) || (&kept[0] == &own[0]) != (i == 0) {
			t.Errorf("node %d has other bytes, or has copied them, or has not", i)
		}
	}
	clear(submit(primary.Submit, whole(1, 8)))
	clear(submit(primary.SubmitOwn, fill(2, 9)))
	clear(submit(primary.SubmitOwn, delta(3, 0, 10)))
	for i, want := range []byte{7, 8, 9, 10} {
		if got := g.bytesAt(at(1, holo.PageIndex(i)), 0, 1)[0]; got != want {
			t.Errorf("page %d begins with %d, want %d", i, got, want)
		}
	}
}
