package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	receiveBuffer = 256 << 20 // more than a run sends, so a slow reader drops nothing
	snapLength    = 128       // heads are enough
	settle        = 500 * time.Millisecond
)

// flow is packets from one place to another.
type flow struct {
	from, to         string
	fromPort, toPort int
	protocol         string
}

func (f flow) String() string {
	return fmt.Sprintf("%s %s:%d > %s:%d", f.protocol, f.from, f.fromPort, f.to, f.toPort)
}

// wire reads every frame that comes into the bridge's ports.
type wire struct {
	fd     int
	bridge int
	mu     sync.Mutex
	seen   map[flow]int
	last   time.Time
	drops  uint32
	err    error
}

func listen(bridge string) (*wire, error) {
	br, err := net.InterfaceByName(bridge)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(bigEndian(unix.ETH_P_ALL)))
	if err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer); err != nil {
		return nil, err
	}
	w := &wire{fd: fd, bridge: br.Index, seen: map[flow]int{}}
	go w.read() // until the program ends
	return w, nil
}

func (w *wire) read() {
	b := make([]byte, snapLength)
	for {
		n, from, err := unix.Recvfrom(w.fd, b, 0)
		if err != nil && !errors.Is(err, unix.EINTR) {
			w.mu.Lock()
			w.err = err
			w.mu.Unlock()
			return
		}
		at, ok := from.(*unix.SockaddrLinklayer)
		if err != nil || !ok || at.Pkttype == unix.PACKET_OUTGOING || at.Ifindex == w.bridge {
			continue // each frame counts where it comes in
		}
		if at.Protocol == bigEndian(unix.ETH_P_ARP) {
			w.note(parseARP(b[:n]))
			continue
		}
		w.note(parse(b[:n]))
	}
}

func (w *wire) note(f flow, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = time.Now()
	if ok {
		w.seen[f]++
	}
}

// bigEndian is a number as the network writes it.
func bigEndian(n uint16) uint16 { return n>>8 | n<<8 }

// parseARP reads a question where an address is: somebody wants to send there, and
// nothing else is seen of it where nobody answers.
func parseARP(b []byte) (f flow, ok bool) {
	const question = 1
	if len(b) < 28 || binary.BigEndian.Uint16(b[6:]) != question {
		return f, false
	}
	return flow{from: address(b[14:18]), to: address(b[24:28]), protocol: "arp"}, true
}

// parse reads the head of an IP packet. What the kernel says of itself over IPv6
// (ICMP) is left out.
func parse(b []byte) (f flow, ok bool) {
	var protocol byte
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		protocol = b[9]
		f.from, f.to = address(b[12:16]), address(b[16:20])
		b = b[min(len(b), int(b[0]&15)*4):]
	case len(b) >= 40 && b[0]>>4 == 6 && b[6] != 58 && b[6] != 0:
		protocol = b[6]
		f.from, f.to = address(b[8:24]), address(b[24:40])
		b = b[40:]
	default:
		return f, false
	}
	f.protocol = map[byte]string{1: "icmp", 6: "tcp", 17: "udp"}[protocol]
	if f.protocol == "" {
		f.protocol = fmt.Sprint("protocol ", protocol)
	}
	if (f.protocol == "udp" || f.protocol == "tcp") && len(b) >= 4 {
		f.fromPort, f.toPort = int(binary.BigEndian.Uint16(b)), int(binary.BigEndian.Uint16(b[2:]))
	}
	return f, true
}

func address(b []byte) string {
	a, _ := netip.AddrFromSlice(b)
	return a.String()
}

func (w *wire) flows() map[flow]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.seen)
}

// between counts the packets from one address to another.
func (w *wire) between(from, to string) (n int) {
	for f, count := range w.flows() {
		if f.from == from && f.to == to {
			n += count
		}
	}
	return n
}

// drained waits until what was sent so far has been read.
func (w *wire) drained() error {
	time.Sleep(settle)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// dropped is how many frames the system did not keep for the reader.
func (w *wire) dropped() uint32 {
	if s, err := unix.GetsockoptTpacketStats(w.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		w.drops += s.Drops
	}
	return w.drops
}
