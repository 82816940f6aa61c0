package handshake

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/protocol"
)

// Limits of what a side brings. A name is for people and inside the
// certificate; a proof is the node's membership proof.
const (
	MaxName  = 64       // bytes
	MaxProof = 16 << 10 // bytes
	maxBound = 64       // bytes of Transport and of Exporter
)

// Local is one side of one handshake. Make a new one for each: the exporter
// belongs to one connection.
type Local struct {
	// Kind is the session that the initiator asks for.
	Kind Kind
	// Accept lists the kinds that the responder admits. Empty: none.
	Accept []Kind
	// Owner is told, in clear, to clients that ask which cluster this is. It
	// must be set where Accept has KindClient.
	Owner holo.PrincipalID
	// Static says who this side is: node, cluster and name. It serves many
	// handshakes; replace it when Static.Stale says so.
	Static *Static
	// PQ is the policy about the hybrid key exchange.
	PQ PQ
	// Suites are the ciphers allowed, the initiator's choice first. Empty:
	// AESGCM, then XChaChaPoly.
	Suites []Suite
	// PSK is the initiator's pre-shared key, for kinds that need one.
	PSK PSK
	// FindPSK gives the responder the key of an ID. Keep the answer the same
	// for IDs never known and IDs no longer valid.
	FindPSK func(kind Kind, id [8]byte) (PSK, bool)
	// Parting finds what is told to a node that was put out, by the ID of its
	// PartingKey: at most MaxProof bytes. Nil: nobody is told anything.
	Parting func(id [8]byte) (k PSK, word []byte, ok bool)
	// Speaks is the versions that this side speaks; zero: protocol.Spoken.
	Speaks protocol.Range
	// Cluster is the version that this side's cluster is at, which members and
	// those who join must speak. 0: none is known. Clients need not speak it.
	Cluster protocol.Version
	// Proof is sent, encrypted, to the peer: by a responder always, by an
	// initiator of kind node. It shows membership; the peer's Admit judges it.
	Proof []byte
	// Admit decides about the peer, whose certificate is verified by then. An
	// error refuses it, and nothing more is said to it. It is called exactly
	// once, before the handshake completes: in the initiator before its own
	// identity is sent. There is no default.
	Admit func(kind Kind, peer holo.NodeID, name string, proof []byte) error
	// Transport is the kind of the transport ("quic", "tcp", "unix") and
	// Exporter its channel binding, the TLS exporter on QUIC. Both sides must
	// have the same.
	Transport string
	Exporter  []byte
	// NowUnix is the time in seconds, to judge certificates by.
	NowUnix int64

	refused int // how many of acceptable(Kind) the peer refused: set by Fallback
}

var defaultSuites = []Suite{AESGCM, XChaChaPoly}

// Fallback gives what to try after the peer refused the protocol proposed
// (ReasonSuiteRefused, and nothing else): the same with the next one that this
// side allows, false when there is none. X25519 alone is among them only under
// PQPrefer, and last. The new hello still names what this side would have
// preferred, under authentication, so a responder that could have had the
// hybrid answers ReasonDowngrade: the refusal came from somebody in between.
func (l Local) Fallback() (Local, bool) {
	l.refused++
	return l, l.refused < len(l.acceptable(l.Kind))
}

// offer is what this side says of its versions in a session of a kind.
func (l *Local) offer(k Kind) protocol.Offer {
	o := protocol.Offer{Range: l.Speaks}
	if o.Range == (protocol.Range{}) {
		o.Range = protocol.Spoken()
	}
	if k != KindClient {
		o.Cluster = l.Cluster
	}
	return o
}

func (l *Local) suites() []Suite {
	if len(l.Suites) == 0 {
		return defaultSuites
	}
	return l.Suites
}

// check finds what the caller forgot, before a byte is sent.
func (l *Local) check() error {
	switch {
	case l.Static == nil:
		return invalid("no static key")
	case l.Admit == nil:
		return invalid("nobody decides whom to admit")
	case !l.PQ.Valid():
		return invalid("%s is no policy", l.PQ)
	case !l.offer(KindNode).Valid():
		return invalid("versions %s in a cluster at %d", l.Speaks, l.Cluster)
	case !distinct(l.Suites):
		return invalid("suites %v", l.Suites)
	case len(l.Proof) > MaxProof:
		return invalid("a proof of %d bytes, at most %d", len(l.Proof), MaxProof)
	case l.Transport == "" || len(l.Transport) > maxBound || len(l.Exporter) > maxBound:
		return invalid("transport %q with a binding of %d bytes", l.Transport, len(l.Exporter))
	}
	return l.Static.check(l.NowUnix)
}

func (l *Local) checkInitiator() error {
	switch {
	case !l.Kind.Valid():
		return invalid("%s is no kind of session", l.Kind)
	case l.Kind.NeedsPSK() && l.PSK.Key.Len() != keySize:
		return invalid("a session of kind %s needs a pre-shared key of %d bytes, have %d", l.Kind, keySize, l.PSK.Key.Len())
	case l.Kind.NeedsPSK() && l.PSK.ID == [8]byte{}:
		return invalid("the pre-shared key has no ID")
	case l.refused >= len(l.acceptable(l.Kind)):
		return invalid("no protocol is left to propose")
	case !l.Kind.NeedsPSK() && (!l.PSK.Key.IsZero() || l.PSK.ID != [8]byte{}):
		return invalid("a session of kind %s has no pre-shared key", l.Kind)
	}
	return l.check()
}

func (l *Local) checkResponder() error {
	needsPSK := slices.ContainsFunc(l.Accept, Kind.NeedsPSK)
	switch {
	case slices.ContainsFunc(l.Accept, func(k Kind) bool { return !k.Valid() }):
		return invalid("unknown kind in %v", l.Accept)
	case needsPSK && l.FindPSK == nil:
		return invalid("no pre-shared keys for kinds %v", l.Accept)
	case l.Owner == (holo.PrincipalID{}) && slices.Contains(l.Accept, KindClient):
		return invalid("no owner to introduce the cluster by")
	}
	return l.check()
}

func distinct(suites []Suite) bool {
	for i, s := range suites {
		if !s.Valid() || slices.Contains(suites[:i], s) {
			return false
		}
	}
	return true
}

func invalid(format string, args ...any) error {
	return holo.Errorf(holo.Invalid, "configure handshake: "+format, args...)
}
