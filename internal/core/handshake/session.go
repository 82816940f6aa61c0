package handshake

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"maps"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/protocol"
)

// Session is a completed handshake: who the peer is, and the keys of the
// streams. It is not safe for concurrent use; the Sealers and Openers that it
// makes belong to their streams and are independent of it and of each other.
type Session struct {
	kind          Kind
	initiator     bool
	protocol      string
	suite         Suite
	peer          *identity
	hash          [32]byte
	pskID         [8]byte
	skew          int64
	version       protocol.Version
	speaks        protocol.Range // the peer
	send, receive key.Secret     // HKDF keys of the two directions; never used as cipher keys
	sealed        streamSet
	opened        streamSet
}

// complete turns the finished Noise handshake into a session.
func (m *Machine) complete() *Session {
	suite, _, ok := suiteOf(m.hello.kind, m.hello.protocol)
	invariant.Check(ok && m.noise.complete(), "session before the end of handshake %s", m.hello.protocol)
	s := &Session{
		kind: m.hello.kind, initiator: m.initiator, protocol: m.hello.protocol, suite: suite,
		peer: m.peer, hash: [32]byte(m.noise.hash()), pskID: m.hello.pskID, skew: m.peer.clock - m.local.NowUnix,
		version: m.version, speaks: m.peer.offer.Range,
	}
	forward, backward := m.noise.symmetric.split()
	if !m.initiator {
		forward, backward = backward, forward
	}
	s.send, s.receive = secretOf(forward), secretOf(backward)
	return s
}

func secretOf(b []byte) key.Secret {
	secret, err := key.NewSecret(b)
	invariant.Check(err == nil, "session key: %v", err)
	clear(b)
	return secret
}

// Peer is the node at the other end, proven by its key and admitted.
func (s *Session) Peer() holo.NodeID { return s.peer.node }

// PeerName is the name in the peer's certificate: printable, not unique.
func (s *Session) PeerName() string { return s.peer.name }

// PSKID names the pre-shared key that the handshake used; zeros: none.
func (s *Session) PSKID() [8]byte { return s.pskID }

// Skew is by how many seconds the peer's clock was ahead of the one here, give
// or take the time that the handshake took.
func (s *Session) Skew() int64 { return s.skew }

// Version is that of the protocol which the session is in: the highest that both
// sides speak.
func (s *Session) Version() protocol.Version { return s.version }

// Speaks is the versions that the peer speaks, as it said under authentication.
func (s *Session) Speaks() protocol.Range { return s.speaks }

// Kind is what the session is for.
func (s *Session) Kind() Kind { return s.kind }

// Protocol is the full Noise protocol name.
func (s *Session) Protocol() string { return s.protocol }

// Initiator reports whether this side began.
func (s *Session) Initiator() bool { return s.initiator }

// Proof is the peer's membership proof as Admit saw it.
func (s *Session) Proof() []byte { return bytes.Clone(s.peer.proof) }

// Hash names this session and no other, alike on both sides: sign it to bind a
// statement to the session. It is public, never a key.
func (s *Session) Hash() [32]byte { return s.hash }

// Sealer gives the sending half of a stream. It panics when it was asked for
// the same stream before: two Sealers of one stream would use the same key and
// numbers twice, and that ends all secrecy of AES-GCM. Streams may be asked
// for in any order, but one that is streamWindow behind counts as used.
func (s *Session) Sealer(stream uint64) *Sealer {
	invariant.Check(s.sealed.use(stream), "second sealer of stream %d", stream)
	return &Sealer{recordState: s.recordState(s.send, stream)}
}

// Opener gives the receiving half of a stream, once for each, as Sealer.
func (s *Session) Opener(stream uint64) *Opener {
	invariant.Check(s.opened.use(stream), "second opener of stream %d", stream)
	return &Opener{recordState: s.recordState(s.receive, stream)}
}

// Wipe forgets the keys; streams already made go on. No Sealer or Opener can
// be made any more.
func (s *Session) Wipe() {
	s.send.Wipe()
	s.receive.Wipe()
}

func (s *Session) recordState(direction key.Secret, stream uint64) recordState {
	invariant.Check(!direction.IsZero(), "stream %d of a session that was wiped", stream)
	info := []byte("holocompute/stream/1\x00" + s.suite.String() + "\x00")
	info = binary.BigEndian.AppendUint64(info, stream)
	raw, err := hkdf.Expand(sha256.New, direction.Bytes(), string(info), keySize)
	invariant.Check(err == nil, "key of stream %d: %v", stream, err)
	r := recordState{cipher: cipherState{algorithm: linkAlgorithms.ciphers[s.suite.String()]}}
	r.cipher.setKey(raw)
	clear(raw)
	return r
}

// streamWindow is how far out of order streams may be asked for, and so how
// many stream numbers a set remembers at most.
const streamWindow = 4096

// streamSet remembers which streams were used. QUIC numbers streams by fours
// (who opened it, one way or both), each kind upwards from 0, so all but a few
// lie below a mark.
type streamSet struct{ kinds [4]streamRun }

type streamRun struct {
	below uint64              // all smaller are used, or given up
	above map[uint64]struct{} // used ones from below on
}

// use marks a stream and reports whether it was fresh.
func (s *streamSet) use(stream uint64) bool { return s.kinds[stream%4].use(stream / 4) }

func (r *streamRun) use(n uint64) bool {
	if _, used := r.above[n]; used || n < r.below {
		return false
	}
	if r.above == nil {
		r.above = map[uint64]struct{}{}
	}
	r.above[n] = struct{}{}
	r.advance(n)
	return true
}

// advance moves the mark over what is used, and over what lies too far back.
// A jump that is longer than all that is remembered is made in one step.
func (r *streamRun) advance(n uint64) {
	if n >= streamWindow && r.below < n-streamWindow {
		r.below = n - streamWindow
		maps.DeleteFunc(r.above, func(used uint64, _ struct{}) bool { return used < r.below })
	}
	for {
		if _, used := r.above[r.below]; !used {
			return
		}
		delete(r.above, r.below)
		r.below++
	}
}
