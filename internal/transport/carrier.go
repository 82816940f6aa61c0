package transport

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute/internal/holo"
)

// protocolName is what TLS negotiates (ALPN), so that other QUIC speakers are
// turned away at once.
const protocolName = "holo/1"

// exporterLabel is RFC 9266's label for binding a channel to its TLS session.
const exporterLabel = "EXPORTER-Channel-Binding"

// carrier is the TLS that QUIC cannot do without.
type carrier struct{ server, client *tls.Config }

// newCarrier makes a throw-away certificate that lives as long as the process.
// Nobody looks at it: the client skips verification because Noise, bound to
// this very TLS session, is what authenticates. For the same reason the dates
// in it are without meaning, and a wrong clock does not break the link.
func newCarrier() (carrier, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return carrier{}, holo.Errorf(holo.Internal, "make carrier certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280: no end
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return carrier{}, holo.Errorf(holo.Internal, "make carrier certificate: %w", err)
	}
	// Neither side keeps anything of a session: no tickets, no early data.
	base := tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{protocolName}, SessionTicketsDisabled: true,
	}
	server, client := base.Clone(), base.Clone()
	server.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}
	client.InsecureSkipVerify = true
	return carrier{server: server, client: client}, nil
}

// Times and sizes of connections.
const (
	// idleTimeout is how long a silent peer counts as there. Liveness is
	// decided by leases, not by this; it frees what a dead peer held.
	idleTimeout = 5 * time.Second
	// keepAlive makes living peers heard of well before that.
	keepAlive = idleTimeout / 3
	// firstWindow is all that a stranger can make us hold, per connection: 64
	// of them are 16 MiB. It holds a handshake eight times.
	firstWindow = 256 << 10
	// streamWindow and connectionWindow bound what an authenticated peer can
	// make us hold; they fill 10 Gb/s at 10 ms.
	streamWindow     = 16 << 20
	connectionWindow = 64 << 20
	// clientWindow is the same for a client: two uploads. 64 of them are 512
	// MiB, of which nodes take nothing.
	clientWindow = 8 << 20
	// peerStreams is the number of streams that a peer may have open at a
	// time. A stream counts until its handler closes it.
	peerStreams = 256
)

func quicConfig() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           HandshakeTimeout / 2, // TLS is given up after twice this
		MaxIdleTimeout:                 idleTimeout,
		KeepAlivePeriod:                keepAlive,
		InitialStreamReceiveWindow:     firstWindow,
		InitialConnectionReceiveWindow: firstWindow,
		MaxStreamReceiveWindow:         streamWindow,
		MaxConnectionReceiveWindow:     connectionWindow,
		AllowConnectionWindowIncrease:  mayGrow,
		MaxIncomingStreams:             peerStreams,
		MaxIncomingUniStreams:          -1,
		RequireStreamCreditRelease:     true,
	}
}
