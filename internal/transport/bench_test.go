package transport

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// BenchmarkPageFetch asks for pages over a stream of a session and waits for
// them, against the same over TCP without any encryption and over a stream of
// plain QUIC with the same settings and socket. One operation is one request:
// for one page, and for a run of 16.
func BenchmarkPageFetch(b *testing.B) {
	for _, c := range []struct {
		name  string
		pages int
		batch int
	}{{"1-page", 1, 100}, {"16-pages", 16, 20}} {
		size := c.pages * holo.PageSize
		ours := fetcher(b, sealedStream(b), size)
		b.Run(c.name+"/against-tcp", func(b *testing.B) {
			bench.Compare(b, c.batch, size, fetcher(b, tcpStream(b), size), ours)
		})
		b.Run(c.name+"/against-quic", func(b *testing.B) {
			bench.Compare(b, c.batch, size, fetcher(b, quicStream(b), size), ours)
		})
	}
}

// ends are the two ends of a stream: who asks and who answers.
type ends struct{ near, far io.ReadWriter }

// fetcher serves requests (a length) at the far end and makes them at the near
// one.
func fetcher(b *testing.B, e ends, size int) func(n int) {
	go func() { _ = serveBytes(e.far) }() // ends with its stream
	request := binary.LittleEndian.AppendUint64(nil, uint64(size))
	into := make([]byte, size)
	return func(n int) {
		for range n {
			if _, err := e.near.Write(request); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(e.near, into); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func serveBytes(s io.ReadWriter) error {
	page := make([]byte, 16*holo.PageSize)
	request := make([]byte, 8)
	for {
		if _, err := io.ReadFull(s, request); err != nil {
			return err
		}
		if _, err := s.Write(page[:binary.LittleEndian.Uint64(request)]); err != nil {
			return err
		}
	}
}

func need[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func sealedStream(b *testing.B) ends {
	near, far := benchSide(b), benchSide(b)
	ctx := b.Context()
	dialled := make(chan *Session, 1)
	go func() {
		s, err := near.Dial(ctx, far.Addr().String(), near.config.Local(), Data, holo.NodeID{})
		if err != nil {
			b.Error(err)
		}
		dialled <- s
	}()
	accepted := need(far.Accept(ctx))(b)
	client := need((<-dialled).Open(ctx))(b)
	return met(b, ends{client, nil}, func() io.ReadWriter { return need(accepted.Accept(ctx))(b) })
}

// met sends one byte, so that the far end hears of the stream.
func met(b *testing.B, e ends, accept func() io.ReadWriter) ends {
	need(e.near.Write([]byte{0}))(b)
	e.far = accept()
	need(io.ReadFull(e.far, make([]byte, 1)))(b)
	return e
}

func benchSide(b *testing.B) *Transport {
	signer, cluster := key.GenerateSigner(), holo.ClusterID{1}
	static := need(handshake.NewStatic(signer, cluster, "bench", time.Now().Unix()))(b)
	psk := handshake.NewPSK(benchKey)
	t := need(Listen(Config{
		Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler),
		Local: func() handshake.Local {
			return handshake.Local{
				Kind: handshake.KindNode, Accept: []handshake.Kind{handshake.KindNode}, Static: static, PSK: psk,
				FindPSK: func(_ handshake.Kind, id [8]byte) (handshake.PSK, bool) { return psk, id == psk.ID },
				Admit:   func(handshake.Kind, holo.NodeID, string, []byte) error { return nil },
			}
		},
	}))(b)
	b.Cleanup(func() { _ = t.Close() })
	return t
}

var benchKey = key.Random()

func tcpStream(b *testing.B) ends {
	l := need(net.Listen("tcp", "127.0.0.1:0"))(b)
	defer l.Close()
	near := need(net.Dial("tcp", l.Addr().String()))(b)
	far := need(l.Accept())(b)
	b.Cleanup(func() { _ = near.Close(); _ = far.Close() })
	return ends{near, far}
}

func quicStream(b *testing.B) ends {
	ctx := b.Context()
	tls := need(newCarrier())(b)
	config := quicConfig()
	config.InitialStreamReceiveWindow, config.InitialConnectionReceiveWindow = streamWindow, connectionWindow
	open := func() *quic.Transport {
		s := need(openSocket(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, sieve{}))(b)
		t := &quic.Transport{Conn: s.conn}
		b.Cleanup(func() { _ = t.Close(); _ = s.conn.Close() })
		return t
	}
	server, client := open(), open()
	l := need(server.Listen(tls.server, config))(b)
	accepted := make(chan *quic.Conn, 1)
	go func(ctx context.Context) {
		c, err := l.Accept(ctx)
		if err != nil {
			b.Error(err)
		}
		accepted <- c
	}(ctx)
	conn := need(client.Dial(ctx, server.Conn.LocalAddr(), tls.client, config))(b)
	far := <-accepted
	return met(b, ends{need(conn.OpenStreamSync(ctx))(b), nil}, func() io.ReadWriter { return need(far.AcceptStream(ctx))(b) })
}
