package handshake

import (
	"crypto/ecdh"
	"crypto/mlkem"
)

// write makes the next message, with a payload.
func (h *handshakeState) write(payload []byte) ([]byte, error) {
	if h.failed || h.complete() || !h.ours() {
		return nil, errTurn
	}
	var message []byte
	var err error
	for _, t := range h.protocol.messages[h.next] {
		if message, err = h.writeToken(message, t); err != nil {
			return nil, h.fail(err)
		}
	}
	message = h.symmetric.encryptAndHash(message, payload)
	if len(message) > maxNoise {
		return nil, h.fail(errLong)
	}
	h.next++
	return message, nil
}

func (h *handshakeState) writeToken(message []byte, t token) ([]byte, error) {
	switch t {
	case tokenE:
		return h.writeEphemeral(message)
	case tokenS:
		if h.static == nil {
			return nil, errMissing
		}
		return h.symmetric.encryptAndHash(message, h.static.PublicKey().Bytes()), nil
	case tokenPSK:
		h.mixPSK()
		return message, nil
	case tokenE1:
		return h.writeEncapsulationKey(message)
	case tokenEKEM1:
		return h.writeCiphertext(message)
	}
	return message, h.dh(t)
}

func (h *handshakeState) writeEphemeral(message []byte) ([]byte, error) {
	private, err := h.chance.ephemeral()
	if err != nil {
		return nil, err
	}
	h.ephemeral = private
	public := private.PublicKey().Bytes()
	h.mixEphemeral(public)
	return append(message, public...), nil
}

func (h *handshakeState) writeEncapsulationKey(message []byte) ([]byte, error) {
	decapsulation, err := h.chance.decapsulate()
	if err != nil {
		return nil, err
	}
	h.decapsulation = decapsulation
	return h.symmetric.encryptAndHash(message, decapsulation.EncapsulationKey().Bytes()), nil
}

// writeCiphertext encrypts the ML-KEM ciphertext under the key so far and only
// then mixes its secret in: the other order could not be read.
func (h *handshakeState) writeCiphertext(message []byte) ([]byte, error) {
	if h.encapsulation == nil {
		return nil, errMissing
	}
	shared, ciphertext := h.chance.encapsulate(h.encapsulation)
	message = h.symmetric.encryptAndHash(message, ciphertext)
	h.symmetric.mixKey(shared)
	clear(shared)
	return message, nil
}

// read takes the peer's next message apart and gives its payload.
func (h *handshakeState) read(message []byte) (payload []byte, err error) {
	if h.failed || h.complete() || h.ours() {
		return nil, errTurn
	}
	if len(message) > maxNoise {
		return nil, h.fail(errLong)
	}
	for _, t := range h.protocol.messages[h.next] {
		if message, err = h.readToken(message, t); err != nil {
			return nil, h.fail(err)
		}
	}
	if payload, err = h.symmetric.decryptAndHash(message); err != nil {
		return nil, h.fail(err)
	}
	h.next++
	return payload, nil
}

func (h *handshakeState) readToken(message []byte, t token) (rest []byte, err error) {
	switch t {
	case tokenE:
		return h.readEphemeral(message)
	case tokenS:
		public, rest, err := h.readSealed(message, publicSize)
		if err == nil {
			h.remoteStatic, err = ecdh.X25519().NewPublicKey(public)
		}
		return rest, err
	case tokenPSK:
		h.mixPSK()
		return message, nil
	case tokenE1:
		public, rest, err := h.readSealed(message, mlkem.EncapsulationKeySize768)
		if err == nil {
			h.encapsulation, err = mlkem.NewEncapsulationKey768(public) // checks the modulus, as FIPS 203 demands
		}
		return rest, err
	case tokenEKEM1:
		return h.readCiphertext(message)
	}
	return message, h.dh(t)
}

func (h *handshakeState) readEphemeral(message []byte) (rest []byte, err error) {
	if len(message) < publicSize {
		return nil, errShort
	}
	public, rest := message[:publicSize], message[publicSize:]
	if h.remoteEphemeral, err = ecdh.X25519().NewPublicKey(public); err != nil {
		return nil, err
	}
	h.mixEphemeral(public)
	return rest, nil
}

// readCiphertext never fails on a wrong ciphertext as such: decapsulation then
// gives a random secret, and the next thing that is opened does not open.
func (h *handshakeState) readCiphertext(message []byte) (rest []byte, err error) {
	if h.decapsulation == nil {
		return nil, errMissing
	}
	ciphertext, rest, err := h.readSealed(message, mlkem.CiphertextSize768)
	if err != nil {
		return nil, err
	}
	shared, err := h.decapsulation.Decapsulate(ciphertext)
	if err != nil {
		return nil, err
	}
	h.symmetric.mixKey(shared)
	clear(shared)
	return rest, nil
}

// readSealed opens the next field, of n bytes in clear.
func (h *handshakeState) readSealed(message []byte, n int) (field, rest []byte, err error) {
	n += h.symmetric.overhead()
	if len(message) < n {
		return nil, nil, errShort
	}
	field, err = h.symmetric.decryptAndHash(message[:n])
	return field, message[n:], err
}
