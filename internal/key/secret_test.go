package key

import (
	"bytes"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func TestSecretHoldsWhatItWasGiven(t *testing.T) {
	for _, n := range []int{MinSecret, 20, Size, MaxSecret} {
		raw := bytes.Repeat([]byte{7}, n)
		s, err := NewSecret(raw)
		if err != nil {
			t.Fatal(err)
		}
		raw[0] = 9 // the caller's buffer is its own
		if !bytes.Equal(s.Bytes(), bytes.Repeat([]byte{7}, n)) || s.Len() != n || s.IsZero() {
			t.Errorf("a secret of %d bytes came back as %d", n, s.Len())
		}
	}
}

func TestBadSecretsAreRefused(t *testing.T) {
	for name, raw := range map[string][]byte{
		"nil": nil, "short": bytes.Repeat([]byte{1}, MinSecret-1), "long": bytes.Repeat([]byte{1}, MaxSecret+1), "zeros": make([]byte, Size),
	} {
		if s, err := NewSecret(raw); holo.KindOf(err) != holo.Invalid || !s.IsZero() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEqualComparesContents(t *testing.T) {
	raw := bytes.Repeat([]byte{1}, Size)
	a, _ := NewSecret(raw)
	b, _ := NewSecret(raw)
	if !a.Equal(b) || !b.Equal(a) {
		t.Error("equal secrets differ")
	}
	for i := range raw {
		raw[i] ^= 1
		c, _ := NewSecret(raw)
		if a.Equal(c) {
			t.Errorf("byte %d is not compared", i)
		}
		raw[i] ^= 1
	}
	short, _ := NewSecret(raw[:MinSecret])
	if a.Equal(short) || short.Equal(a) {
		t.Error("a prefix equals the whole")
	}
}

func TestNoSecretEqualsNothing(t *testing.T) {
	var none, other Secret
	wiped := Random()
	wiped.Wipe()
	for _, s := range []Secret{other, wiped, Random()} {
		if none.Equal(s) || s.Equal(none) || wiped.Equal(s) {
			t.Error("a secret that is not there equals something")
		}
	}
}

func TestWipeClearsEveryCopy(t *testing.T) {
	s := Random()
	c := s
	bytes := s.Bytes()
	s.Wipe()
	if !c.IsZero() || c.Bytes() != nil || c.Len() != 0 {
		t.Error("a copy outlives Wipe")
	}
	for i, b := range bytes {
		if b != 0 {
			t.Fatalf("byte %d is still there", i)
		}
	}
	s.Wipe()
	Secret{}.Wipe()
}

func TestRandomSecretsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 64 {
		seen[string(Random().Bytes())] = true
		seen[string(RandomOf(20).Bytes())] = true
	}
	if len(seen) != 128 {
		t.Errorf("%d of 128 are distinct", len(seen))
	}
}
