package key

import (
	"bytes"
	"testing"
)

func TestWipeEndsEveryCopyOfASigner(t *testing.T) {
	s := GenerateSigner()
	c, public := s, s.Public()
	private := s.hidden().private
	s.Wipe()
	if !bytes.Equal(private, make([]byte, len(private))) {
		t.Error("the key is still there")
	}
	if !c.IsZero() || c.Sign([]byte("label")) != nil || !c.Seed().IsZero() {
		t.Error("a copy outlives Wipe")
	}
	if c.Public() != public {
		t.Error("the public key is another")
	}
	s.Wipe()
	Signer{}.Wipe()
}
