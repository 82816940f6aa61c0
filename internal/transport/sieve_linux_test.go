package transport

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/holocompute/holocompute/internal/holo"
)

// anyVersion is what every QUIC server answers, whoever asks: a first packet of
// a version that nobody speaks.
func anyVersion() []byte {
	b := make([]byte, 1200)
	copy(b, []byte{0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 7, 6, 5, 4, 3, 2, 1})
	return b
}

func bound(t *testing.T, ip string) *net.UDPConn {
	t.Helper()
	c := must(net.ListenUDP("udp4", udp(ip+":0")))(t)
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(limit))
	return c
}

// TestOutsideAddressGetsSilence sends the same packet from an address outside
// of the list and then from one inside: the node reads them in that order, so
// that what it had to say to the first one was said when the second is answered.
func TestOutsideAddressGetsSilence(t *testing.T) {
	node := newSide(t, func(s *side) {
		s.config.Listen, s.config.Allow = "127.0.0.1:0", []netip.Prefix{netip.MustParsePrefix("127.0.0.2/31")}
	})
	outside, inside := bound(t, "127.0.0.1"), bound(t, "127.0.0.2")
	for range 3 {
		must(outside.WriteTo(anyVersion(), udp(node.addr())))(t)
	}
	must(inside.WriteTo(anyVersion(), udp(node.addr())))(t)
	answer := make([]byte, 1500)
	if n := must(inside.Read(answer))(t); n == 0 {
		t.Fatal("control: an address inside the list gets no answer either")
	}
	outside.SetDeadline(time.Now())
	if n, err := outside.Read(answer); err == nil {
		t.Errorf("an address outside the list gets %d bytes", n)
	}
	if got := node.refused.of(ReasonCIDR); got < 1 || got > 3 { // the system may hand several over as one
		t.Errorf("3 datagrams from outside are counted %d times", got)
	}
	if open := node.Stats().HalfOpen; open != 0 {
		t.Errorf("%d connections were begun", open)
	}
}

func TestOutsideAddressIsNotDialled(t *testing.T) {
	far := newSide(t)
	near := newSide(t, func(s *side) { s.config.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")} })
	_, err := near.Dial(within(t), far.addr(), near.local(), Control, far.id)
	if holo.ReasonOf(err) != ReasonCIDR || holo.KindOf(err) != holo.Denied {
		t.Errorf("%v", err)
	}
	if far.Stats().HandshakesEnded+far.Stats().HandshakesDone != 0 {
		t.Error("the address outside the list was spoken to")
	}
}

// TestSiftedSocketMovesWhatPassesToTheFront is for systems without receive
// offload.
func TestSiftedSocketMovesWhatPassesToTheFront(t *testing.T) {
	refused := newCounts()
	only := sieve{allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}, refused: refused.add}
	conn := bound(t, "127.0.0.1")
	s, ok := plain(conn, only).conn.(*sifted)
	if !ok {
		t.Fatal("a socket with a list does not look at it")
	}
	outside, inside := bound(t, "127.0.0.1"), bound(t, "127.0.0.2")
	send := func(from *net.UDPConn, text string) { must(from.WriteTo([]byte(text), conn.LocalAddr()))(t) }
	send(outside, "no")
	send(inside, "first")
	send(outside, "a longer no")
	send(inside, "second")
	ms := make([]ipv4.Message, 4)
	for i := range ms {
		ms[i].Buffers, ms[i].OOB = [][]byte{make([]byte, 100)}, make([]byte, 64)
	}
	var got []string
	for len(got) < 2 {
		for _, m := range ms[:must(s.ReadBatch(ms, 0))(t)] {
			got = append(got, string(bytes.Clone(m.Buffers[0][:m.N])))
			if addrPort(m.Addr).Addr().String() != "127.0.0.2" {
				t.Errorf("%q comes from %s", got[len(got)-1], m.Addr)
			}
		}
	}
	if got[0] != "first" || got[1] != "second" {
		t.Errorf("%q passed", got)
	}
	send(outside, "no")
	send(inside, "third")
	b := make([]byte, 100)
	n, _, err := s.ReadFrom(b)
	if err != nil || string(b[:n]) != "third" || refused.of(ReasonCIDR) != 3 {
		t.Errorf("%q, %v, %d counted", b[:n], err, refused.of(ReasonCIDR))
	}
}

func TestSeveralAddressesShareOnePort(t *testing.T) {
	node := newSide(t, func(s *side) { s.config.Also = []string{"127.0.0.3:0"} })
	addrs := node.Addrs()
	if len(addrs) != 2 || addrs[0].Port() != addrs[1].Port() || addrs[1].Addr().String() != "127.0.0.3" {
		t.Fatalf("it listens on %v", addrs)
	}
	peer := newSide(t, func(s *side) { s.config.Listen = "127.0.0.9:0" })
	for _, addr := range addrs {
		near, far := connect(t, peer, node, Control, addr.String())
		near.Close("done")
		far.Close("done")
	}
	probe := must(net.DialUDP("udp4", nil, udp(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.4"), addrs[0].Port()).String())))(t)
	defer probe.Close()
	must(probe.Write(anyVersion()))(t)
	if _, err := probe.Read(make([]byte, 10)); err == nil {
		t.Error("an address that is not listed answers")
	}
	near, far := connect(t, node, peer, Control)
	if from := far.RemoteAddr(); from != addrs[0] {
		t.Errorf("it dials from %s, not from a listed address", from)
	}
	near.Close("done")
}
