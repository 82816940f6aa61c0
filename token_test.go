package holocompute_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/holocompute/holocompute"
)

// A client of its own key: a folder, and the key that tokens are made for.
func client(t *testing.T) (config, public string) {
	t.Helper()
	config = filepath.Join(t.TempDir(), "config")
	public, err := holocompute.UserKey(holocompute.Options{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	return config, public
}

func activeTokenKey(t *testing.T, c *holocompute.Cluster) *holocompute.TokenKey {
	t.Helper()
	k, err := c.CreateTokenKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if k, err = c.ChangeTokenKey(t.Context(), k.ID, holocompute.TokenKeyActive); err != nil || k.State != "active" || !k.Here {
		t.Fatalf("%+v, %v", k, err)
	}
	t.Cleanup(func() { // at most four verify at a time
		if _, err := c.ChangeTokenKey(context.Background(), k.ID, holocompute.TokenKeyRevoked); err != nil {
			t.Error(err)
		}
	})
	return k
}

func TestTokenLendsSomeRightsForAWhile(t *testing.T) {
	c := connect(t)
	if _, err := c.CreateRaw(t.Context(), "lent/a", holocompute.U8, 10, holocompute.ArrayOptions{}); err != nil {
		t.Fatal(err)
	}
	activeTokenKey(t, c)
	config, public := client(t)
	request := holocompute.TokenRequest{For: public, Caps: []string{"READ:lent/**", "WRITE:lent/**"}, Delegations: 1}
	chain, err := c.IssueToken(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	_, err = holocompute.Connect(t.Context(), holocompute.Options{Config: config})
	wantKind(t, err, holocompute.Denied, "does not know the key")
	borrower, err := holocompute.Connect(t.Context(), holocompute.Options{Config: config, Token: chain})
	if err != nil {
		t.Fatal(err)
	}
	defer borrower.Close()
	a, err := holocompute.Open[uint8](t.Context(), borrower, "lent/a")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Write(t.Context(), 0, []uint8{1, 2, 3}); err != nil {
		t.Error(err)
	}
	got := make([]uint8, 3)
	if err := a.Read(t.Context(), 0, got); err != nil || got[2] != 3 {
		t.Errorf("%v, %v", got, err)
	}
	wantKind(t, a.Delete(t.Context()), holocompute.Denied, "does not cover FREE:lent/a")

	friend, friendKey := client(t)
	less, err := holocompute.NarrowToken(holocompute.Options{Config: config, Token: chain}, holocompute.TokenRequest{For: friendKey, Caps: []string{"READ:lent/a"}})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := holocompute.Connect(t.Context(), holocompute.Options{Config: friend, Token: less})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	only, err := holocompute.Open[uint8](t.Context(), reader, "lent/a")
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, only.Write(t.Context(), 0, []uint8{9}), holocompute.Denied, "does not cover WRITE:lent/a")

	links, err := holocompute.ShowToken(less)
	if err != nil || len(links) != 2 || links[1].Caps[0] != "READ:lent/a" {
		t.Fatalf("%+v, %v", links, err)
	}
	if _, err := c.RevokeTokens(t.Context(), holocompute.RevokeToken, links[0].ID); err != nil {
		t.Fatal(err)
	}
	// One node and one voter: it learns as soon as the command is applied, which
	// is before it is answered or right after.
	deadline := time.Now().Add(time.Minute)
	for only.Read(t.Context(), 0, got) == nil && time.Now().Before(deadline) {
	}
	wantKind(t, only.Read(t.Context(), 0, got), holocompute.Denied, "not accepted")
	wantKind(t, a.Read(t.Context(), 0, got), holocompute.Denied, "not accepted")
}

func TestTokensThatCannotServeAreToldBeforeANodeIsAsked(t *testing.T) {
	c := connect(t)
	activeTokenKey(t, c)
	config, public := client(t)
	other, _ := client(t)
	chain, err := c.IssueToken(t.Context(), holocompute.TokenRequest{For: public, Caps: []string{"READ:**"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = holocompute.Connect(t.Context(), holocompute.Options{Config: other, Token: chain})
	wantKind(t, err, holocompute.Denied, "bound to another key")
	_, err = holocompute.Connect(t.Context(), holocompute.Options{Config: config, Token: chain + "x"})
	wantKind(t, err, holocompute.Invalid, "read token")
	for text, r := range map[string]holocompute.TokenRequest{
		"want 1s to 1h": {For: public, Caps: []string{"READ:**"}, Life: 2 * time.Hour}, "0 capabilities": {For: public}, "it is for": {For: "x", Caps: []string{"READ:**"}},
		"small order": {For: "0100000000000000000000000000000000000000000000000000000000000000", Caps: []string{"READ:**"}},
	} {
		_, err := c.IssueToken(t.Context(), r)
		wantKind(t, err, holocompute.Invalid, text)
	}
	if _, err := os.Stat(filepath.Join(config, "token-keys")); err == nil {
		t.Error("a client's folder has token keys")
	}
}
