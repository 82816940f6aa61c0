package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

// TestRequestProofIsTheseBytes is the protocol: clients in other languages
// sign exactly this.
func TestRequestProofIsTheseBytes(t *testing.T) {
	session := bytes.Repeat([]byte{0xab}, SessionSize)
	digest := sha256.Sum256([]byte("request"))
	want := "holo/request/2\x00holo.v1.ArrayService/Create\x00" + string(session) + string(digest[:])
	if got := RequestProof("holo.v1.ArrayService/Create", session, digest); string(got) != want {
		t.Fatalf("signed are the bytes %s", hex.EncodeToString(got))
	}
}
