package bench_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"testing"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/token"
)

// BenchmarkToken verifies a token as a node does when a session is opened: the
// form, the signature by go-jose, the key, the claims. The baseline is one
// ed25519.Verify of as many bytes.
func BenchmarkToken(b *testing.B) {
	issuer, client := key.GenerateSigner(), key.GenerateSigner()
	cluster, owner := holo.ClusterID{1}, holo.PrincipalID(issuer.Public())
	caps := must(token.ParseCaps([]string{"READ:flights/**", "RUN:**", "OBSERVE:@jobs/*"}))
	chain := must(token.Issue(issuer, token.Claims{
		Issuer: owner, Cluster: cluster, Subject: owner, Issued: now - 10, Expires: now + 900, Client: key.Thumbprint(client.Public()), Caps: caps, Delegations: 3,
	}))
	known := token.Key{Public: issuer.Public(), Issuer: owner}
	v := &token.Verifier{Cluster: cluster, Now: now, Key: func(t holo.Thumbprint) (token.Key, bool) { return known, true }}
	public, private := must2(ed25519.GenerateKey(rand.Reader))
	message := []byte(chain)[:len(chain)-87]
	signature := ed25519.Sign(private, message)
	raw := func(n int) {
		for range n {
			if !ed25519.Verify(public, message, signature) {
				b.Fatal("verify")
			}
		}
	}
	b.Run("verify", func(b *testing.B) {
		bench.Compare(b, 200, 0, raw, func(n int) {
			for range n {
				if _, err := v.Verify(chain); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	two := must(token.Narrow(chain, client, token.Narrowing{Issued: now, Expires: now + 100, Client: key.Thumbprint(issuer.Public()), Caps: caps, ID: holo.TokenID{2}}))
	b.Run("verify-narrowed", func(b *testing.B) {
		bench.Compare(b, 200, 0, raw, func(n int) {
			for range n {
				if _, err := v.Verify(two); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	g := must(v.Verify(chain))
	b.Run("allows", func(b *testing.B) {
		bench.Compare(b, 2000, 0, raw, func(n int) {
			for range n {
				if !g.Allows("READ", "flights/delay") {
					b.Fatal("refused")
				}
			}
		})
	})
}
