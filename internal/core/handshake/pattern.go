package handshake

import (
	"hash"
	"slices"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
)

// token is a step of a handshake message (Noise section 7.1 and the hfs
// extension).
type token string

const (
	tokenE     token = "e"
	tokenS     token = "s"
	tokenEE    token = "ee"
	tokenES    token = "es"
	tokenSE    token = "se"
	tokenSS    token = "ss"
	tokenPSK   token = "psk"
	tokenE1    token = "e1"    // the ML-KEM encapsulation key
	tokenEKEM1 token = "ekem1" // the ML-KEM ciphertext
)

// isDH reports whether the token is one of the four Diffie-Hellman ones.
func (t token) isDH() bool { return t == tokenEE || t == tokenES || t == tokenSE || t == tokenSS }

// pattern is a handshake pattern: whose static keys are known beforehand
// (initiator's, responder's) and the messages, the initiator's first.
type pattern struct {
	knowsInitiator, knowsResponder bool
	messages                       []string
}

// patterns are the twelve interactive ones of Noise section 7.5. Links use XX
// only; the others are here because public test vectors exist for all twelve,
// and what passes all of them reads tokens as everybody else does.
var patterns = map[string]pattern{
	"NN": {false, false, []string{"e", "e ee"}},
	"NK": {false, true, []string{"e es", "e ee"}},
	"NX": {false, false, []string{"e", "e ee s es"}},
	"XN": {false, false, []string{"e", "e ee", "s se"}},
	"XK": {false, true, []string{"e es", "e ee", "s se"}},
	"XX": {false, false, []string{"e", "e ee s es", "s se"}},
	"KN": {true, false, []string{"e", "e ee se"}},
	"KK": {true, true, []string{"e es ss", "e ee se"}},
	"KX": {true, false, []string{"e", "e ee se s es"}},
	"IN": {false, false, []string{"e s", "e ee se"}},
	"IK": {false, true, []string{"e es s ss", "e ee se"}},
	"IX": {false, false, []string{"e s", "e ee se s es"}},
}

// noiseProtocol is a parsed protocol name.
type noiseProtocol struct {
	name                           string
	knowsInitiator, knowsResponder bool
	messages                       [][]token
	psks                           int // number of psk tokens
	cipher                         cipherAlgorithm
	hash                           func() hash.Hash
}

// algorithms are the ciphers and hashes that names may mention.
type algorithms struct {
	ciphers map[string]cipherAlgorithm
	hashes  map[string]func() hash.Hash
}

// parseProtocol reads a name such as Noise_XXhfs+psk0_25519+MLKEM768_AESGCM_SHA256.
func parseProtocol(name string, known algorithms) (*noiseProtocol, error) {
	fields := strings.Split(name, "_")
	if len(fields) != 5 || fields[0] != "Noise" || len(fields[1]) < 2 {
		return nil, errProtocol(name)
	}
	base, knownPattern := patterns[fields[1][:2]]
	cipher, knownCipher := known.ciphers[fields[3]]
	hash, knownHash := known.hashes[fields[4]]
	if !knownPattern || !knownCipher || !knownHash {
		return nil, errProtocol(name)
	}
	p := &noiseProtocol{name: name, knowsInitiator: base.knowsInitiator, knowsResponder: base.knowsResponder, cipher: cipher, hash: hash}
	for _, message := range base.messages {
		p.messages = append(p.messages, parseTokens(message))
	}
	hybrid, ok := p.modify(fields[1][2:])
	if !ok || fields[2] != keyExchange(hybrid) {
		return nil, errProtocol(name)
	}
	return p, nil
}

func errProtocol(name string) error {
	return holo.Errorf(holo.Invalid, "parse Noise protocol %q: not supported", name)
}

func parseTokens(message string) (tokens []token) {
	for _, t := range strings.Fields(message) {
		tokens = append(tokens, token(t))
	}
	return tokens
}

func keyExchange(hybrid bool) string {
	if hybrid {
		return "25519+MLKEM768"
	}
	return "25519"
}

// modify applies the modifiers, "hfs+psk0" or "". They stand in alphabetical
// order and each at most once (Noise section 8), so a protocol has one name.
func (p *noiseProtocol) modify(list string) (hybrid, ok bool) {
	if list == "" {
		return false, true
	}
	modifiers := strings.Split(list, "+")
	if !slices.IsSorted(modifiers) || len(slices.Compact(slices.Clone(modifiers))) != len(modifiers) {
		return false, false
	}
	for _, m := range modifiers {
		place, isPSK := strings.CutPrefix(m, "psk")
		switch {
		case m == "hfs":
			hybrid = true
			p.messages = withHFS(p.messages)
		case isPSK && len(place) == 1 && place >= "0" && int(place[0]-'0') <= len(p.messages):
			p.insertPSK(int(place[0] - '0'))
		default:
			return false, false
		}
	}
	return hybrid, true
}

// insertPSK puts a psk token before the first message (0) or after message n.
func (p *noiseProtocol) insertPSK(n int) {
	p.psks++
	if n == 0 {
		p.messages[0] = slices.Insert(p.messages[0], 0, tokenPSK)
		return
	}
	p.messages[n-1] = append(p.messages[n-1], tokenPSK)
}

// withHFS inserts e1 after the first e, or, when a DH follows in the same
// message, after that DH; and ekem1 after the first ee.
func withHFS(messages [][]token) [][]token {
	sentE1, sentEKEM1 := false, false
	out := make([][]token, len(messages))
	for i, message := range messages {
		pending := false
		for _, t := range message {
			out[i] = append(out[i], t)
			pending = pending || t == tokenE && !sentE1
			if pending && (t.isDH() || !slices.ContainsFunc(message, token.isDH)) {
				out[i] = append(out[i], tokenE1)
				pending, sentE1 = false, true
			}
			if t == tokenEE && !sentEKEM1 {
				out[i] = append(out[i], tokenEKEM1)
				sentEKEM1 = true
			}
		}
	}
	return out
}
