package handshake

import (
	"crypto/sha256"
	"hash"
	"slices"
)

// linkAlgorithms are all that links use. Tests add those of public vectors.
var linkAlgorithms = algorithms{
	ciphers: map[string]cipherAlgorithm{"AESGCM": cipherAESGCM, "XChaChaPoly": cipherXChaChaPoly},
	hashes:  map[string]func() hash.Hash{"SHA256": sha256.New},
}

// protocolName is the Noise name of a link: the pattern is always XX.
func protocolName(kind Kind, hybrid bool, suite Suite) string {
	modifiers := ""
	switch {
	case hybrid && kind.NeedsPSK():
		modifiers = "hfs+psk0"
	case hybrid:
		modifiers = "hfs"
	case kind.NeedsPSK():
		modifiers = "psk0"
	}
	return "Noise_XX" + modifiers + "_" + keyExchange(hybrid) + "_" + suite.String() + "_SHA256"
}

// acceptable lists the names that this side would agree to, best first.
func (l *Local) acceptable(kind Kind) (names []string) {
	for _, hybrid := range []bool{true, false} {
		if hybrid && l.PQ == PQOff || !hybrid && l.PQ == PQRequire {
			continue
		}
		for _, suite := range l.suites() {
			names = append(names, protocolName(kind, hybrid, suite))
		}
	}
	return names
}

// proposal is the name that the initiator asks for now, and the others that it
// would agree to.
func (l *Local) proposal() (name string, also []string) {
	names := l.acceptable(l.Kind)
	return names[l.refused], slices.Delete(slices.Clone(names), l.refused, l.refused+1)
}

// suiteOf finds the suite of a name that a link of this kind can have.
func suiteOf(kind Kind, name string) (suite Suite, hybrid, ok bool) {
	for _, suite := range defaultSuites {
		for _, hybrid := range []bool{true, false} {
			if name == protocolName(kind, hybrid, suite) {
				return suite, hybrid, true
			}
		}
	}
	return 0, false, false
}

// judge decides as responder about a proposal: it must be acceptable here, and
// when it is X25519 alone, the initiator must not have been willing to do
// better together with us. The names in also are covered by the prologue, so
// whoever removes them breaks the handshake.
func (l *Local) judge(h *hello) error {
	if !slices.Contains(l.acceptable(h.kind), h.protocol) {
		return refuse(ReasonSuiteRefused, "protocol %s is not allowed here", h.protocol)
	}
	if _, hybrid, _ := suiteOf(h.kind, h.protocol); hybrid {
		return nil
	}
	for _, other := range h.also {
		if _, hybrid, _ := suiteOf(h.kind, other); hybrid && slices.Contains(l.acceptable(h.kind), other) {
			return refuse(ReasonDowngrade, "peer proposes %s although both sides can do %s", h.protocol, other)
		}
	}
	return nil
}
