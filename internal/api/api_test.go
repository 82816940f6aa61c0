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
	want := "holo/request/3\x00holo.v1.ArrayService/Create\x00" + string(session) + string(digest[:])
	if got := RequestProof("holo.v1.ArrayService/Create", session, digest); string(got) != want {
		t.Fatalf("signed are the bytes %s", hex.EncodeToString(got))
	}
}

func TestEventsFollowTheProcedures(t *testing.T) {
	for procedure, want := range map[string]string{
		"holo.v1.ArrayService/Create":            "array.create",
		"holo.v1.ClusterService/CreateInvite":    "cluster.invite",
		"PUT /v1/arrays/7/data?first=0&count=16": "array.write",
		"GET /v1/arrays/7/data?first=0&count=16": "",
		"ArrayService/Create":                    "",
		"holo.v1.Service/Create":                 "",
		"holo.v1.ArrayService/":                  "",
		"":                                       "",
	} {
		if got := Event(procedure); got != want {
			t.Errorf("%q: %q, want %q", procedure, got, want)
		}
	}
}
