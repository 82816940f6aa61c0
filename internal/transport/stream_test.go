package transport

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

func TestSessionSaysTheSameAtBothEnds(t *testing.T) {
	proof := []byte("proof of membership")
	a, b := newSide(t), newSide(t, func(s *side) { s.proof = proof })
	near, far := connect(t, a, b, Data)
	switch {
	case near.Peer() != b.id || far.Peer() != a.id:
		t.Errorf("peers %s and %s, want %s and %s", near.Peer(), far.Peer(), b.id, a.id)
	case near.Hash() != far.Hash() || near.Hash() == [32]byte{}:
		t.Error("handshake hashes differ")
	case near.Class() != Data || far.Class() != Data:
		t.Errorf("classes %s and %s", near.Class(), far.Class())
	case near.Kind() != handshake.KindNode || far.Kind() != handshake.KindNode:
		t.Errorf("kinds %s and %s", near.Kind(), far.Kind())
	case !bytes.Equal(near.Proof(), proof):
		t.Errorf("proof %q", near.Proof())
	case !near.Initiator() || far.Initiator():
		t.Error("both or neither began")
	case near.Protocol() != far.Protocol() || !bytes.Contains([]byte(near.Protocol()), []byte("hfs")):
		t.Errorf("protocols %s and %s", near.Protocol(), far.Protocol())
	}
	again, _ := connect(t, a, b, Data)
	if again.Hash() == near.Hash() {
		t.Error("two sessions with one hash")
	}
}

func TestStreamsEcho(t *testing.T) {
	near, far := connect(t, newSide(t), newSide(t), Control)
	go echo(far)
	for _, n := range []int{0, 1, handshake.MaxPlaintext - 1, handshake.MaxPlaintext, handshake.MaxPlaintext + 1, holo.PageSize, batch + 1} {
		roundTrip(t, near, pattern(n))
	}
}

func TestSixtyFourMiBArriveWhole(t *testing.T) {
	near, far := connect(t, newSide(t), newSide(t), Data)
	go echo(far)
	roundTrip(t, near, pattern(64<<20))
}

func TestEndWithoutItsRecordIsTruncation(t *testing.T) {
	near, far := connect(t, newSide(t), newSide(t), Data)
	t.Run("QUIC's end", func(t *testing.T) {
		a, b := pair(t, near, far)
		must(a.Write([]byte("half of it")))(t)
		a.quic.Close()
		if got, err := io.ReadAll(b); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("read %q and error %v", got, err)
		}
	})
	t.Run("inside of a record", func(t *testing.T) {
		a, b := pair(t, near, far)
		record := a.out.sealer.Seal(nil, []byte("a whole record"), true)
		a.out.err = errEnded
		must(a.quic.Write(record[:len(record)-1]))(t)
		a.quic.Close()
		if got, err := io.ReadAll(b); !errors.Is(err, io.ErrUnexpectedEOF) || len(got) > 0 {
			t.Fatalf("read %q and error %v", got, err)
		}
	})
	t.Run("reset", func(t *testing.T) {
		a, b := pair(t, near, far)
		a.Reset()
		if _, err := io.ReadAll(b); holo.KindOf(err) != holo.Unavailable {
			t.Fatalf("error %v", err)
		}
	})
	t.Run("the real end", func(t *testing.T) {
		a, b := pair(t, near, far)
		must(a.Write([]byte("all of it")))(t)
		a.Close()
		if got := must(io.ReadAll(b))(t); string(got) != "all of it" {
			t.Fatalf("read %q", got)
		}
	})
}

func TestRecordThatDoesNotOpenEndsTheSession(t *testing.T) {
	changes := map[string]func(record []byte, other *Stream) []byte{
		"flipped bit": func(r []byte, _ *Stream) []byte { r[len(r)-20] ^= 1; return r },
		"flipped end": func(r []byte, _ *Stream) []byte { r[3] ^= 1; return r },
		"of another stream": func(_ []byte, other *Stream) []byte {
			return other.out.sealer.Seal(nil, []byte("meant for elsewhere"), false)
		},
		"garbage": func([]byte, *Stream) []byte { return []byte("GET / HTTP/1.1\r\n\r\n") },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			reader := newSide(t)
			near, far := connect(t, newSide(t), reader, Data)
			a, b := pair(t, near, far)
			other, _ := pair(t, near, far)
			record := a.out.sealer.Seal(nil, bytes.Repeat([]byte("x"), 100), false)
			must(a.quic.Write(change(record, other)))(t)
			n, err := b.Read(make([]byte, 200))
			if n != 0 || holo.ReasonOf(err) != ReasonBadRecord {
				t.Fatalf("read %d bytes, error %v", n, err)
			}
			<-far.Done()
			<-near.Done()
			if reader.refused.of(ReasonBadRecord) != 1 {
				t.Errorf("refusals %v", reader.refused.all())
			}
		})
	}
}

func TestReplayedRecordDoesNotOpen(t *testing.T) {
	near, far := connect(t, newSide(t), newSide(t), Data)
	a, b := pair(t, near, far)
	record := a.out.sealer.Seal(nil, []byte("pay 100"), false)
	must(a.quic.Write(append(bytes.Clone(record), record...)))(t)
	got, err := io.ReadAll(b)
	if string(got) != "pay 100" || holo.ReasonOf(err) != ReasonBadRecord {
		t.Fatalf("read %q, error %v", got, err)
	}
}

func TestReadGoesOnAfterItsDeadline(t *testing.T) {
	near, far := connect(t, newSide(t), newSide(t), Control)
	a, b := pair(t, near, far)
	record := a.out.sealer.Seal(nil, []byte("in two parts"), false)
	must(a.quic.Write(record[:10]))(t)
	b.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := b.Read(make([]byte, 100)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("error %v", err)
	}
	must(a.quic.Write(record[10:]))(t)
	b.SetReadDeadline(time.Now().Add(limit))
	buffer := make([]byte, 100)
	n := must(b.Read(buffer))(t)
	if string(buffer[:n]) != "in two parts" {
		t.Fatalf("read %q", buffer[:n])
	}
}

func TestWriteIsOverAfterItsDeadline(t *testing.T) {
	near, far := connect(t, newSide(t), newSide(t), Data)
	a, b := pair(t, near, far)
	a.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := a.Write(pattern(8 << 20)); !errors.Is(err, os.ErrDeadlineExceeded) { // nobody reads
		t.Fatalf("error %v", err)
	}
	a.SetWriteDeadline(time.Time{})
	if _, err := a.Write([]byte("more")); err == nil {
		t.Fatal("wrote on after a record may have been cut")
	}
	if _, err := io.Copy(io.Discard, b); err == nil {
		t.Fatal("the reader saw a proper end")
	}
}

func TestCloseBreaksOffAWriteThatWaits(t *testing.T) {
	near, far := connect(t, newSide(t), newSide(t), Data)
	a, _ := pair(t, near, far)
	ended := make(chan error, 1)
	go func() {
		_, err := a.Write(pattern(32 << 20)) // nobody reads
		ended <- err
	}()
	for a.out.TryLock() { // until the Write is under way
		a.out.Unlock()
	}
	a.Close()
	if err := <-ended; err == nil {
		t.Fatal("write came to a good end")
	}
}

func TestMessagesPassWhole(t *testing.T) {
	near, far := connect(t, newSide(t), newSide(t), Control)
	a, b := pair(t, near, far)
	for i := range uint64(20) {
		if err := a.WriteMessage(&wire.Heartbeat{LastGrant: i}); err != nil {
			t.Fatal(err)
		}
	}
	a.CloseWrite()
	for i := range uint64(20) {
		m := must(b.ReadMessage())(t)
		if beat, ok := m.(*wire.Heartbeat); !ok || beat.LastGrant != i {
			t.Fatalf("message %d is %+v", i, m)
		}
	}
	if _, err := b.ReadMessage(); err != io.EOF {
		t.Fatalf("after the last message: %v", err)
	}
}

func TestBadMessageFramesAreRefused(t *testing.T) {
	near, far := connect(t, newSide(t), newSide(t), Control)
	cases := []struct {
		name  string
		bytes []byte
		want  func(error) bool
	}{
		{"too long", []byte{0xff, 0xff, 0xff, 0xff}, func(err error) bool { return holo.KindOf(err) == holo.Invalid }},
		{"cut in the head", []byte{9, 0}, func(err error) bool { return err == io.ErrUnexpectedEOF }},
		{"cut in the body", []byte{9, 0, 0, 0, 1, 2}, func(err error) bool { return err == io.ErrUnexpectedEOF }},
		{"no body", []byte{9, 0, 0, 0}, func(err error) bool { return err == io.ErrUnexpectedEOF }},
		{"empty", []byte{0, 0, 0, 0}, func(err error) bool { return holo.KindOf(err) == holo.Invalid }},
		{"unknown type", []byte{2, 0, 0, 0, 0xff, 0xff}, func(err error) bool { return holo.KindOf(err) == holo.Invalid }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a, b := pair(t, near, far)
			must(a.Write(c.bytes))(t)
			a.CloseWrite()
			if m, err := b.ReadMessage(); m != nil || !c.want(err) {
				t.Fatalf("message %v, error %v", m, err)
			}
		})
	}
}

func TestStreamsOfAPeerAreLimitedUntilClosed(t *testing.T) {
	near, far := connect(t, newSide(t), newSide(t), Control)
	ctx := within(t)
	var theirs []*Stream
	for range peerStreams - 1 { // the handshake's stream was given back
		a := must(near.Open(ctx))(t)
		must(a.Write([]byte("x")))(t)
		a.Close()
		theirs = append(theirs, must(far.Accept(ctx))(t))
	}
	must(near.Open(ctx))(t)
	if q, err := near.conn.OpenStream(); err == nil {
		t.Fatalf("stream %d beyond the limit", q.StreamID())
	}
	theirs[0].Close()
	must(near.Open(ctx))(t)
}
