package transport

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/protocol"
	"github.com/holocompute/holocompute/internal/wire"
)

// older is a side whose program is a version behind.
func older(s *side) { s.speaks = protocol.Range{Oldest: 1, Newest: 1} }

// TestWhatAVersionDoesNotHaveIsNotSaidInIt: with a program that is a version
// behind, messages of the newer one are neither sent nor, from somebody who
// sends them all the same, taken.
func TestWhatAVersionDoesNotHaveIsNotSaidInIt(t *testing.T) {
	server := newSide(t)
	for _, c := range []struct {
		client *side
		want   protocol.Version
	}{{newSide(t, older), 1}, {newSide(t), 2}} {
		near, far := connect(t, c.client, server, Control)
		if near.Version() != c.want || far.Version() != c.want {
			t.Fatalf("the session is in version %d and %d, want %d", near.Version(), far.Version(), c.want)
		}
		a, b := pair(t, near, far)
		for _, send := range []*Stream{a, b} {
			err := send.WriteMessage(&wire.NodeProgram{Program: "holo 9"})
			if (err == nil) != (c.want == 2) || err != nil && holo.ReasonOf(err) != protocol.ReasonSkew {
				t.Errorf("version %d: %v", c.want, err)
			}
		}
		if err := a.WriteMessage(&wire.Heartbeat{LastGrant: 9}); err != nil { // the stream is as before
			t.Fatal(err)
		}
		if c.want == 2 {
			must(b.ReadMessage())(t)
		}
		if beat, ok := must(b.ReadMessage())(t).(*wire.Heartbeat); !ok || beat.LastGrant != 9 {
			t.Errorf("version %d: %v came", c.want, beat)
		}
	}
}

// TestNewerMessageInAnOlderSessionIsRefused: who says it is not in this version.
func TestNewerMessageInAnOlderSessionIsRefused(t *testing.T) {
	near, far := connect(t, newSide(t, older), newSide(t), Control)
	a, b := pair(t, near, far)
	m := wire.Encode(&wire.NodeProgram{Program: "holo 9"})
	must(a.Write(append([]byte{byte(len(m)), 0, 0, 0}, m...)))(t)
	if _, err := b.ReadMessage(); holo.KindOf(err) != holo.Invalid || holo.ReasonOf(err) != protocol.ReasonSkew {
		t.Errorf("it is taken: %v", err)
	}
}

// TestQueueGoesOnPastWhatAPeerDoesNotSpeak: messages that an older program does
// not have are left out, and those behind them arrive.
func TestQueueGoesOnPastWhatAPeerDoesNotSpeak(t *testing.T) {
	b := newBook()
	a, z := newMember(t, b), newMember(t, b, older)
	a.Send(z.id, Control, &wire.Heartbeat{LastGrant: 1})
	a.Send(z.id, Control, &wire.NodeProgram{Program: "holo 9"})
	a.Send(z.id, Control, &wire.Heartbeat{LastGrant: 3})
	for _, want := range []uint64{1, 3} {
		select {
		case m := <-z.got:
			if beat, ok := m.(*wire.Heartbeat); !ok || beat.LastGrant != want {
				t.Errorf("%T %v came, want heartbeat %d", m, m, want)
			}
		case <-within(t).Done():
			t.Fatalf("heartbeat %d did not come", want)
		}
	}
	if got := a.Peers.Stats(); got.Dropped != 1 || got.Dials != 1 {
		t.Errorf("%+v", got)
	}
}
