package handshake

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdh"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash"
	"os"
	"slices"
	"testing"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/holocompute/holocompute/internal/key"
)

// vectorAlgorithms are those of public vectors: more than links use.
var vectorAlgorithms = algorithms{
	ciphers: map[string]cipherAlgorithm{
		"AESGCM":      cipherAESGCM,
		"ChaChaPoly":  {chacha20poly1305.New, chacha20poly1305.NonceSize, binary.LittleEndian.PutUint64},
		"XChaChaPoly": cipherXChaChaPoly,
	},
	hashes: map[string]func() hash.Hash{
		"SHA256": sha256.New, "SHA512": sha512.New,
		"BLAKE2s": func() hash.Hash { h, _ := blake2s.New256(nil); return h },
		"BLAKE2b": func() hash.Hash { h, _ := blake2b.New512(nil); return h },
	},
}

// octets are bytes that JSON has in hexadecimal.
type octets []byte

func (o *octets) UnmarshalText(text []byte) (err error) {
	*o, err = hex.AppendDecode(nil, text)
	return err
}

type noiseVector struct {
	Name             string   `json:"protocol_name"`
	InitPrologue     octets   `json:"init_prologue"`
	RespPrologue     octets   `json:"resp_prologue"`
	InitPSKs         []octets `json:"init_psks"`
	RespPSKs         []octets `json:"resp_psks"`
	InitEphemeral    octets   `json:"init_ephemeral"`
	RespEphemeral    octets   `json:"resp_ephemeral"`
	InitStatic       octets   `json:"init_static"`
	RespStatic       octets   `json:"resp_static"`
	InitRemoteStatic octets   `json:"init_remote_static"`
	RespRemoteStatic octets   `json:"resp_remote_static"`
	HandshakeHash    octets   `json:"handshake_hash"`
	Messages         []struct{ Payload, Ciphertext octets }
}

// cacophonyCount is how many of the file's vectors names with 25519 can
// express; a parser that lost some would show here.
const cacophonyCount = 240

func TestPublicNoiseVectors(t *testing.T) {
	var file struct{ Vectors []noiseVector }
	readVectors(t, "testdata/cacophony-25519.json.gz", &file)
	if len(file.Vectors) != cacophonyCount {
		t.Fatalf("%d vectors, want %d", len(file.Vectors), cacophonyCount)
	}
	seen := map[string]bool{}
	for _, v := range file.Vectors {
		seen[v.Name] = true
		t.Run(v.Name, v.check)
	}
	if len(seen) != cacophonyCount {
		t.Errorf("%d names, want %d", len(seen), cacophonyCount)
	}
}

func (v noiseVector) check(t *testing.T) {
	p, err := parseProtocol(v.Name, vectorAlgorithms)
	if err != nil {
		t.Fatal(err)
	}
	initiator := fixedNoise(t, p, true, v.InitPrologue, v.InitStatic, v.InitRemoteStatic, v.InitEphemeral, v.InitPSKs)
	responder := fixedNoise(t, p, false, v.RespPrologue, v.RespStatic, v.RespRemoteStatic, v.RespEphemeral, v.RespPSKs)
	rest := v.Messages
	for from, to := initiator, responder; !initiator.complete(); from, to = to, from {
		message, err := from.write(rest[0].Payload)
		if err != nil || !bytes.Equal(message, rest[0].Ciphertext) {
			t.Fatalf("message %d is %x, %v\nwant %x", from.next, message, err, rest[0].Ciphertext)
		}
		payload, err := to.read(message)
		if err != nil || !bytes.Equal(payload, rest[0].Payload) {
			t.Fatalf("payload %d is %x, %v", to.next, payload, err)
		}
		rest = rest[1:]
	}
	if !bytes.Equal(initiator.hash(), v.HandshakeHash) || !bytes.Equal(responder.hash(), v.HandshakeHash) {
		t.Fatal("another handshake hash")
	}
	if len(rest) == 0 {
		t.Fatal("no transport messages to check the keys with")
	}
	keys := [2]cipherState{{algorithm: p.cipher}, {algorithm: p.cipher}}
	first, second := initiator.symmetric.split()
	keys[0].setKey(first)
	keys[1].setKey(second)
	turn := len(v.Messages) - len(rest) // the sides go on taking turns
	for i, m := range rest {
		if got := keys[(turn+i)%2].seal(nil, nil, m.Payload); !bytes.Equal(got, m.Ciphertext) {
			t.Fatalf("transport message %d is %x", i, got)
		}
	}
}

func fixedNoise(t *testing.T, p *noiseProtocol, initiator bool, prologue, static, remote, ephemeral octets, psks []octets) *handshakeState {
	t.Helper()
	c := noiseConfig{initiator: initiator, prologue: prologue}
	if len(static) > 0 {
		c.static = privateKey(t, static)
	}
	if len(remote) > 0 {
		c.remoteStatic = publicKey(t, remote)
	}
	for _, psk := range psks {
		c.psks = append(c.psks, secretFrom(t, psk))
	}
	h, err := newNoise(p, c)
	if err != nil {
		t.Fatal(err)
	}
	if len(ephemeral) > 0 {
		h.chance.ephemeral = func() (*ecdh.PrivateKey, error) { return ecdh.X25519().NewPrivateKey(ephemeral) }
	}
	return h
}

func TestProtocolNamesAreStrict(t *testing.T) {
	good := []string{
		"Noise_XXhfs+psk0_25519+MLKEM768_AESGCM_SHA256", "Noise_XXhfs_25519+MLKEM768_XChaChaPoly_SHA256",
		"Noise_XXpsk0_25519_AESGCM_SHA256", "Noise_NNpsk0+psk2_25519_AESGCM_SHA256",
	}
	for _, name := range good {
		if p, err := parseProtocol(name, linkAlgorithms); err != nil || p.name != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := []string{
		"", "Noise", "Noise_XX_25519_AESGCM", "Noise_XX_25519_AESGCM_SHA256_x", "noise_XX_25519_AESGCM_SHA256", "Noise_X_25519_AESGCM_SHA256",
		"Noise_ZZ_25519_AESGCM_SHA256", "Noise_XX_448_AESGCM_SHA256", "Noise_XX_25519_ChaChaPoly_SHA256", "Noise_XX_25519_AESGCM_SHA512",
		"Noise_XXhfs_25519_AESGCM_SHA256", "Noise_XX_25519+MLKEM768_AESGCM_SHA256", "Noise_XXhfs_25519+ML-KEM-768_AESGCM_SHA256",
		"Noise_XXpsk0+hfs_25519+MLKEM768_AESGCM_SHA256", "Noise_XXpsk0+psk0_25519_AESGCM_SHA256", "Noise_XXpsk4_25519_AESGCM_SHA256",
		"Noise_XXpsk_25519_AESGCM_SHA256", "Noise_XXpsk00_25519_AESGCM_SHA256", "Noise_XXfallback_25519_AESGCM_SHA256", "Noise_XX+psk0_25519_AESGCM_SHA256",
		"Noise_XXpsk/_25519_AESGCM_SHA256", "Noise_XXpsk-1_25519_AESGCM_SHA256",
	}
	for _, name := range bad {
		if _, err := parseProtocol(name, linkAlgorithms); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestHybridTokensStandWhereTheExtensionPutsThem(t *testing.T) {
	for name, want := range map[string][]string{
		"XX": {"e e1", "e ee ekem1 s es", "s se"},
		"NN": {"e e1", "e ee ekem1"},
		"IK": {"e es e1 s ss", "e ee ekem1 se"},
		"KK": {"e es e1 ss", "e ee ekem1 se"},
		"IX": {"e e1 s", "e ee ekem1 se s es"},
	} {
		p, err := parseProtocol("Noise_"+name+"hfs_25519+MLKEM768_AESGCM_SHA256", linkAlgorithms)
		if err != nil {
			t.Fatal(err)
		}
		for i, message := range p.messages {
			if !slices.Equal(message, parseTokens(want[i])) {
				t.Errorf("%s message %d is %v, want %s", name, i+1, message, want[i])
			}
		}
	}
	p, err := parseProtocol("Noise_XXhfs+psk0_25519+MLKEM768_AESGCM_SHA256", linkAlgorithms)
	if err != nil || !slices.Equal(p.messages[0], parseTokens("psk e e1")) {
		t.Errorf("message 1 of our own protocol: %v, %v", p, err)
	}
}

// TestPSKMustBeThere: a library that takes a psk "later" takes an empty one.
func TestPSKMustBeThere(t *testing.T) {
	for name, count := range map[string]int{"NNpsk0": 1, "NNpsk2": 1, "NNpsk0+psk2": 2, "NN": 0} {
		p, err := parseProtocol("Noise_"+name+"_25519_AESGCM_SHA256", linkAlgorithms)
		if err != nil {
			t.Fatal(err)
		}
		for given := range 4 {
			psks := make([]key.Secret, given)
			for i := range psks {
				psks[i] = key.Random()
			}
			if _, err := newNoise(p, noiseConfig{psks: psks}); (err == nil) != (given == count) {
				t.Errorf("%s with %d psks: %v", name, given, err)
			}
		}
		if count > 0 {
			if _, err := newNoise(p, noiseConfig{psks: make([]key.Secret, count)}); err == nil {
				t.Errorf("%s takes an empty psk", name)
			}
			if _, err := newNoise(p, noiseConfig{psks: slices.Repeat([]key.Secret{key.RandomOf(20)}, count)}); err == nil {
				t.Errorf("%s takes a psk of 20 bytes", name)
			}
		}
	}
}

func TestKnownStaticKeysMustBeThere(t *testing.T) {
	p, err := parseProtocol("Noise_KK_25519_AESGCM_SHA256", linkAlgorithms)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := randomPrivate(t), randomPrivate(t).PublicKey()
	for _, initiator := range []bool{true, false} {
		if _, err := newNoise(p, noiseConfig{initiator: initiator, static: ours}); err == nil {
			t.Error("without the peer's key")
		}
		if _, err := newNoise(p, noiseConfig{initiator: initiator, remoteStatic: theirs}); err == nil {
			t.Error("without our key")
		}
		if _, err := newNoise(p, noiseConfig{initiator: initiator, static: ours, remoteStatic: theirs}); err != nil {
			t.Error(err)
		}
	}
}

func readVectors(t *testing.T, path string, into any) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(unzipped).Decode(into); err != nil {
		t.Fatal(err)
	}
}
