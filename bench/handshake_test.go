package bench_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/mlkem"
	"crypto/rand"
	"testing"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

const now = 1_800_000_000

// nodes are the two sides of a link between members.
func nodes() (initiator, responder handshake.Local) {
	cluster := holo.ClusterID{1}
	psk := handshake.ClusterPSK(key.Random(), cluster)
	side := func(name string) handshake.Local {
		return handshake.Local{
			Kind: handshake.KindNode, Accept: []handshake.Kind{handshake.KindNode},
			Static: must(handshake.NewStatic(key.GenerateSigner(), cluster, name, now)),
			PSK:    psk, FindPSK: func(_ handshake.Kind, id [8]byte) (handshake.PSK, bool) { return psk, id == psk.ID },
			Admit:     func(handshake.Kind, holo.NodeID, string, []byte) error { return nil },
			Transport: "bench", Exporter: make([]byte, 32), NowUnix: now,
		}
	}
	return side("a"), side("b")
}

// BenchmarkHandshake is a whole handshake in memory, both sides, against the
// public-key operations that its pattern consists of: for each side a key pair,
// three X25519 agreements (ee, es, se) and the verification of a certificate;
// once the generation, encapsulation and decapsulation of ML-KEM-768; and the
// sealing and opening of the seven fields, each under a key of its own.
func BenchmarkHandshake(b *testing.B) {
	i, r := nodes()
	x := ecdh.X25519()
	fixed := must(x.GenerateKey(rand.Reader))
	public, private := must2(ed25519.GenerateKey(rand.Reader))
	message := make([]byte, 120)
	signature := ed25519.Sign(private, message)
	bench.Compare(b, 20, 0, func(n int) {
		for range n {
			for range 2 {
				e := must(x.GenerateKey(rand.Reader))
				for range 3 {
					must(e.ECDH(fixed.PublicKey()))
				}
				if !ed25519.Verify(public, message, signature) {
					b.Fatal("verify")
				}
			}
			kem := must(mlkem.GenerateKey768())
			_, sealed := kem.EncapsulationKey().Encapsulate()
			must(kem.Decapsulate(sealed))
			sealFields(sealed)
		}
	}, func(n int) {
		for range n {
			shake(i, r)
		}
	})
}

// fields are the bytes that a handshake seals: the ML-KEM key and an empty
// payload; its ciphertext, a static key and an identity; and again the latter.
var fields = []int{mlkem.EncapsulationKeySize768, 0, mlkem.CiphertextSize768, 32, 140, 32, 140}

func sealFields(key []byte) {
	for _, size := range fields {
		aead := must(cipher.NewGCM(must(aes.NewCipher(key[:32]))))
		nonce := make([]byte, aead.NonceSize())
		must(aead.Open(nil, nonce, aead.Seal(nil, nonce, make([]byte, size), nil), nil))
	}
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

// shake runs a handshake to its end and checks that both sides agree.
func shake(i, r handshake.Local) {
	im, first, err := handshake.Initiate(i)
	rm := handshake.Respond(r)
	if err != nil {
		panic(err)
	}
	second, _ := must2(rm.Process(first))
	third, _ := must2(im.Process(second))
	if _, done := must2(rm.Process(third)); !done || im.Session().Hash() != rm.Session().Hash() {
		panic("the two sides do not agree")
	}
}
