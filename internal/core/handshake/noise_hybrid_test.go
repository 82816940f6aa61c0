package handshake

import (
	"bytes"
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"encoding/hex"
	"testing"

	"github.com/holocompute/holocompute/internal/key"
)

// fixedChance makes a side's fresh keys predictable: an X25519 key of repeated
// bytes, a KEM key from a seed, an encapsulation from a repeated byte.
func fixedChance(t *testing.T, ephemeral, seed, random byte) chance {
	return chance{
		ephemeral:   func() (*ecdh.PrivateKey, error) { return privateKey(t, repeated(ephemeral, 32)), nil },
		decapsulate: func() (*mlkem.DecapsulationKey768, error) { return mlkem.NewDecapsulationKey768(repeated(seed, 64)) },
		encapsulate: func(ek *mlkem.EncapsulationKey768) (shared, ciphertext []byte) {
			shared, ciphertext, err := mlkemtest.Encapsulate768(ek, repeated(random, 32))
			if err != nil {
				t.Fatal(err)
			}
			return shared, ciphertext
		},
	}
}

// noisePair is a handshake of which every key is fixed.
func noisePair(t *testing.T, p *noiseProtocol, psks []key.Secret, random byte) (i, r *handshakeState) {
	t.Helper()
	i = must(newNoise(p, noiseConfig{initiator: true, static: privateKey(t, repeated(0x11, 32)), psks: psks}))(t)
	r = must(newNoise(p, noiseConfig{static: privateKey(t, repeated(0x12, 32)), psks: psks}))(t)
	i.chance, r.chance = fixedChance(t, 0x13, 0x15, 0), fixedChance(t, 0x14, 0, random)
	return i, r
}

func converse(t *testing.T, from, to *handshakeState) (messages [][]byte) {
	t.Helper()
	for ; !from.complete(); from, to = to, from {
		message := must(from.write(nil))(t)
		if payload := must(to.read(message))(t); len(payload) > 0 {
			t.Fatal("a payload from nowhere")
		}
		messages = append(messages, message)
	}
	return messages
}

// TestHybridKnownAnswer reproduces a handshake that an independent
// implementation (js-libp2p-noise on @noble/post-quantum) made. Its name spells
// ML-KEM-768 with hyphens, which Noise forbids and parseProtocol refuses.
func TestHybridKnownAnswer(t *testing.T) {
	p := must(parseProtocol("Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256", vectorAlgorithms))(t)
	p.name = "Noise_XXhfs_25519+ML-KEM-768_ChaChaPoly_SHA256"
	i, r := noisePair(t, p, nil, 0x16)
	messages := converse(t, i, r)
	for n, want := range []struct {
		size   int
		prefix string
	}{
		{1216, hex.EncodeToString(i.ephemeral.PublicKey().Bytes()) + "b989c17f78bdfc62afa2c0855471be97"},
		{1200, "18a6f8c1a7fddf22bd410138f79f7298cd38d1d0a542d4266d556be8609d88622570124958817200657f56c202337a8e"},
		{64, "ddacaa0284833e7cfe64c1086652310737e24d4f9e9b01f851097a89dbc9ac0c9c9c3f7a6039d5d41edfe039792721b4ebf3a2d3cb8c67b29447f0b2a2bf422e"},
	} {
		if got := hex.EncodeToString(messages[n]); len(messages[n]) != want.size || got[:len(want.prefix)] != want.prefix {
			t.Errorf("message %d has %d bytes and starts %s", n+1, len(messages[n]), got[:64])
		}
	}
	if got := hex.EncodeToString(i.hash()); got != "86b6140bdd5266658b0f25b5d3088153418f072068fb1564bf0502429d5ee862" {
		t.Errorf("handshake hash %s", got)
	}
	first, second := i.symmetric.split()
	if hex.EncodeToString(first) != "2931480a25e21d6f48b8687d7d753d0097d755fc8e76764b797a3c9db038422b" {
		t.Errorf("first key %x", first)
	}
	if hex.EncodeToString(second) != "49849d5ec7ee65f51397789fee47f984fee70a4d4628ea065e2a2b89395ea67a" {
		t.Errorf("second key %x", second)
	}
	their1, their2 := r.symmetric.split()
	if !bytes.Equal(first, their1) || !bytes.Equal(second, their2) || !bytes.Equal(i.hash(), r.hash()) {
		t.Error("the two sides disagree")
	}
}

func TestHybridMessageSizes(t *testing.T) {
	for name, want := range map[string][3]int{
		protocolName(KindNode, true, AESGCM):        {1248, 1200, 64},
		protocolName(KindClient, true, XChaChaPoly): {1216, 1200, 64},
		protocolName(KindNode, false, AESGCM):       {48, 96, 64},
	} {
		p := must(parseProtocol(name, linkAlgorithms))(t)
		i, r := noisePair(t, p, pskFor(t, p), 0x16)
		for n, message := range converse(t, i, r) {
			if len(message) != want[n] {
				t.Errorf("%s message %d has %d bytes, want %d", name, n+1, len(message), want[n])
			}
		}
	}
}

func pskFor(t *testing.T, p *noiseProtocol) []key.Secret {
	if p.psks == 0 {
		return nil
	}
	return []key.Secret{secretFrom(t, repeated(0x17, 32))}
}

// splitWith runs a handshake in which every X25519 key and the psk is known,
// with the given ML-KEM randomness, and gives the keys.
func splitWith(t *testing.T, hybrid bool, random byte) []byte {
	t.Helper()
	p := must(parseProtocol(protocolName(KindNode, hybrid, AESGCM), linkAlgorithms))(t)
	i, r := noisePair(t, p, pskFor(t, p), random)
	converse(t, i, r)
	first, second := i.symmetric.split()
	return append(first, second...)
}

// TestBrokenX25519DoesNotGiveTheKeys (threat-model row TS-2): whoever has all
// X25519 private keys and the psk has the keys of a classical session, and
// still lacks those of a hybrid one, which change with the ML-KEM secret alone.
func TestBrokenX25519DoesNotGiveTheKeys(t *testing.T) {
	if !bytes.Equal(splitWith(t, false, 1), splitWith(t, false, 2)) {
		t.Fatal("control: a classical session has another secret than X25519 and the psk")
	}
	if !bytes.Equal(splitWith(t, true, 1), splitWith(t, true, 1)) {
		t.Fatal("control: a hybrid session is not determined by its secrets")
	}
	a, b := splitWith(t, true, 1), splitWith(t, true, 2)
	if bytes.Equal(a[:32], b[:32]) || bytes.Equal(a[32:], b[32:]) {
		t.Error("the keys do not depend on ML-KEM")
	}
}

// TestBrokenMLKEMDoesNotGiveTheKeys is the other half: with the ML-KEM secret
// known, each X25519 key matters.
func TestBrokenMLKEMDoesNotGiveTheKeys(t *testing.T) {
	p := must(parseProtocol(protocolName(KindNode, true, AESGCM), linkAlgorithms))(t)
	keys := map[string]string{}
	for _, change := range []string{"nothing", "ephemeral", "initiator static", "responder static", "psk"} {
		psks := pskFor(t, p)
		if change == "psk" {
			psks = []key.Secret{secretFrom(t, repeated(0x18, 32))}
		}
		i, r := noisePair(t, p, psks, 1)
		switch change {
		case "ephemeral":
			i.chance.ephemeral = func() (*ecdh.PrivateKey, error) { return privateKey(t, repeated(0x21, 32)), nil }
		case "initiator static":
			i.static = privateKey(t, repeated(0x22, 32))
		case "responder static":
			r.static = privateKey(t, repeated(0x23, 32))
		}
		converse(t, i, r)
		first, _ := i.symmetric.split()
		if other, twice := keys[string(first)]; twice {
			t.Errorf("changing %s gives the same key as changing %s", change, other)
		}
		keys[string(first)] = change
	}
}

// TestWrongCiphertextFailsImplicitly: ML-KEM answers a wrong ciphertext with a
// random secret, so the handshake must fail at what is opened next.
func TestWrongCiphertextFailsImplicitly(t *testing.T) {
	p := must(parseProtocol(protocolName(KindNode, true, AESGCM), linkAlgorithms))(t)
	i, r := noisePair(t, p, pskFor(t, p), 1)
	r.chance.encapsulate = func(ek *mlkem.EncapsulationKey768) (shared, ciphertext []byte) {
		shared, ciphertext = ek.Encapsulate()
		ciphertext[7] ^= 1
		return shared, ciphertext
	}
	must(r.read(must(i.write(nil))(t)))(t)
	if _, err := i.read(must(r.write(nil))(t)); err == nil {
		t.Error("a wrong ciphertext went through")
	}
}

// TestKEMKeyOutOfRangeIsRefused: FIPS 203 demands the modulus check.
func TestKEMKeyOutOfRangeIsRefused(t *testing.T) {
	p := must(parseProtocol(protocolName(KindClient, true, AESGCM), linkAlgorithms))(t)
	_, r := noisePair(t, p, nil, 1)
	message := append(repeated(9, publicSize), repeated(0xff, mlkem.EncapsulationKeySize768)...)
	if _, err := r.read(message); err == nil {
		t.Error("a key with coefficients of 4095 was taken")
	}
	if _, err := r.write(nil); err == nil {
		t.Error("a handshake goes on after its failure")
	}
}
