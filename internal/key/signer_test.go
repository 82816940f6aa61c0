package key

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"testing"

	"filippo.io/edwards25519"
)

// TestSignerMatchesRFC8032 uses test 3 of section 7.1.
func TestSignerMatchesRFC8032(t *testing.T) {
	seed := [Size]byte(unhex(t, "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"))
	s := SignerFromSeed(&seed)
	if public := s.Public(); hex.EncodeToString(public[:]) != "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025" {
		t.Errorf("public key %x", public)
	}
	want := "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
	sig := s.Sign([]byte{0xaf, 0x82})
	if hex.EncodeToString(sig) != want {
		t.Errorf("signature %x", sig)
	}
	if !Verify(s.Public(), []byte{0xaf, 0x82}, sig) {
		t.Error("its own signature does not verify")
	}
	again := [Size]byte(s.Seed().Bytes())
	if again != seed {
		t.Error("the seed is another")
	}
}

func TestVerifyRefusesWhatWasNotSigned(t *testing.T) {
	s := GenerateSigner()
	msg := []byte("holocompute/test\x00message")
	sig := s.Sign(msg)
	if Verify(GenerateSigner().Public(), msg, sig) || Verify(s.Public(), msg[1:], sig) {
		t.Error("another key or message verifies")
	}
	if Verify(s.Public(), msg, sig[:63]) || Verify(s.Public(), msg, append(sig, 0)) || Verify(s.Public(), msg, nil) {
		t.Error("a signature of another length verifies")
	}
	for bit := range 8 * len(sig) {
		sig[bit/8] ^= 1 << (bit % 8)
		if Verify(s.Public(), msg, sig) {
			t.Errorf("signature with bit %d flipped verifies", bit)
		}
		sig[bit/8] ^= 1 << (bit % 8)
	}
}

// smallOrder lists all encodings that decode to the eight points of small
// order, non-canonical ones included.
var smallOrder = []string{
	"0100000000000000000000000000000000000000000000000000000000000000", // order 1
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // order 2
	"0000000000000000000000000000000000000000000000000000000000000000", // order 4
	"0000000000000000000000000000000000000000000000000000000000000080",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", // order 8
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"0100000000000000000000000000000000000000000000000000000000000080", // the same again, not canonical
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
}

// TestSignatureThatFitsEveryKeyIsRefused carries the attack out: with a key of
// small order, R = identity and S = 0 is a signature of one message in eight,
// which crypto/ed25519 accepts.
func TestSignatureThatFitsEveryKeyIsRefused(t *testing.T) {
	forged := make([]byte, ed25519.SignatureSize)
	forged[0] = 1
	for _, encoding := range smallOrder {
		public := [Size]byte(unhex(t, encoding))
		accepted := 0
		for n := range uint64(256) {
			msg := binary.BigEndian.AppendUint64(nil, n)
			if ed25519.Verify(public[:], msg, forged) {
				accepted++
			}
			if Verify(public, msg, forged) {
				t.Fatalf("forged signature of message %d verifies with key %s", n, encoding)
			}
		}
		if accepted == 0 {
			t.Errorf("control: the forgery does not even work on crypto/ed25519 with key %s", encoding)
		}
		if CheckPublic(public) == nil {
			t.Errorf("key %s passes", encoding)
		}
	}
}

// The points of small order are the multiples of one of order 8: each of them is
// known, and no other point is taken for one.
func TestEveryPointOfSmallOrderIsKnown(t *testing.T) {
	eighth, err := new(edwards25519.Point).SetBytes(unhex(t, smallOrder[4]))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[[Size]byte]bool)
	for p := edwards25519.NewIdentityPoint(); !seen[[Size]byte(p.Bytes())]; p.Add(p, eighth) {
		seen[[Size]byte(p.Bytes())] = true
		if Binds([Size]byte(p.Bytes())) {
			t.Errorf("%x of small order passes", p.Bytes())
		}
	}
	if len(seen) != 8 || len(torsion) != 5 {
		t.Errorf("%d multiples, %d coordinates", len(seen), len(torsion))
	}
}

func TestKeysThatAreNoPointOrNotCanonicalAreRefused(t *testing.T) {
	for name, encoding := range map[string]string{
		"not on the curve":          "0200000000000000000000000000000000000000000000000000000000000000",
		"y above the prime, y = 3":  "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"y above the prime, y = 18": "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		if CheckPublic([Size]byte(unhex(t, encoding))) == nil {
			t.Errorf("%s passes", name)
		}
	}
	// y = 3 in its canonical encoding is a point, so the refusal above is not
	// for want of a curve point.
	if err := CheckPublic([Size]byte(unhex(t, "0300000000000000000000000000000000000000000000000000000000000000"))); err != nil {
		t.Errorf("y = 3: %v", err)
	}
	for range 32 {
		if err := CheckPublic(GenerateSigner().Public()); err != nil {
			t.Errorf("a fresh key: %v", err)
		}
	}
}

func TestSignerWithoutKeyPanics(t *testing.T) {
	if !(Signer{}).IsZero() || GenerateSigner().IsZero() {
		t.Error("IsZero is wrong")
	}
	defer func() {
		if recover() == nil {
			t.Error("a signer without a key signs")
		}
	}()
	Signer{}.Sign(nil)
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestMain is also the process whose source of randomness fails.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "draw without randomness" {
		rand.Reader = dry{}
		public := GenerateSigner().Public()
		os.Stdout.Write(public[:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type dry struct{}

func (dry) Read([]byte) (int, error) { return 0, errors.New("no randomness") }

func TestIdentitiesAreNeverDrawnTwice(t *testing.T) {
	const count = 100_000
	seen := make(map[[Size]byte]bool, count)
	for range count {
		public := GenerateSigner().Public()
		if seen[public] {
			t.Fatalf("identity %x was drawn twice in %d", public, len(seen))
		}
		seen[public] = true
	}
}

func TestWithoutRandomnessThereIsNoKey(t *testing.T) {
	out, err := exec.Command(os.Args[0], "draw without randomness").Output()
	if _, died := errors.AsType[*exec.ExitError](err); !died || len(out) != 0 {
		t.Errorf("a key was drawn without randomness: %x, %v", out, err)
	}
}
