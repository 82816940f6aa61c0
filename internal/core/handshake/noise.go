package handshake

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rand"
	"errors"

	"github.com/holocompute/holocompute/internal/key"
)

// maxNoise is the longest Noise message (section 3).
const maxNoise = 65535

const publicSize = 32 // of an X25519 public key

var (
	errShort    = errors.New("message too short")
	errLong     = errors.New("message too long")
	errTurn     = errors.New("not this side's turn, or after a failure or the end")
	errMissing  = errors.New("a key that the pattern needs is missing")
	errPSKCount = errors.New("the number of pre-shared keys is not that of the pattern")
)

// noiseConfig is what one side brings to a handshake.
type noiseConfig struct {
	initiator    bool
	prologue     []byte
	static       *ecdh.PrivateKey // nil: the pattern needs none
	remoteStatic *ecdh.PublicKey  // known beforehand, in patterns with K
	psks         []key.Secret
}

// chance is where fresh keys come from. Tests replace it by fixed keys to
// reproduce published handshakes; there is no way to from outside.
type chance struct {
	ephemeral   func() (*ecdh.PrivateKey, error)
	decapsulate func() (*mlkem.DecapsulationKey768, error)
	encapsulate func(*mlkem.EncapsulationKey768) (shared, ciphertext []byte)
}

var systemChance = chance{
	ephemeral:   func() (*ecdh.PrivateKey, error) { return ecdh.X25519().GenerateKey(rand.Reader) },
	decapsulate: mlkem.GenerateKey768,
	encapsulate: (*mlkem.EncapsulationKey768).Encapsulate,
}

// handshakeState is Noise's HandshakeState (section 5.3). Any failure is final.
type handshakeState struct {
	noiseConfig
	protocol        *noiseProtocol
	symmetric       *symmetricState
	chance          chance
	ephemeral       *ecdh.PrivateKey
	remoteEphemeral *ecdh.PublicKey
	decapsulation   *mlkem.DecapsulationKey768 // e1, ours
	encapsulation   *mlkem.EncapsulationKey768 // e1, the peer's
	next            int                        // index of the next message
	failed          bool
}

// newNoise starts a handshake. Every key that the pattern takes from outside
// must be there now: a psk that is set later is a psk that may be forgotten.
func newNoise(p *noiseProtocol, c noiseConfig) (*handshakeState, error) {
	if len(c.psks) != p.psks {
		return nil, errPSKCount
	}
	for _, psk := range c.psks {
		if psk.Len() != keySize {
			return nil, errPSKCount
		}
	}
	h := &handshakeState{noiseConfig: c, protocol: p, symmetric: newSymmetric(p), chance: systemChance}
	h.symmetric.mixHash(c.prologue)
	if err := h.mixKnown(p.knowsInitiator, c.initiator); err != nil {
		return nil, err
	}
	return h, h.mixKnown(p.knowsResponder, !c.initiator)
}

// mixKnown adds a static key that both sides knew before the first message.
func (h *handshakeState) mixKnown(known, ours bool) error {
	switch {
	case !known:
	case ours && h.static != nil:
		h.symmetric.mixHash(h.static.PublicKey().Bytes())
	case !ours && h.remoteStatic != nil:
		h.symmetric.mixHash(h.remoteStatic.Bytes())
	default:
		return errMissing
	}
	return nil
}

func (h *handshakeState) complete() bool { return h.next == len(h.protocol.messages) }

// ours reports whether this side sends the next message.
func (h *handshakeState) ours() bool { return (h.next%2 == 0) == h.initiator }

// hash is the channel binding once the handshake is complete. It is public.
func (h *handshakeState) hash() []byte { return h.symmetric.h }

func (h *handshakeState) fail(err error) error {
	h.failed = true
	h.symmetric.wipe()
	return err
}

// dh mixes in one Diffie-Hellman. The standard library refuses the all-zero
// result, hence all points of small order.
func (h *handshakeState) dh(t token) error {
	private, public := h.ephemeral, h.remoteEphemeral
	switch {
	case t == tokenSS:
		private, public = h.static, h.remoteStatic
	case t == tokenES && h.initiator, t == tokenSE && !h.initiator:
		public = h.remoteStatic
	case t != tokenEE:
		private = h.static
	}
	if private == nil || public == nil {
		return errMissing
	}
	shared, err := private.ECDH(public)
	if err != nil {
		return err
	}
	h.symmetric.mixKey(shared)
	clear(shared)
	return nil
}

func (h *handshakeState) mixPSK() {
	h.symmetric.mixKeyAndHash(h.psks[0].Bytes())
	h.psks = h.psks[1:]
}

// mixEphemeral adds an ephemeral public key; with pre-shared keys as a secret
// too, so that the first message's key is fresh (Noise section 9.2).
func (h *handshakeState) mixEphemeral(public []byte) {
	h.symmetric.mixHash(public)
	if h.protocol.psks > 0 {
		h.symmetric.mixKey(public)
	}
}
