package attack

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// tape is a socket that keeps what was sent through it.
type tape struct {
	net.PacketConn
	mu   sync.Mutex
	sent [][]byte
}

func (s *tape) WriteTo(b []byte, to net.Addr) (int, error) {
	s.mu.Lock()
	s.sent = append(s.sent, slices.Clone(b))
	s.mu.Unlock()
	return s.PacketConn.WriteTo(b, to)
}

func (s *tape) recorded() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sent)
}

// taped makes a member's session over a socket that is recorded.
func (l *live) taped(ctx context.Context) (*peer, *tape) {
	l.t.Helper()
	socket, err := net.ListenPacket("udp", net.JoinHostPort(newNetwork().String(), "0"))
	must(l.t, err)
	s := &tape{PacketConn: socket}
	tr := &quic.Transport{Conn: s}
	l.t.Cleanup(func() { tr.Close(); socket.Close() })
	to, err := net.ResolveUDPAddr("udp", l.target.Address)
	must(l.t, err)
	conn, err := tr.Dial(ctx, to, carrierTLS(), &quic.Config{KeepAlivePeriod: time.Second})
	must(l.t, err)
	p := &peer{conn: conn}
	must(l.t, p.shake(ctx, l.local(), bugs{}))
	return p, s
}

// raw is a plain socket towards the target, from a network of its own.
func (l *live) raw() *net.UDPConn {
	l.t.Helper()
	to, err := net.ResolveUDPAddr("udp", l.target.Address)
	must(l.t, err)
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: newNetwork()}, to)
	must(l.t, err)
	l.t.Cleanup(func() { c.Close() })
	return c
}

// memoryGrowth is what a flood may make a node take for good or for a while. A
// hundred thousand goroutines, or as many half-open connections, are far more.
const memoryGrowth = 96 << 20

// costsLittle wants memory and files within bounds after an attack.
func (l *live) costsLittle(before, files int) {
	l.t.Helper()
	after, open := l.cost()
	l.t.Logf("resident %d KiB, was %d KiB; %d files, was %d", after>>10, before>>10, open, files)
	if after > before+memoryGrowth || open > files+16 {
		l.t.Errorf("%d bytes and %d files are held, was %d and %d", after, open, before, files)
	}
}

// TestForgedDatagramsChangeNothing (threat-model row S3-1): 100,000 random
// datagrams and 100,000 mutated ones of a valid session, at a live node, while
// the session that they are made of is served.
func TestForgedDatagramsChangeNothing(t *testing.T) {
	const each, burst = 100_000, 100
	l := startLive(t, 1)
	ctx := t.Context()
	victim, tape := l.taped(ctx)
	for range 20 {
		_, err := victim.ask(ctx, &wire.UsageRead{})
		must(t, err)
	}
	valid := tape.recorded()
	seed := rand.NewChaCha8([32]byte{3})
	chance := rand.New(seed)
	random := func() []byte {
		b := make([]byte, 1+chance.IntN(1400))
		seed.Read(b)
		return b
	}
	mutated := func() []byte {
		b := slices.Clone(valid[chance.IntN(len(valid))])
		for range 1 + chance.IntN(8) {
			b[chance.IntN(len(b))] ^= 1 << chance.IntN(8)
		}
		return b
	}
	for name, make := range map[string]func() []byte{"random": random, "mutated": mutated} {
		socket := l.raw()
		memory, files := l.cost()
		l.refuses(name+" datagrams", transport.ReasonDatagram, each/10, func() {
			for n := range each {
				if _, err := socket.Write(make()); err != nil {
					t.Fatal(err)
				}
				if n%burst == 0 { // the established peer, behind the burst
					if _, err := victim.ask(ctx, &wire.UsageRead{}); err != nil {
						t.Fatalf("after %d %s datagrams: %v", n, name, err)
					}
				}
			}
		})
		l.costsLittle(memory, files)
		t.Logf("%s: %d stray, %d sent away to prove their address", name, l.counted(transport.ReasonDatagram), l.counted(transport.ReasonRetry))
	}
}

// deaf is a socket of a stranger who never hears an answer: it sends through
// sockets of many networks, and counts what goes out and what comes back.
type deaf struct {
	net.PacketConn // its address and its end; nothing comes in here
	pool           []*net.UDPConn
	out, in        atomic.Int64
	next           atomic.Int64
}

func (l *live) newDeaf(sockets int) *deaf {
	l.t.Helper()
	own, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(l.t, err)
	d := &deaf{PacketConn: own}
	var readers sync.WaitGroup
	for range sockets {
		c := l.raw()
		d.pool = append(d.pool, c)
		readers.Go(func() {
			b := make([]byte, 65535)
			for n, err := c.Read(b); err == nil; n, err = c.Read(b) {
				d.in.Add(int64(n))
			}
		})
	}
	l.t.Cleanup(func() {
		own.Close()
		for _, c := range d.pool {
			c.Close()
		}
		readers.Wait()
	})
	return d
}

func (d *deaf) WriteTo(b []byte, _ net.Addr) (int, error) {
	d.out.Add(int64(len(b)))
	return d.pool[int(d.next.Add(1))%len(d.pool)].Write(b)
}

// TestHalfOpenFloodIsAnsweredLittleAndRemembersNothing (threat-model rows D1-2
// and D2-2): 10,000 beginnings of a connection, from 64 networks, by somebody
// who hears no answer. An established peer is served all the while, what is
// answered is at most three times what was sent, and nothing of it stays.
func TestHalfOpenFloodIsAnsweredLittleAndRemembersNothing(t *testing.T) {
	const attempts, atOnce = 10_000, 100
	l := startLive(t, 1)
	ctx := t.Context()
	victim, _ := l.taped(ctx)
	d := l.newDeaf(64)
	tr := &quic.Transport{Conn: d}
	t.Cleanup(func() { tr.Close() })
	to, err := net.ResolveUDPAddr("udp", l.target.Address)
	must(t, err)
	memory, files := l.cost()
	l.refuses("a flood of half-open connections", transport.ReasonRetry, attempts/2, func() {
		for range attempts / atOnce {
			var all sync.WaitGroup
			for range atOnce {
				all.Go(func() {
					short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
					defer cancel()
					if conn, err := tr.Dial(short, to, carrierTLS(), &quic.Config{}); err == nil {
						conn.CloseWithError(0, "")
						t.Error("a connection without an answer")
					}
				})
			}
			all.Wait()
			if _, err := victim.ask(ctx, &wire.UsageRead{}); err != nil {
				t.Fatalf("the established peer: %v", err)
			}
		}
	})
	l.costsLittle(memory, files)
	out, in := d.out.Load(), d.in.Load()
	t.Logf("%d bytes sent, %d answered: a factor of %.2f", out, in, float64(in)/float64(out))
	if in > 3*out {
		t.Error("the node answers more than three times what it is sent")
	}
	if in == 0 {
		t.Error("the node answered nothing: it was not reached")
	}
}

// TestUnknownVersionsAreNotAmplified (threat-model row D2-2): what a node says
// about versions of QUIC that it does not speak is no more than it was sent.
func TestUnknownVersionsAreNotAmplified(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1)
	socket := l.raw()
	var in atomic.Int64
	var reader sync.WaitGroup
	reader.Go(func() {
		b := make([]byte, 65535)
		for n, err := socket.Read(b); err == nil; n, err = socket.Read(b) {
			in.Add(int64(n))
		}
	})
	seed := rand.NewChaCha8([32]byte{4})
	out := int64(0)
	for size := 21; size <= 1450; size++ {
		b := make([]byte, size)
		seed.Read(b)
		b[0], b[1] = b[0]|0xc0, 0x5a // a long header of an unknown version
		b[5], b[14] = 8, 8           // lengths of connection IDs
		n, err := socket.Write(b)
		must(t, err)
		out += int64(n)
	}
	_, err := dialAs(t, t.Context(), l.target.Address, l.local(), bugs{}) // they are all handled by now
	must(t, err)
	socket.Close()
	reader.Wait()
	t.Logf("%d bytes sent, %d answered", out, in.Load())
	if in.Load() > 3*out {
		t.Error("versions are amplified")
	}
}
