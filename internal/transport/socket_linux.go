package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync/atomic"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

const (
	// maxCoalesced is the most that the kernel hands over at once: the largest
	// UDP payload that an IP packet can claim.
	maxCoalesced = 65535
	// maxControl holds the control messages of one read: TOS or traffic class,
	// packet info and the segment size take at most 112 bytes together.
	maxControl = 256
	// maxAddresses bounds the addresses that are kept; it is more than the
	// peers of a cluster, and strangers cannot make it grow.
	maxAddresses = 256
)

// batchReader gives quic-go a ReadBatch over UDP generic receive offload: one
// system call returns up to 64 KiB of datagrams of one sender, which are cut
// into quic-go's packet buffers. Per-packet work is what limits QUIC, and this
// is worth 13 to 44 % pages per second (research/transport 2.3, appendix A).
// quic-go asks a connection for ReadBatch before it reads in its own way, and
// finds everything else (GSO, ECN, DF, packet info) on the embedded socket.
//
// One goroutine calls ReadBatch: quic-go's reader.
type batchReader struct {
	*net.UDPConn
	buffer    []byte // of the last read
	control   []byte
	pending   []byte // what of buffer is not handed over yet
	segment   int    // length of each datagram in pending, the last may be shorter
	info      []byte // control messages of the last read
	from      *net.UDPAddr
	addresses map[netip.AddrPort]*net.UDPAddr
	oversized atomic.Uint64
	sieve     sieve
}

// offloaded switches receive offload on. Where the kernel has none (before
// Linux 5.0, or on a network without it) the socket stays plain.
func offloaded(conn *net.UDPConn, sieve sieve) socket {
	raw, err := conn.SyscallConn()
	if err != nil {
		return plain(conn, sieve)
	}
	var refused error
	err = raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1)
	})
	if err != nil || refused != nil {
		return plain(conn, sieve)
	}
	r := &batchReader{
		UDPConn: conn, buffer: make([]byte, maxCoalesced), control: make([]byte, maxControl),
		addresses: map[netip.AddrPort]*net.UDPAddr{}, sieve: sieve,
	}
	return socket{conn: r, offload: true, oversized: r.oversized.Load}
}

// ReadBatch fills ms with datagrams and returns their number, at least 1
// unless there is an error.
func (r *batchReader) ReadBatch(ms []ipv4.Message, _ int) (int, error) {
	for {
		if len(r.pending) == 0 {
			empty, err := r.read()
			if err != nil {
				return 0, err
			}
			if empty { // an empty datagram is one too; quic-go drops it
				r.fill(&ms[0], nil)
				return 1, nil
			}
		}
		if n := r.deal(ms); n > 0 {
			return n, nil
		}
	}
}

// read waits for the next datagrams.
func (r *batchReader) read() (empty bool, err error) {
	n, controls, _, from, err := r.ReadMsgUDPAddrPort(r.buffer, r.control)
	for err == nil && !r.sieve.passes(from.Addr()) {
		n, controls, _, from, err = r.ReadMsgUDPAddrPort(r.buffer, r.control)
	}
	if err != nil {
		return false, err
	}
	r.pending, r.info, r.from = r.buffer[:n], r.control[:controls], r.address(from)
	r.segment = n
	if size := segmentSize(r.info); size > 0 {
		r.segment = min(size, n)
	}
	return n == 0, nil
}

// deal hands over pending datagrams, as many as ms has room for.
func (r *batchReader) deal(ms []ipv4.Message) int {
	n := 0
	for n < len(ms) && len(r.pending) > 0 {
		datagram := r.pending[:min(r.segment, len(r.pending))]
		r.pending = r.pending[len(datagram):]
		if len(datagram) > len(ms[n].Buffers[0]) {
			r.oversized.Add(1) // no QUIC packet is that long; cutting it would make another one of it
			continue
		}
		r.fill(&ms[n], datagram)
		n++
	}
	return n
}

func (r *batchReader) fill(m *ipv4.Message, datagram []byte) {
	m.N = copy(m.Buffers[0], datagram)
	m.NN = 0
	if len(r.info) <= len(m.OOB) { // half a control message would stop quic-go's reader
		m.NN = copy(m.OOB, r.info)
	}
	m.Addr = r.from
}

// address keeps one *net.UDPAddr per sender, to spare an allocation per read.
func (r *batchReader) address(from netip.AddrPort) *net.UDPAddr {
	if a, ok := r.addresses[from]; ok {
		return a
	}
	if len(r.addresses) >= maxAddresses {
		clear(r.addresses)
	}
	a := net.UDPAddrFromAddrPort(from)
	r.addresses[from] = a
	return a
}

// segmentSize finds how long the coalesced datagrams are; 0 when there is only
// one.
func segmentSize(control []byte) int {
	for len(control) > 0 {
		head, body, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return 0
		}
		if head.Level == unix.IPPROTO_UDP && head.Type == unix.UDP_GRO && len(body) >= 2 {
			return gsoSize(body)
		}
		control = rest
	}
	return 0
}

// gsoSize reads the kernel's int; it is never negative.
func gsoSize(body []byte) int {
	if len(body) < 4 {
		return int(binary.NativeEndian.Uint16(body))
	}
	return int(binary.NativeEndian.Uint32(body))
}
