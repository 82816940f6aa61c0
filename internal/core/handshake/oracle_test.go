package handshake

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/flynn/noise"

	"github.com/holocompute/holocompute/internal/key"
)

var oraclePatterns = map[string]noise.HandshakePattern{
	"NN": noise.HandshakeNN, "NK": noise.HandshakeNK, "NX": noise.HandshakeNX, "XN": noise.HandshakeXN,
	"XK": noise.HandshakeXK, "XX": noise.HandshakeXX, "KN": noise.HandshakeKN, "KK": noise.HandshakeKK,
	"KX": noise.HandshakeKX, "IN": noise.HandshakeIN, "IK": noise.HandshakeIK, "IX": noise.HandshakeIX,
}

// party is a side of a handshake, ours or the oracle's.
type party interface {
	speak(payload []byte) ([]byte, error)
	hear(message []byte) ([]byte, error)
	binding() []byte
	// seal and open use the keys of the finished handshake.
	seal(text []byte) ([]byte, error)
	open(text []byte) ([]byte, error)
}

// TestTwoImplementationsAgree runs our code against flynn/noise, with random
// keys, prologues and payloads, each once as initiator and once as responder.
func TestTwoImplementationsAgree(t *testing.T) {
	chance, runs := rand.New(rand.NewPCG(1, 2)), 0
	for name := range oraclePatterns {
		for _, modifier := range []string{"", "psk0", "psk1", "psk2", "psk3"} {
			for _, cipher := range []string{"AESGCM", "ChaChaPoly"} {
				for _, ours := range []bool{true, false} {
					full := "Noise_" + name + modifier + "_25519_" + cipher + "_SHA256"
					p, err := parseProtocol(full, vectorAlgorithms)
					if err != nil {
						continue // psk3 of a pattern with two messages
					}
					runs++
					t.Run(full, func(t *testing.T) { agree(t, chance, p, name, modifier, cipher, ours) })
				}
			}
		}
	}
	// Nine patterns have two messages, three have three.
	if want := (9*4 + 3*5) * 2 * 2; runs != want {
		t.Errorf("%d runs, want %d", runs, want)
	}
}

func agree(t *testing.T, chance *rand.Rand, p *noiseProtocol, pattern, modifier, cipher string, oursInitiates bool) {
	prologue, psk := randomBytes(chance, 40), randomBytes(chance, 32)
	statics := [2][]byte{randomBytes(chance, 32), randomBytes(chance, 32)}
	us, it := 0, 1
	if !oursInitiates {
		us, it = 1, 0
	}
	var parties [2]party
	parties[us] = newOurs(t, p, oursInitiates, prologue, psk, statics[us], statics[it])
	parties[it] = newOracle(t, p, pattern, modifier, cipher, !oursInitiates, prologue, psk, statics[it], statics[us])
	for n := range p.messages {
		payload := randomBytes(chance, chance.IntN(100))
		message := must(parties[n%2].speak(payload))(t)
		if got := must(parties[1-n%2].hear(message))(t); !bytes.Equal(got, payload) {
			t.Fatalf("payload %d is %x, was %x", n, got, payload)
		}
	}
	if !bytes.Equal(parties[0].binding(), parties[1].binding()) {
		t.Fatal("different handshake hashes")
	}
	for n := range 6 {
		text := randomBytes(chance, 1+chance.IntN(100))
		sealed := must(parties[n%2].seal(text))(t)
		if got := must(parties[1-n%2].open(sealed))(t); !bytes.Equal(got, text) {
			t.Fatalf("text %d is %x, was %x", n, got, text)
		}
	}
}

func randomBytes(chance *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(chance.Uint32())
	}
	return b
}

type ours struct {
	*handshakeState
	keys []*cipherState // sending, receiving
}

func newOurs(t *testing.T, p *noiseProtocol, initiator bool, prologue, psk, static, peer []byte) *ours {
	c := noiseConfig{initiator: initiator, prologue: prologue, static: privateKey(t, static)}
	if known := p.knowsResponder && initiator || p.knowsInitiator && !initiator; known {
		c.remoteStatic = privateKey(t, peer).PublicKey()
	}
	if p.psks > 0 {
		c.psks = []key.Secret{secretFrom(t, psk)}
	}
	return &ours{handshakeState: must(newNoise(p, c))(t)}
}

func (o *ours) speak(payload []byte) ([]byte, error) { return o.write(payload) }
func (o *ours) hear(message []byte) ([]byte, error)  { return o.read(message) }
func (o *ours) binding() []byte                      { return o.hash() }

func (o *ours) transport() []*cipherState {
	if o.keys == nil {
		first, second := o.symmetric.split()
		for _, k := range [][]byte{first, second} {
			c := &cipherState{algorithm: o.protocol.cipher}
			c.setKey(k)
			o.keys = append(o.keys, c)
		}
		if !o.initiator {
			slices.Reverse(o.keys)
		}
	}
	return o.keys
}

func (o *ours) seal(text []byte) ([]byte, error) { return o.transport()[0].seal(nil, nil, text), nil }
func (o *ours) open(text []byte) ([]byte, error) { return o.transport()[1].open(nil, nil, text) }

type oracle struct {
	*noise.HandshakeState
	keys []*noise.CipherState // sending, receiving
}

func newOracle(t *testing.T, p *noiseProtocol, pattern, modifier, cipher string, initiator bool, prologue, psk, static, peer []byte) *oracle {
	ciphers := map[string]noise.CipherFunc{"AESGCM": noise.CipherAESGCM, "ChaChaPoly": noise.CipherChaChaPoly}
	config := noise.Config{
		CipherSuite: noise.NewCipherSuite(noise.DH25519, ciphers[cipher], noise.HashSHA256),
		Pattern:     oraclePatterns[pattern], Initiator: initiator, Prologue: prologue,
		StaticKeypair: noise.DHKey{Private: static, Public: privateKey(t, static).PublicKey().Bytes()},
	}
	if known := p.knowsResponder && initiator || p.knowsInitiator && !initiator; known {
		config.PeerStatic = privateKey(t, peer).PublicKey().Bytes()
	}
	if modifier != "" {
		config.PresharedKey, config.PresharedKeyPlacement = psk, int(modifier[3]-'0')
	}
	return &oracle{HandshakeState: must(noise.NewHandshakeState(config))(t)}
}

func (o *oracle) speak(payload []byte) ([]byte, error) {
	message, first, second, err := o.WriteMessage(nil, payload)
	o.keep(first, second, true)
	return message, err
}

func (o *oracle) hear(message []byte) ([]byte, error) {
	payload, first, second, err := o.ReadMessage(nil, message)
	o.keep(first, second, false)
	return payload, err
}

// keep notes the keys that the last message gives: the initiator's first.
func (o *oracle) keep(first, second *noise.CipherState, wroteLast bool) {
	if first == nil {
		return
	}
	o.keys = []*noise.CipherState{first, second}
	initiatorWroteLast := o.MessageIndex()%2 == 1
	if initiatorWroteLast != wroteLast {
		slices.Reverse(o.keys)
	}
}

func (o *oracle) binding() []byte                  { return o.ChannelBinding() }
func (o *oracle) seal(text []byte) ([]byte, error) { return o.keys[0].Encrypt(nil, nil, text) }
func (o *oracle) open(text []byte) ([]byte, error) { return o.keys[1].Decrypt(nil, nil, text) }
