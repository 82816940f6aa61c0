package node

import (
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
)

// Policy says which protocols a node's links may use, in words. What a link
// did use is in its session and in the status.
type Policy struct {
	PostQuantum string // require (the default, also when empty), prefer or off: the hybrid key exchange
	Cipher      string // aes or xchacha: that one only; empty: AES-256-GCM first, XChaCha20-Poly1305 also
}

var (
	postQuantum = map[string]handshake.PQ{
		"": handshake.PQRequire, "require": handshake.PQRequire, "prefer": handshake.PQPrefer, "off": handshake.PQOff,
	}
	ciphers = map[string][]handshake.Suite{"": nil, "aes": {handshake.AESGCM}, "xchacha": {handshake.XChaChaPoly}}
)

func (p Policy) check() error {
	if _, ok := postQuantum[p.PostQuantum]; !ok {
		return holo.Errorf(holo.Invalid, "post-quantum policy %q: want require, prefer or off", p.PostQuantum)
	}
	if _, ok := ciphers[p.Cipher]; !ok {
		return holo.Errorf(holo.Invalid, "cipher %q: want aes or xchacha", p.Cipher)
	}
	return nil
}

// apply puts a policy that was checked into one side of a handshake.
func (p Policy) apply(l handshake.Local) handshake.Local {
	l.PQ, l.Suites = postQuantum[p.PostQuantum], ciphers[p.Cipher]
	return l
}
