package transport

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// Reasons of a probe's outcome.
const (
	ReasonPortClosed = "port_closed" // the machine says that nobody listens there
	ReasonSilent     = "silent"      // nothing comes back: a firewall, a list, or no machine
	ReasonNotQUIC    = "not_quic"    // something else answers
	ReasonVersion    = "version"     // it speaks another version of this protocol
)

const (
	probeTries   = 4
	probeWait    = 500 * time.Millisecond // for an answer to each
	probeSize    = 1200                   // what is shorter no QUIC server answers
	probeVersion = 0x1a2a3a4a             // reserved, so that nobody speaks it (RFC 9000, 15)
	longHeader   = 0x80
)

// Probe finds out whether anybody speaks QUIC at host:port. It sends what every
// server must answer without keeping anything: a first packet of a version that
// does not exist. It proves nothing about who answers.
func Probe(ctx context.Context, address string) error {
	to, err := resolve(ctx, address)
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", to.String())
	if err != nil {
		return holo.Refuse(holo.Unavailable, ReasonNoAddress, "reach %s: %w", to, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(longAgo) })()
	packet := probePacket()
	answer := make([]byte, 2048)
	for range probeTries {
		if _, err := conn.Write(packet); err != nil {
			return probeError(to, err)
		}
		conn.SetReadDeadline(time.Now().Add(probeWait))
		n, err := conn.Read(answer)
		switch {
		case err == nil && n > 5 && answer[0]&longHeader != 0 && [4]byte(answer[1:5]) == [4]byte{}:
			return nil // a list of the versions that it speaks
		case err == nil:
			return holo.Refuse(holo.Unavailable, ReasonNotQUIC, "reach %s: what answers is no node", to)
		case !errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil:
			return probeError(to, err)
		}
	}
	return probeError(to, os.ErrDeadlineExceeded)
}

func probePacket() []byte {
	b := make([]byte, probeSize)
	rand.Read(b)
	copy(b, []byte{longHeader | 0x40, probeVersion >> 24, probeVersion >> 16 & 0xff, probeVersion >> 8 & 0xff, probeVersion & 0xff, 8})
	b[14] = 8 // the length of the other connection ID
	return b
}

func probeError(to *net.UDPAddr, err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return holo.Refuse(holo.Unavailable, ReasonPortClosed, "reach %s: nobody listens on that UDP port", to)
	}
	return holo.Refuse(holo.Unavailable, ReasonSilent, "reach %s: nothing answers: %w", to, err)
}
