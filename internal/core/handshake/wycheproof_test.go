package handshake

import (
	"bytes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/sha256"
	"slices"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/holocompute/holocompute/internal/key"
)

// wycheproofGroup holds the fields of all the kinds of group that are used.
type wycheproofGroup struct {
	Type      string
	PublicKey struct{ PK octets }
	Tests     []wycheproofTest
}

type wycheproofTest struct {
	TcID                    int
	Comment, Result         string
	Key, IV, AAD, Msg, CT   octets // AEAD
	Tag, Sig                octets
	Public, Private, Shared octets // X25519
	Seed, EK, M, C, K       octets // ML-KEM; K is the secret
	IKM, Salt, Info, OKM    octets // HKDF
	Size                    int
}

// eachWycheproof calls check for each case and compares the number of cases,
// so that a file that lost some, or a field that is not read, shows.
func eachWycheproof(t *testing.T, file string, count int, check func(g *wycheproofGroup, c *wycheproofTest) (ok bool)) {
	t.Helper()
	var all struct{ TestGroups []wycheproofGroup }
	readVectors(t, "testdata/wycheproof/"+file+".json.gz", &all)
	seen := 0
	for _, g := range all.TestGroups {
		for _, c := range g.Tests {
			seen++
			if ok := check(&g, &c); ok != (c.Result == "valid") && c.Result != "acceptable" {
				t.Errorf("case %d (%s): %s, but ok is %v", c.TcID, c.Comment, c.Result, ok)
			}
		}
	}
	if seen != count {
		t.Errorf("%d cases, want %d", seen, count)
	}
}

func TestWycheproofAEADs(t *testing.T) {
	for _, suite := range []struct {
		file  string
		count int
		aead  func([]byte) (cipher.AEAD, error)
	}{
		{"aes_gcm", 66, cipherAESGCM.aead},
		{"chacha20_poly1305", 316, chacha20poly1305.New},
		{"xchacha20_poly1305", 306, cipherXChaChaPoly.aead},
	} {
		t.Run(suite.file, func(t *testing.T) {
			eachWycheproof(t, suite.file, suite.count, func(_ *wycheproofGroup, c *wycheproofTest) bool {
				aead, err := suite.aead(c.Key)
				if err != nil || aead.NonceSize() != len(c.IV) || aead.Overhead() != tagSize {
					t.Fatalf("case %d: %v", c.TcID, err)
				}
				sealed := slices.Concat(c.CT, c.Tag)
				opened, err := aead.Open(nil, c.IV, sealed, c.AAD)
				return err == nil && bytes.Equal(opened, c.Msg) && bytes.Equal(aead.Seal(nil, c.IV, c.Msg, c.AAD), sealed)
			})
		})
	}
}

// TestWycheproofX25519: points whose product is zero must give an error, and
// all others the stated result.
func TestWycheproofX25519(t *testing.T) {
	zeros := 0
	eachWycheproof(t, "x25519", 518, func(_ *wycheproofGroup, c *wycheproofTest) bool {
		public, err := ecdh.X25519().NewPublicKey(c.Public)
		if err != nil {
			return false
		}
		shared, err := privateKey(t, c.Private).ECDH(public)
		if bytes.Equal(c.Shared, make([]byte, 32)) {
			zeros++
			if err == nil {
				t.Errorf("case %d: the shared secret is zero and nobody says so", c.TcID)
			}
			return false
		}
		if !bytes.Equal(shared, c.Shared) {
			t.Errorf("case %d: shared %x", c.TcID, shared)
		}
		return err == nil
	})
	if zeros != 31 {
		t.Errorf("%d zero results, want 31", zeros)
	}
}

func TestWycheproofMLKEM(t *testing.T) {
	eachWycheproof(t, "mlkem", 13, func(g *wycheproofGroup, c *wycheproofTest) bool {
		if g.Type == "MLKEMTest" {
			return decapsulates(c)
		}
		ek, err := mlkem.NewEncapsulationKey768(c.EK)
		if err != nil {
			return false
		}
		shared, ciphertext, err := mlkemtest.Encapsulate768(ek, c.M)
		return err == nil && bytes.Equal(shared, c.K) && bytes.Equal(ciphertext, c.C)
	})
}

func decapsulates(c *wycheproofTest) bool {
	dk, err := mlkem.NewDecapsulationKey768(c.Seed)
	if err != nil || !bytes.Equal(dk.EncapsulationKey().Bytes(), c.EK) {
		return false
	}
	shared, err := dk.Decapsulate(c.C)
	return err == nil && bytes.Equal(shared, c.K)
}

func TestWycheproofEd25519(t *testing.T) {
	eachWycheproof(t, "ed25519", 150, func(g *wycheproofGroup, c *wycheproofTest) bool {
		return key.Verify([32]byte(g.PublicKey.PK), c.Msg, c.Sig)
	})
}

func TestWycheproofHKDF(t *testing.T) {
	eachWycheproof(t, "hkdf_sha256", 86, func(_ *wycheproofGroup, c *wycheproofTest) bool {
		out, err := hkdf.Key(sha256.New, c.IKM, c.Salt, string(c.Info), c.Size)
		return err == nil && bytes.Equal(out, c.OKM)
	})
}
