package transport

import (
	"io"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/wire"
)

// BenchmarkCopyMessages carries the messages of a copy, 512 KiB of pages each, which
// their receiver copies and frees, against as many bytes of a sealed stream that are
// read into one buffer. One operation is one message.
func BenchmarkCopyMessages(b *testing.B) {
	const size, batch = 512 << 10, 64
	bare, full := sealedStream(b), sealedStream(b)
	bytes, into := make([]byte, size), make([]byte, size)
	base := oneWay(b, func() error {
		_, err := bare.near.Write(bytes)
		return err
	}, func() error {
		_, err := io.ReadFull(bare.far, into)
		return err
	})
	message, pages := chunk(1), make([][]byte, 8)
	ours := oneWay(b, func() error { return full.near.(*Stream).WriteMessage(message) }, func() error {
		m, frame, err := full.far.(*Stream).ReadFrame()
		if err != nil {
			return err
		}
		for i, p := range m.(*wire.Snap).Images {
			pages[i] = slices.Clone(p.Data)
		}
		frame.Free()
		return nil
	})
	bench.Compare(b, batch, size, base, ours)
}

// oneWay sends n times at one end while the other receives.
func oneWay(b *testing.B, send, receive func() error) func(n int) {
	return func(n int) {
		sent := make(chan error, 1)
		go func() { // ends with what it sends
			var err error
			for range n {
				if err == nil {
					err = send()
				}
			}
			sent <- err
		}()
		for range n {
			if err := receive(); err != nil {
				b.Fatal(err)
			}
		}
		if err := <-sent; err != nil {
			b.Fatal(err)
		}
	}
}
