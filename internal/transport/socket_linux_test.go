package transport

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

func messages(n, size int) []ipv4.Message {
	ms := make([]ipv4.Message, n)
	for i := range ms {
		ms[i].Buffers = [][]byte{make([]byte, size)}
		ms[i].OOB = make([]byte, 128)
	}
	return ms
}

func reader(t *testing.T) *batchReader {
	t.Helper()
	conn := must(net.ListenUDP("udp4", udp("127.0.0.1:0")))(t)
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(limit))
	s := offloaded(conn, sieve{})
	r, ok := s.conn.(*batchReader)
	if !ok || !s.offload {
		t.Fatal("this Linux has no receive offload, which it has since 5.0")
	}
	return r
}

// sendSegments sends b as datagrams of size bytes in one call (GSO), which the
// kernel hands to a receiver with GRO in one piece.
func sendSegments(t *testing.T, from *net.UDPConn, to net.Addr, b []byte, size int) {
	t.Helper()
	control := make([]byte, unix.CmsgSpace(2))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(control[unix.CmsgLen(0):], uint16(size))
	if _, _, err := from.WriteMsgUDP(b, control, to.(*net.UDPAddr)); err != nil {
		t.Fatal(err)
	}
}

func TestOffloadedReadsGiveTheDatagramsThatWereSent(t *testing.T) {
	r := reader(t)
	var want []string
	senders := map[string]*net.UDPConn{}
	for i := range 3 {
		s := must(net.ListenUDP("udp4", udp("127.0.0.1:0")))(t)
		defer s.Close()
		senders[s.LocalAddr().String()] = s
		for _, c := range []struct{ length, segment int }{{1, 0}, {1452, 0}, {9 * 1200, 1200}, {5*1000 + 7, 1000}, {30 * 1400, 1400}, {0, 0}, {700, 0}} {
			b := pattern(c.length)
			if len(b) > 0 {
				b[0] = byte(i)
			}
			size := c.segment
			if size == 0 {
				size = max(len(b), 1)
				must(s.WriteTo(b, r.LocalAddr()))(t)
			} else {
				sendSegments(t, s, r.LocalAddr(), b, size)
			}
			for first := true; len(b) > 0 || first; first = false {
				part := b[:min(size, len(b))]
				b = b[len(part):]
				want = append(want, fmt.Sprintf("%s %x", s.LocalAddr(), part))
			}
		}
	}
	reads, batches := 0, 0
	for len(want) > 0 {
		ms := messages(8, 1452)
		n := must(r.ReadBatch(ms, 0))(t)
		batches++
		if n == 0 {
			t.Fatal("a batch of none: quic-go would read old packets again")
		}
		for _, m := range ms[:n] {
			got := fmt.Sprintf("%s %x", m.Addr, m.Buffers[0][:m.N])
			if got != want[0] {
				t.Fatalf("datagram %d is %.60s... (%d bytes), want %.60s...", reads, got, m.N, want[0])
			}
			want = want[1:]
			reads++
		}
	}
	if batches >= reads {
		t.Errorf("%d datagrams in %d batches: nothing was coalesced", reads, batches)
	}
}

func TestDatagramTooLongForQUICIsDroppedAndNotCut(t *testing.T) {
	r := reader(t)
	s := must(net.ListenUDP("udp4", udp("127.0.0.1:0")))(t)
	defer s.Close()
	must(s.WriteTo(pattern(1453), r.LocalAddr()))(t)
	sendSegments(t, s, r.LocalAddr(), pattern(3*1500), 1500)
	must(s.WriteTo([]byte("fits"), r.LocalAddr()))(t)
	ms := messages(8, 1452)
	if n := must(r.ReadBatch(ms, 0))(t); n != 1 || !bytes.Equal(ms[0].Buffers[0][:ms[0].N], []byte("fits")) {
		t.Fatalf("%d datagrams, the first of %d bytes", n, ms[0].N)
	}
	if got := r.oversized.Load(); got != 4 {
		t.Errorf("%d were counted, want 4", got)
	}
}

func TestAddressesAreKeptWithinBounds(t *testing.T) {
	r := &batchReader{addresses: map[netip.AddrPort]*net.UDPAddr{}}
	for port := range 3 * maxAddresses {
		a := r.address(addrPort(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port + 1}))
		if a.Port != port+1 || len(r.addresses) > maxAddresses {
			t.Fatalf("port %d for %d, %d kept", a.Port, port+1, len(r.addresses))
		}
	}
}

func TestControlMessagesThatDoNotFitAreLeftOut(t *testing.T) {
	r := &batchReader{info: make([]byte, 100)}
	m := messages(1, 10)
	m[0].OOB = make([]byte, 50)
	m[0].NN = 3
	r.fill(&m[0], []byte("abc"))
	if m[0].NN != 0 || m[0].N != 3 {
		t.Errorf("%d bytes of control messages in 50, %d of data", m[0].NN, m[0].N)
	}
}
