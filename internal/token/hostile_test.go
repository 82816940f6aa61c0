package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// signer makes the key of a name, the same in every run.
func signer(name string) key.Signer {
	seed := sha256.Sum256([]byte(name))
	return key.SignerFromSeed(&seed)
}

func principal(name string) holo.PrincipalID { return signer(name).Public() }

func thumb(name string) holo.Thumbprint { return key.Thumbprint(signer(name).Public()) }

var cluster = holo.ClusterID{7}

// town is a cluster with one token key of each kind; the issuer registered all.
func town() *Verifier {
	keys := map[holo.Thumbprint]Key{
		thumb("token key"): {Public: signer("token key").Public(), Issuer: principal("owner")},
		thumb("second"):    {Public: signer("second").Public(), Issuer: principal("other owner")},
		thumb("retired"):   {Public: signer("retired").Public(), Issuer: principal("owner"), Retired: now - 500},
		thumb("revoked"):   {Public: signer("revoked").Public(), Issuer: principal("owner"), Revoked: true},
	}
	identity := [32]byte{1} // as key: one signature is good for everything
	keys[key.Thumbprint(identity)] = Key{Public: identity, Issuer: principal("owner")}
	return &Verifier{
		Cluster: cluster, Now: now,
		Key:      func(t holo.Thumbprint) (Key, bool) { k, ok := keys[t]; return k, ok },
		MayIssue: func(registrant, _ holo.PrincipalID) bool { return registrant == principal("owner") },
	}
}

func claims() Claims {
	return Claims{
		Issuer: principal("owner"), Cluster: cluster, Subject: principal("user"), ID: holo.TokenID{1, 2},
		Issued: now - 10, Expires: now + 890, Client: thumb("client"), Caps: []Cap{{"READ", "ns/**"}}, Delegations: 3,
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func good() string { return must(Issue(signer("token key"), claims())) }

func narrow(chain, by string, edit func(*Narrowing)) string {
	links := must(Show(chain))
	last := links[len(links)-1]
	n := Narrowing{ID: holo.TokenID{byte(len(links))}, Client: thumb("friend"), Issued: last.Issued, Expires: last.Expires, Caps: last.Caps, Delegations: last.Delegations - 1}
	edit(&n)
	return must(Narrow(chain, signer(by), n))
}

// raw signs any header and claims, as an issuer gone mad would: the key is
// right, so only the rules are left to refuse it.
func raw(head, body string) string { return rawBy("token key", head, body) }

func rawBy(name, head, body string) string {
	text := enc(head) + "." + enc(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(signer(name).Sign([]byte(text)))
}

func enc(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func head() string {
	kid := thumb("token key")
	return fmt.Sprintf(`{"alg":"EdDSA","kid":"%s","typ":"holo-at+jwt"}`, base64.RawURLEncoding.EncodeToString(kid[:]))
}

func bodyText() string { c := claims(); return string(c.encode()) }

// edit replaces one piece of the head or the claims, which must be there.
func edited(text, from, to string) string {
	if !strings.Contains(text, from) {
		panic("nothing to edit: " + from)
	}
	return strings.Replace(text, from, to, 1)
}

func badHead(from, to string) string { return raw(edited(head(), from, to), bodyText()) }

func badBody(from, to string) string { return raw(head(), edited(bodyText(), from, to)) }

// hmacBy signs with HS256 and the public key as the secret.
func hmacBy(secret []byte) string {
	text := enc(edited(head(), "EdDSA", "HS256")) + "." + enc(bodyText())
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func publicForms() (rawKey, der, pemText []byte) {
	public := signer("token key").Public()
	der = must(x509.MarshalPKIXPublicKey(edPublic(public)))
	return public[:], der, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// child signs any claims as a link behind a chain, as a client gone mad would.
func child(chain, by string, edit func(*Claims)) string {
	links := must(Show(chain))
	c := links[len(links)-1]
	c.ID, c.Client, c.Parent, c.Delegations = holo.TokenID{9}, thumb("friend"), sha256.Sum256([]byte(chain)), c.Delegations-1
	edit(&c)
	public := signer(by).Public()
	h := fmt.Sprintf(`{"alg":"EdDSA","kid":"%s","typ":"holo-at+jwt"}`, base64.RawURLEncoding.EncodeToString(public[:]))
	return chain + "~" + rawBy(by, h, string(c.encode()))
}

func nothing(*Claims) {}

// part gives one of the three parts of a good token, spoilt.
func spoil(part int, f func(string) string) string {
	parts := strings.Split(good(), ".")
	parts[part] = f(parts[part])
	return strings.Join(parts, ".")
}

// shifted is a good token moved in time.
func shifted(seconds int64) string {
	c := claims()
	c.Issued, c.Expires = c.Issued+seconds, c.Expires+seconds
	return must(Issue(signer("token key"), c))
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// nextLast sets a spare bit of the last character: the same bytes for a lax
// decoder.
func nextLast(s string) string {
	i := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + string(alphabet[i+1])
}

// odd is a token whose claims leave spare bits in the last character, set.
func odd() string {
	c := claims()
	for len(c.encode())%3 == 0 {
		c.Caps[0].Resource = "x" + c.Caps[0].Resource
	}
	text := enc(head()) + "." + nextLast(enc(string(c.encode())))
	return text + "." + base64.RawURLEncoding.EncodeToString(signer("token key").Sign([]byte(text)))
}

// malleable adds the group's order to S: the same equation, other bytes.
func malleable() string {
	return spoil(2, func(s string) string {
		sig := must(base64.RawURLEncoding.DecodeString(s))
		l, _ := new(big.Int).SetString("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed", 16)
		half := slices.Clone(sig[32:])
		slices.Reverse(half)
		sum := l.Add(l, new(big.Int).SetBytes(half)).FillBytes(make([]byte, 32))
		slices.Reverse(sum)
		return base64.RawURLEncoding.EncodeToString(append(sig[:32:32], sum...))
	})
}

// smallOrderChild is bound to the identity point, whose signature anybody can
// make: S = 0 and R = the key.
func smallOrderChild() string {
	c := claims()
	c.Client = key.Thumbprint([32]byte{1})
	chain := must(Issue(signer("token key"), c))
	c.Parent, c.Delegations = sha256.Sum256([]byte(chain)), 0
	public := append([]byte{1}, make([]byte, 31)...)
	h := fmt.Sprintf(`{"alg":"EdDSA","kid":"%s","typ":"holo-at+jwt"}`, base64.RawURLEncoding.EncodeToString(public))
	return chain + "~" + enc(h) + "." + enc(string(c.encode())) + "." + base64.RawURLEncoding.EncodeToString(append(public, make([]byte, 32)...))
}
