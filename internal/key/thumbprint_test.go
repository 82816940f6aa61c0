package key

import (
	"encoding/base64"
	"testing"
)

func TestThumbprintMatchesRFC8037(t *testing.T) {
	public, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if err != nil {
		t.Fatal(err)
	}
	got := Thumbprint([Size]byte(public))
	if s := base64.RawURLEncoding.EncodeToString(got[:]); s != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Errorf("thumbprint %s", s)
	}
}
