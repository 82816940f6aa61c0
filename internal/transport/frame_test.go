package transport

import (
	"bytes"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// chunk is a message of a copy: eight pages of one byte.
func chunk(b byte) *wire.Snap {
	m := &wire.Snap{}
	for i := range holo.PageIndex(8) {
		m.Images = append(m.Images, wire.PageImage{Page: holo.PageID{Index: i}, Kind: wire.PageData, Data: bytes.Repeat([]byte{b}, holo.PageSize)})
	}
	return m
}

// sent writes a message at one end of a stream and reads it at the other.
func sent(t *testing.T, a, b *Stream, m wire.Message) (*wire.Snap, Frame) {
	wrote := make(chan error, 1)
	go func() { wrote <- a.WriteMessage(m) }()
	got, frame, err := b.ReadFrame()
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	return must(got.(*wire.Snap), err)(t), frame
}

// What was read stays as it is until its frame is freed, whatever is read meanwhile.
func TestFrameInUseIsNotReadInto(t *testing.T) {
	near, far := connect(t, newSide(t), newSide(t), Data)
	a, b := pair(t, near, far)
	var frames []Frame
	var kept []*wire.Snap
	for i := range byte(4) {
		m, frame := sent(t, a, b, chunk(i))
		kept, frames = append(kept, m), append(frames, frame)
	}
	frames[1].Free()
	sent(t, a, b, chunk(9))
	for i, m := range kept {
		for _, p := range m.Images {
			if want := bytes.Repeat([]byte{byte(i)}, holo.PageSize); i != 1 && !bytes.Equal(p.Data, want) {
				t.Fatalf("page %d of message %d was overwritten by what came later", p.Page.Index, i)
			}
		}
	}
}

// Messages of a copy are read into the frames of those before: memory that is new
// for each costs the receiver more than what it does with it.
func TestFreedFramesAreReadIntoAgain(t *testing.T) {
	near, far := connect(t, newSide(t), newSide(t), Data)
	a, b := pair(t, near, far)
	const messages = 32
	m, again := chunk(1), 0
	seen := map[*byte]bool{} // what is in it is not collected, and so nowhere made anew
	for range messages {
		_, frame := sent(t, a, b, m)
		if seen[&frame.b[0]] {
			again++
		}
		seen[&frame.b[0]] = true
		frame.Free()
	}
	if again < messages/4 {
		t.Errorf("%d of %d messages were read into frames of those before", again, messages)
	}
}

// A record is opened into what the reader gives if that has room for it, else where
// it lies; the reader gets the same, and no byte behind what it was told.
func TestRecordsOpenIntoBuffersOfAnyLength(t *testing.T) {
	near, far := connect(t, newSide(t), newSide(t), Data)
	a, b := pair(t, near, far)
	data := pattern(3*batch + 5)
	go func() { _, _ = a.Write(data); _ = a.CloseWrite() }()
	var got []byte
	for _, n := range []int{1, batch / 4, batch/4 - 1, 2, batch, batch/4 + 1, 3, 2 * batch, batch} {
		p := bytes.Repeat([]byte{0xEE}, n+1)
		k, err := b.Read(p[:n:n])
		if err != nil {
			t.Fatal(err)
		}
		if p[n] != 0xEE {
			t.Fatalf("a read of %d bytes wrote behind them", n)
		}
		got = append(got, p[:k]...)
	}
	for rest := make([]byte, batch); ; {
		k, err := b.Read(rest)
		got = append(got, rest[:k]...)
		if err != nil {
			break
		}
	}
	if !bytes.Equal(got, data) {
		t.Fatalf("%d bytes read are not the %d written", len(got), len(data))
	}
}
