package token

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

const now = 1_800_000_000

type attack struct {
	name, reason string
	token        func() string
}

func attacks() []attack {
	kid := thumb("token key")
	kidText := base64.RawURLEncoding.EncodeToString(kid[:])
	rawKey, der, pemText := publicForms()
	none := func(alg string) func() string {
		return func() string { return enc(edited(head(), "EdDSA", alg)) + "." + enc(bodyText()) + "." }
	}
	heads := func(from, to string) func() string { return func() string { return badHead(from, to) } }
	bodies := func(from, to string) func() string { return func() string { return badBody(from, to) } }
	list := []attack{
		// The algorithm.
		{"alg none", ReasonAlgorithm, none("none")},
		{"alg None", ReasonAlgorithm, none("None")},
		{"alg NONE", ReasonAlgorithm, none("NONE")},
		{"alg nOnE", ReasonAlgorithm, none("nOnE")},
		{"alg none, signed after all", ReasonAlgorithm, heads("EdDSA", "none")},
		{"alg empty", ReasonAlgorithm, heads("EdDSA", "")},
		{"alg eddsa", ReasonAlgorithm, heads("EdDSA", "eddsa")},
		{"alg Ed25519", ReasonAlgorithm, heads("EdDSA", "Ed25519")},
		{"alg with a space", ReasonAlgorithm, heads("EdDSA", "EdDSA ")},
		{"alg ES256", ReasonAlgorithm, heads("EdDSA", "ES256")},
		{"alg missing", ReasonAlgorithm, heads(`"alg":"EdDSA",`, "")},
		{"alg null", ReasonAlgorithm, heads(`"EdDSA"`, "null")},
		{"alg a list", ReasonHeader, heads(`"EdDSA"`, `["EdDSA"]`)},
		{"HMAC with the raw public key", ReasonAlgorithm, func() string { return hmacBy(rawKey) }},
		{"HMAC with the public key in DER", ReasonAlgorithm, func() string { return hmacBy(der) }},
		{"HMAC with the public key in PEM", ReasonAlgorithm, func() string { return hmacBy(pemText) }},
		{"HMAC tag under EdDSA", ReasonSignature, func() string {
			return strings.Join(slices.Concat(strings.Split(raw(head(), bodyText()), ".")[:2], []string{enc(strings.Repeat("x", 32))}), ".")
		}},

		// Which key.
		{"kid of another token key", ReasonSignature, func() string {
			other := thumb("second")
			return badHead(kidText, base64.RawURLEncoding.EncodeToString(other[:]))
		}},
		{"kid of a stranger's key, signed by it", ReasonUnknownKey, func() string {
			other := thumb("stranger")
			return rawBy("stranger", edited(head(), kidText, base64.RawURLEncoding.EncodeToString(other[:])), bodyText())
		}},
		{"kid a path", ReasonHeader, heads(kidText, "../../../../dev/null")},
		{"kid a URL", ReasonHeader, heads(kidText, "https://evil.example/key.pem")},
		{"kid SQL", ReasonHeader, heads(kidText, "x' UNION SELECT 'key")},
		{"kid empty", ReasonUnknownKey, heads(kidText, "")},
		{"kid missing", ReasonHeader, heads(`"kid":"`+kidText+`",`, "")},
		{"kid a number", ReasonHeader, heads(`"`+kidText+`"`, "1")},
		{"kid not canonical", ReasonUnknownKey, heads(kidText, nextLast(kidText))},
		{"kid with a newline", ReasonHeader, heads(kidText, kidText+`\n`)},
		{"a revoked token key", ReasonKeyRevoked, func() string { return must(Issue(signer("revoked"), claims())) }},
		{"a retired token key, issued since", ReasonKeyRetired, func() string { return must(Issue(signer("retired"), claims())) }},
		{"identity point as token key", ReasonWeakKey, func() string {
			weak := key.Thumbprint([32]byte{1})
			text := enc(edited(head(), kidText, base64.RawURLEncoding.EncodeToString(weak[:]))) + "." + enc(bodyText())
			return text + "." + base64.RawURLEncoding.EncodeToString(append([]byte{1}, make([]byte, 63)...))
		}},

		// The header.
		{"embedded jwk", ReasonHeader, heads(`"typ"`, `"jwk":{"kty":"OKP","crv":"Ed25519","x":"`+enc(string(rawKey))+`"},"typ"`)},
		{"jku", ReasonHeader, heads(`"typ"`, `"jku":"https://evil.example/jwks.json","typ"`)},
		{"x5u", ReasonHeader, heads(`,"typ":"holo-at+jwt"`, `,"typ":"holo-at+jwt","x5u":"https://evil.example/"`)},
		{"x5c", ReasonHeader, heads(`"typ"`, `"x5c":["MIIB"],"typ"`)},
		{"unknown crit", ReasonHeader, heads(`"alg":"EdDSA",`, `"alg":"EdDSA","crit":["x"],"x":1,`)},
		{"empty crit", ReasonHeader, heads(`"alg":"EdDSA",`, `"alg":"EdDSA","crit":[],`)},
		{"b64 false", ReasonHeader, heads(`"alg":"EdDSA",`, `"alg":"EdDSA","b64":false,"crit":["b64"],`)},
		{"zip", ReasonHeader, heads(`"typ":"holo-at+jwt"`, `"typ":"holo-at+jwt","zip":"DEF"`)},
		{"duplicate alg, none first", ReasonHeader, heads(`{"alg"`, `{"alg":"none","alg"`)},
		{"duplicate alg, none last", ReasonAlgorithm, heads(`"}`, `","alg":"none"}`)},
		{"ALG beside alg", ReasonAlgorithm, heads(`"}`, `","ALG":"none"}`)},
		{"ALG instead of alg", ReasonHeader, heads(`"alg"`, `"ALG"`)},
		{"header out of order", ReasonHeader, func() string {
			return raw(`{"typ":"holo-at+jwt","alg":"EdDSA","kid":"`+kidText+`"}`, bodyText())
		}},
		{"header with spaces", ReasonHeader, heads(`{"alg":`, `{ "alg": `)},
		{"header with escapes", ReasonHeader, heads(`"EdDSA"`, `"\u0045dDSA"`)},
		{"header with bytes behind it", ReasonHeader, func() string { return raw(head()+" ", bodyText()) }},
		{"header a list", ReasonHeader, func() string { return raw("[]", bodyText()) }},
		{"header null", ReasonAlgorithm, func() string { return raw("null", bodyText()) }},
		{"header empty", ReasonHeader, func() string { return raw("", bodyText()) }},
		{"header deep", ReasonHeader, func() string { return raw(strings.Repeat("[", 500)+strings.Repeat("]", 500), bodyText()) }},
		{"typ JWT", ReasonType, heads("holo-at+jwt", "JWT")},
		{"typ at+jwt", ReasonType, heads("holo-at+jwt", "at+jwt")},
		{"typ in capitals", ReasonType, heads("holo-at+jwt", "HOLO-AT+JWT")},
		{"typ missing", ReasonType, heads(`,"typ":"holo-at+jwt"`, "")},
		{"typ a media type", ReasonType, heads("holo-at+jwt", "application/holo-at+jwt")},

		// For whom, where, until when.
		{"wrong issuer", ReasonIssuer, bodies(principal("owner").Hex(), principal("user").Hex())},
		{"issuer of another cluster", ReasonIssuer, bodies("holo:07", "holo:08")},
		{"issuer without its scheme", ReasonClaims, bodies("holo:", "")},
		{"issuer a URL", ReasonIssuer, bodies("holo:", "https://")},
		{"issuer empty", ReasonIssuer, bodies(issuerOf(cluster, principal("owner")), "")},
		{"audience another cluster", ReasonAudience, func() string {
			c := claims()
			c.Cluster[0]++
			return raw(head(), string(c.encode()))
		}},
		{"audience a list", ReasonClaims, bodies(`"aud":"`+cluster.String()+`"`, `"aud":["`+cluster.String()+`"]`)},
		{"audience missing", ReasonClaims, bodies(`"aud":"`+cluster.String()+`",`, "")},
		{"audience in capitals", ReasonClaims, func() string {
			c := claims()
			c.Cluster[0] = 0xab
			return raw(head(), strings.ReplaceAll(string(c.encode()), "ab", "AB"))
		}},
		{"subject of nobody", ReasonClaims, bodies(principal("user").Hex(), "root")},
		{"subject that the issuer may not issue for", ReasonSubject, func() string {
			c := claims()
			c.Issuer = principal("other owner")
			return must(Issue(signer("second"), c))
		}},
		{"subject missing", ReasonClaims, bodies(`"sub":"`+principal("user").Hex()+`",`, "")},
		{"not yet valid", ReasonNotYetValid, func() string { return shifted(10 + holo.TokenLeeway + 1) }},
		{"expired", ReasonExpired, func() string { return shifted(-890 - holo.TokenLeeway) }},
		{"expired long ago", ReasonExpired, func() string { return shifted(-100_000_000) }},
		{"a life of ten years", ReasonLifetime, bodies(fmt.Sprint(now+890), fmt.Sprint(now+10*365*86400))},
		{"a life of an hour and a second", ReasonLifetime, bodies(fmt.Sprint(now+890), fmt.Sprint(now-10+holo.MaxTokenLife+1))},
		{"expires before it is issued", ReasonLifetime, bodies(fmt.Sprint(now+890), fmt.Sprint(now-11))},
		{"exp missing", ReasonClaims, bodies(fmt.Sprintf(`"exp":%d,`, now+890), "")},
		{"exp null", ReasonClaims, bodies(fmt.Sprint(now+890), "null")},
		{"exp a string", ReasonClaims, bodies(fmt.Sprint(now+890), fmt.Sprintf(`"%d"`, now+890))},
		{"exp a float", ReasonClaims, bodies(fmt.Sprint(now+890), fmt.Sprintf("%d.5", now+890))},
		{"exp with an exponent", ReasonClaims, bodies(fmt.Sprint(now+890), "1.80000089e9")},
		{"exp huge", ReasonClaims, bodies(fmt.Sprint(now+890), "9"+strings.Repeat("0", 400))},
		{"exp the largest integer", ReasonClaims, bodies(fmt.Sprint(now+890), "9223372036854775807")},
		{"exp negative", ReasonClaims, bodies(fmt.Sprint(now+890), "-1")},
		{"exp zero", ReasonClaims, bodies(fmt.Sprint(now+890), "0")},
		{"exp minus zero", ReasonClaims, bodies(fmt.Sprint(now+890), "-0")},
		{"iat missing", ReasonClaims, bodies(fmt.Sprintf(`"iat":%d,`, now-10), "")},
		{"expired exp, later EXP", ReasonClaims, func() string {
			return raw(head(), edited(edited(bodyText(), fmt.Sprint(now+890), fmt.Sprint(now-9)), `,"cnf"`, fmt.Sprintf(`,"EXP":%d,"cnf"`, now+890)))
		}},

		// The claims' form.
		{"edited claim", ReasonSignature, func() string {
			return spoil(1, func(string) string { return enc(edited(bodyText(), "ns/**", "**")) })
		}},
		{"duplicate sub", ReasonClaims, bodies(`"sub":`, `"sub":"`+principal("root").Hex()+`","sub":`)},
		{"duplicate sub, root last", ReasonClaims, bodies(`,"jti"`, `,"sub":"`+principal("root").Hex()+`","jti"`)},
		{"SUB beside sub", ReasonClaims, bodies(`,"jti"`, `,"SUB":"`+principal("root").Hex()+`","jti"`)},
		{"SUB instead of sub", ReasonClaims, bodies(`"sub"`, `"SUB"`)},
		{"long s instead of s", ReasonClaims, bodies(`"sub"`, `"ſub"`)},
		{"long s beside s", ReasonClaims, bodies(`,"jti"`, `,"ſub":"`+principal("root").Hex()+`","jti"`)},
		{"an unknown claim", ReasonClaims, bodies(`,"dlg"`, `,"admin":true,"dlg"`)},
		{"bytes behind the claims", ReasonClaims, func() string { return raw(head(), bodyText()+`{"sub":"root"}`) }},
		{"a space behind the claims", ReasonClaims, func() string { return raw(head(), bodyText()+" ") }},
		{"a byte order mark", ReasonClaims, func() string { return raw(head(), "\ufeff"+bodyText()) }},
		{"invalid UTF-8", ReasonClaims, bodies("ns/", "n\xff/")},
		{"an escaped letter", ReasonClaims, bodies("READ", `\u0052EAD`)},
		{"a NUL in a claim", ReasonClaims, bodies("ns/", `ns\u0000/`)},
		{"claims deep", ReasonClaims, func() string { return raw(head(), strings.Repeat(`{"a":`, 400)+"1"+strings.Repeat("}", 400)) }},
		{"claims no JSON", ReasonClaims, func() string { return raw(head(), "subject=root") }},
		{"claims null", ReasonClaims, func() string { return raw(head(), "null") }},
		{"claims empty", ReasonClaims, func() string { return raw(head(), "") }},
		{"jti missing", ReasonClaims, func() string {
			at := strings.Index(bodyText(), `"jti"`)
			return raw(head(), bodyText()[:at]+bodyText()[at+len(`"jti":"",`)+22:])
		}},
		{"jti long", ReasonClaims, bodies(`"jti":"`, `"jti":"AAAA`)},
		{"caps null", ReasonClaims, bodies(`["READ:ns/**"]`, "null")},
		{"caps empty", ReasonClaims, bodies(`["READ:ns/**"]`, "[]")},
		{"caps missing", ReasonClaims, bodies(`"caps":["READ:ns/**"],`, "")},
		{"caps twice the same", ReasonClaims, bodies(`["READ:ns/**"]`, `["READ:ns/**","READ:ns/**"]`)},
		{"caps out of order", ReasonClaims, bodies(`["READ:ns/**"]`, `["WRITE:ns/**","READ:ns/**"]`)},
		{"a cap without action", ReasonClaims, bodies("READ:ns/**", "ns/**")},
		{"a cap of all actions", ReasonClaims, bodies("READ:", "*:")},
		{"a cap with ** in the middle", ReasonClaims, bodies("ns/**", "**/x")},
		{"too many caps", ReasonClaims, func() string {
			c := claims()
			c.Caps = nil
			for i := range MaxCaps + 1 {
				c.Caps = append(c.Caps, Cap{"READ", fmt.Sprintf("n%02d", i)})
			}
			return raw(head(), string(c.encode()))
		}},
		{"dlg too many", ReasonClaims, bodies(`"dlg":3`, `"dlg":4`)},
		{"dlg negative", ReasonClaims, bodies(`"dlg":3`, `"dlg":-1`)},
		{"dlg missing", ReasonClaims, bodies(`,"dlg":3`, "")},
		{"cnf missing", ReasonClaims, func() string {
			client := thumb("client")
			return badBody(`"cnf":{"jkt":"`+base64.RawURLEncoding.EncodeToString(client[:])+`"},`, "")
		}},
		{"cnf null", ReasonClaims, func() string {
			client := thumb("client")
			return badBody(`{"jkt":"`+base64.RawURLEncoding.EncodeToString(client[:])+`"}`, "null")
		}},
		{"cnf with a whole key", ReasonClaims, bodies(`{"jkt":`, `{"jwk":{"kty":"OKP"},"jkt":`)},
		{"cnf of zeros", ReasonClaims, func() string {
			c := claims()
			c.Client = holo.Thumbprint{}
			return raw(head(), string(c.encode()))
		}},
		{"prf on the first link", ReasonDelegation, func() string {
			c := claims()
			c.Parent = [32]byte{1}
			return raw(head(), string(c.encode()))
		}},

		// The outside.
		{"empty", ReasonMalformed, func() string { return "" }},
		{"two parts", ReasonMalformed, func() string { return good()[:strings.LastIndex(good(), ".")] }},
		{"four parts", ReasonMalformed, func() string { return good() + ".AA" }},
		{"no signature", ReasonSignature, func() string { return spoil(2, func(string) string { return "" }) }},
		{"short signature", ReasonSignature, func() string { return spoil(2, func(s string) string { return s[:84] }) }},
		{"padded base64", ReasonMalformed, func() string { return spoil(2, func(s string) string { return s + "==" }) }},
		{"standard base64", ReasonMalformed, func() string {
			return spoil(2, func(s string) string { return "+/" + s[2:] })
		}},
		{"last character not canonical", ReasonMalformed, func() string { return spoil(2, nextLast) }},
		{"last character of the claims not canonical", ReasonMalformed, func() string { return odd() }},
		{"newline at the end", ReasonMalformed, func() string { return good() + "\n" }},
		{"newline inside", ReasonMalformed, func() string { return spoil(1, func(s string) string { return s[:8] + "\n" + s[8:] }) }},
		{"blank in front", ReasonMalformed, func() string { return " " + good() }},
		{"Bearer in front", ReasonMalformed, func() string { return "Bearer " + good() }},
		{"NUL at the end", ReasonMalformed, func() string { return good() + "\x00" }},
		{"JSON serialisation", ReasonMalformed, func() string { return `{"payload":"","signatures":[]}` }},
		{"a link of 4097 bytes", ReasonTooLarge, func() string { return good() + strings.Repeat("A", MaxLink+1-len(good())) }},
		{"a token of 1 MB", ReasonTooLarge, func() string { return spoil(1, func(string) string { return strings.Repeat("A", 1<<20) }) }},
		{"a header of 8 MiB", ReasonTooLarge, func() string { return spoil(0, func(string) string { return strings.Repeat("A", 8<<20) }) }},
		{"a million dots", ReasonTooLarge, func() string { return strings.Repeat(".", 1_000_000) }},
		{"4000 dots", ReasonMalformed, func() string { return strings.Repeat(".", 4000) }},
		{"200,000 levels", ReasonTooLarge, func() string { return raw(strings.Repeat("[", 200_000), bodyText()) }},
		{"a million links", ReasonTooLarge, func() string { return strings.Repeat("~", 1_000_000) }},

		// The signature.
		{"S plus L", ReasonSignature, malleable},
		{"all zero signature", ReasonSignature, func() string { return spoil(2, func(string) string { return enc(strings.Repeat("\x00", 64)) }) }},
		{"signature of another token", ReasonSignature, func() string {
			other := claims()
			other.ID[0]++
			return spoil(2, func(string) string { return strings.Split(must(Issue(signer("token key"), other)), ".")[2] })
		}},
	}
	return append(list, delegationAttacks()...)
}

func delegationAttacks() []attack {
	return []attack{
		{"a link by a thief", ReasonDelegation, func() string { return child(good(), "thief", nothing) }},
		{"a link by the token key", ReasonDelegation, func() string { return child(good(), "token key", nothing) }},
		{"a link with a small-order key", ReasonWeakKey, smallOrderChild},
		{"a wider resource", ReasonDelegation, func() string { return child(good(), "client", func(c *Claims) { c.Caps = []Cap{{"READ", "**"}} }) }},
		{"a namespace that begins alike", ReasonDelegation, func() string { return child(good(), "client", func(c *Claims) { c.Caps = []Cap{{"READ", "nsx/a"}} }) }},
		{"another action", ReasonDelegation, func() string { return child(good(), "client", func(c *Claims) { c.Caps = []Cap{{"WRITE", "ns/**"}} }) }},
		{"one cap more", ReasonDelegation, func() string {
			return child(good(), "client", func(c *Claims) { c.Caps = []Cap{{"READ", "ns/**"}, {"RUN", "**"}} })
		}},
		{"another subject", ReasonDelegation, func() string { return child(good(), "client", func(c *Claims) { c.Subject = principal("root") }) }},
		{"another issuer", ReasonDelegation, func() string { return child(good(), "client", func(c *Claims) { c.Issuer = principal("root") }) }},
		{"another cluster", ReasonDelegation, func() string { return child(good(), "client", func(c *Claims) { c.Cluster[0]++ }) }},
		{"a later end", ReasonDelegation, func() string { return child(good(), "client", func(c *Claims) { c.Expires++ }) }},
		{"an earlier beginning", ReasonDelegation, func() string { return child(good(), "client", func(c *Claims) { c.Issued-- }) }},
		{"as many delegations", ReasonDelegation, func() string { return child(good(), "client", func(c *Claims) { c.Delegations = 3 }) }},
		{"a link where none may follow", ReasonDelegation, func() string {
			last := claims()
			last.Delegations = 0
			return child(must(Issue(signer("token key"), last)), "client", func(c *Claims) { c.Delegations = 0 })
		}},
		{"a link of another chain", ReasonDelegation, func() string {
			other := claims()
			other.ID[0]++
			return good() + "~" + strings.Split(child(must(Issue(signer("token key"), other)), "client", nothing), "~")[1]
		}},
		{"a link without its parent", ReasonUnknownKey, func() string { return strings.Split(child(good(), "client", nothing), "~")[1] }},
		{"a link without prf", ReasonDelegation, func() string { return child(good(), "client", func(c *Claims) { c.Parent = [32]byte{} }) }},
		{"a link left out", ReasonDelegation, func() string {
			two := narrow(narrow(good(), "client", func(*Narrowing) {}), "friend", func(*Narrowing) {})
			parts := strings.Split(two, "~")
			return parts[0] + "~" + parts[2]
		}},
		{"links swapped", ReasonUnknownKey, func() string {
			parts := strings.Split(child(good(), "client", nothing), "~")
			return parts[1] + "~" + parts[0]
		}},
		{"the same link twice", ReasonDelegation, func() string { return good() + "~" + good() }},
		{"an empty link", ReasonMalformed, func() string { return good() + "~" }},
		{"five links", ReasonTooLarge, func() string { return good() + strings.Repeat("~"+good()[:40], 4) }},
		{"a link that expired", ReasonExpired, func() string {
			c := claims()
			c.Issued -= 1000
			return child(must(Issue(signer("token key"), c)), "client", func(c *Claims) { c.Expires = now - holo.TokenLeeway })
		}},
		{"a link of an expired root", ReasonExpired, func() string { return child(shifted(-890-holo.TokenLeeway), "client", nothing) }},
	}
}

func TestEveryAttackIsRefusedForItsReason(t *testing.T) {
	if g, err := town().Verify(good()); err != nil || g.Leaf().Subject != principal("user") {
		t.Fatalf("the honest token: %v", err)
	}
	if g, err := town().Verify(child(good(), "client", nothing)); err != nil || len(g.Links) != 2 {
		t.Fatalf("the honest chain: %v", err)
	}
	list := attacks()
	if len(list) < 130 {
		t.Errorf("%d attacks: some were lost", len(list))
	}
	for _, a := range list {
		token := a.token()
		if token == good() {
			t.Fatalf("%s: it is the honest token", a.name)
		}
		_, err := town().Verify(token)
		if !errors.Is(err, ErrRefused) || holo.KindOf(err) != holo.Denied || holo.ReasonOf(err) != a.reason {
			t.Errorf("%s: %v (%s), want %s", a.name, err, holo.ReasonOf(err), a.reason)
		}
	}
}

// A bit that is flipped anywhere in a chain is noticed.
func TestFlippedBitOfAChainIsNoticed(t *testing.T) {
	chain, v := []byte(child(good(), "client", nothing)), town()
	for i := range chain {
		chain[i] ^= 1 << (i % 7)
		if _, err := v.Verify(string(chain)); err == nil {
			t.Errorf("byte %d bit %d", i, i%7)
		}
		chain[i] ^= 1 << (i % 7)
	}
}

// What is too large is refused without being looked at: no more is allocated
// than the error.
func TestHugeTokensCostNothing(t *testing.T) {
	huge := strings.Repeat("A", 8<<20)
	v := town()
	if n := testing.AllocsPerRun(10, func() { _, _ = v.Verify(huge) }); n > 20 {
		t.Errorf("%v allocations", n)
	}
}

// No key that proves nothing can sign or be bound: all encodings of the eight
// points of small order, and of a point that is not reduced.
func TestWeakKeysSignNoLink(t *testing.T) {
	for _, text := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // y = p + 1: the identity, not canonical
		"0100000000000000000000000000000000000000000000000000000000000080", // x = 0 with its sign set
	} {
		weak := [32]byte(must(hex.DecodeString(text)))
		v := town()
		v.Key = func(t holo.Thumbprint) (Key, bool) {
			return Key{Public: weak, Issuer: principal("owner")}, t == key.Thumbprint(weak)
		}
		kid := key.Thumbprint(weak)
		h := fmt.Sprintf(`{"alg":"EdDSA","kid":"%s","typ":"holo-at+jwt"}`, base64.RawURLEncoding.EncodeToString(kid[:]))
		forged := enc(h) + "." + enc(bodyText()) + "." + base64.RawURLEncoding.EncodeToString(append(weak[:], make([]byte, 32)...))
		if _, err := v.Verify(forged); holo.ReasonOf(err) != ReasonWeakKey {
			t.Errorf("%s as token key: %v", text, err)
		}
	}
}
