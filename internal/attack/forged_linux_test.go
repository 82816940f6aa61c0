package attack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/token"
)

// forger holds what nobody should: the token keys of a live cluster. What it
// makes is bound to the bearer, who proves it, so that only the token is wrong.
type forger struct {
	t                         *testing.T
	active, retired, revoked  key.Signer
	bearer, stranger          key.Signer
	honest                    token.Claims
	chain, head, body         string // the honest token, and what it says
	revokedToken, otherSigned string
}

// newForger has the owner make three token keys: one that is retired, one that
// is revoked, and one that signs.
func (l *live) newForger() *forger {
	l.t.Helper()
	f := &forger{t: l.t, bearer: key.GenerateSigner(), stranger: key.GenerateSigner()}
	var revoked string
	f.retired, _ = l.tokenKey()
	f.revoked, revoked = l.tokenKey()
	f.active, _ = l.tokenKey()
	retiredBy := time.Now().Unix()
	_, err := l.sdk.ChangeTokenKey(l.t.Context(), revoked, holocompute.TokenKeyRevoked)
	must(l.t, err)
	chain, _ := l.lent(f.bearer)
	links, err := token.Show(chain)
	must(l.t, err)
	f.honest = links[0]
	f.honest.Caps, f.honest.Delegations = []token.Cap{{Action: "READ", Resource: "open"}}, 2
	f.chain = f.issue(f.active, func(*token.Claims) {})
	f.head, f.body = decoded(f.t, f.chain)
	f.otherSigned = strings.Split(f.issue(f.active, func(c *token.Claims) { c.ID[0]++ }), ".")[2]
	f.revokedToken = l.revokedToken(f.bearer)
	await(l.t, "the second of the retirement is over", func() bool { return time.Now().Unix() > retiredBy })
	return f
}

// tokenKey is a new one that signs; the one before is retired.
func (l *live) tokenKey() (key.Signer, string) {
	l.t.Helper()
	made, err := l.sdk.CreateTokenKey(l.t.Context())
	must(l.t, err)
	_, err = l.sdk.ChangeTokenKey(l.t.Context(), made.ID, holocompute.TokenKeyActive)
	must(l.t, err)
	files, err := identity.TokenKeyFiles(l.config())
	must(l.t, err)
	id, err := holo.ParseThumbprint(made.ID)
	must(l.t, err)
	signer, err := identity.ReadSigner(files[id])
	must(l.t, err)
	return signer, made.ID
}

func (l *live) revokedToken(bearer key.Signer) string {
	l.t.Helper()
	chain, id := l.lent(bearer)
	_, err := l.sdk.RevokeTokens(l.t.Context(), holocompute.RevokeToken, id)
	must(l.t, err)
	return chain
}

func encoded(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func decoded(t *testing.T, link string) (head, body string) {
	t.Helper()
	parts := strings.Split(link, ".")
	h, err := base64.RawURLEncoding.DecodeString(parts[0])
	must(t, err)
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	must(t, err)
	return string(h), string(b)
}

// signed is a link of any header and claims, with a right signature.
func signed(by key.Signer, head, body string) string {
	text := encoded(head) + "." + encoded(body)
	return text + "." + encoded(string(by.Sign([]byte(text))))
}

// issue signs the honest claims, but for what bend does to them.
func (f *forger) issue(by key.Signer, bend func(*token.Claims)) string {
	f.t.Helper()
	c := f.honest
	bend(&c)
	chain, err := token.Issue(by, c)
	must(f.t, err)
	return chain
}

// swap is text with one part of it replaced, which must be there.
func (f *forger) swap(text, from, to string) string {
	f.t.Helper()
	if !strings.Contains(text, from) {
		f.t.Fatalf("%q is not in %s", from, text)
	}
	return strings.Replace(text, from, to, 1)
}

func (f *forger) heads(from, to string) string {
	f.t.Helper()
	return signed(f.active, f.swap(f.head, from, to), f.body)
}

func (f *forger) bodies(from, to string) string {
	f.t.Helper()
	return signed(f.active, f.head, f.swap(f.body, from, to))
}

// expires gives the honest token another end, counted from its beginning.
func (f *forger) expires(life int64) string {
	f.t.Helper()
	return f.bodies(fmt.Sprintf(`"exp":%d`, f.honest.Expires), fmt.Sprintf(`"exp":%d`, f.honest.Issued+life))
}

// issuedAt moves the honest token in time.
func (f *forger) issuedAt(by key.Signer, at int64) string {
	f.t.Helper()
	return f.issue(by, func(c *token.Claims) { c.Issued, c.Expires = at, at+600 })
}

// child is a narrowed body: that of a chain's only link, but for an edit.
func (f *forger) child(chain, from, to string) string {
	f.t.Helper()
	_, body := decoded(f.t, chain)
	hash := sha256.Sum256([]byte(chain))
	return f.swap(f.swap(body, `"dlg":2`, `"prf":"`+encoded(string(hash[:]))+`","dlg":1`), from, to)
}

// narrowed adds a link that the bearer signed.
func (f *forger) narrowed(from, to string) string {
	f.t.Helper()
	public := f.bearer.Public()
	kid := key.Thumbprint(f.active.Public())
	return f.chain + "~" + signed(f.bearer, f.swap(f.head, encoded(string(kid[:])), encoded(string(public[:]))), f.child(f.chain, from, to))
}

// weak is narrowed by a key of small order, whose signature anybody can make.
func (f *forger) weak() string {
	f.t.Helper()
	identityPoint := [key.Size]byte{1}
	bound, kid, client := key.Thumbprint(identityPoint), key.Thumbprint(f.active.Public()), f.honest.Client
	root := f.issue(f.active, func(c *token.Claims) { c.Client = bound })
	head := f.swap(f.head, encoded(string(kid[:])), encoded(string(identityPoint[:])))
	body := f.child(root, encoded(string(bound[:])), encoded(string(client[:])))
	return root + "~" + encoded(head) + "." + encoded(body) + "." + encoded("\x01"+strings.Repeat("\x00", 63))
}

// tagged is authenticated with the public key, as a secret.
func (f *forger) tagged() string {
	public := f.active.Public()
	text := encoded(f.swap(f.head, "EdDSA", "HS256")) + "." + encoded(f.body)
	mac := hmac.New(sha256.New, public[:])
	mac.Write([]byte(text))
	return text + "." + encoded(string(mac.Sum(nil)))
}

// forgeries are tokens by the reason for which each is to be refused.
func (f *forger) forgeries() map[string][]string {
	parts, now := strings.Split(f.chain, "."), time.Now().Unix()
	unsigned := parts[0] + "." + parts[1]
	subject, alg := `"sub":"`+f.honest.Subject.Hex()+`",`, `"alg":"EdDSA",`
	return map[string][]string{
		token.ReasonTooLarge: {strings.Repeat("x", token.MaxChain+1), f.chain + strings.Repeat("A", token.MaxLink+1-len(f.chain)),
			f.chain + strings.Repeat("~"+f.chain[:40], token.MaxLinks)},
		token.ReasonMalformed: {unsigned, f.chain + ".AA", f.chain + "==", f.chain + "\n", "Bearer " + f.chain, f.chain + "~", f.chain + "\x00"},
		token.ReasonHeader: {f.heads(alg, `"alg":"EdDSA","crit":["x"],"x":1,`), f.heads(`"typ"`, `"jku":"https://evil.example/","typ"`),
			f.heads(`"alg"`, `"ALG"`), f.heads(`{"alg":`, `{ "alg": `), f.heads(`{"alg"`, `{"alg":"none","alg"`)},
		token.ReasonAlgorithm: {encoded(f.swap(f.head, "EdDSA", "none")) + "." + parts[1] + ".", f.heads("EdDSA", "none"), f.heads("EdDSA", "ES256"),
			f.heads(alg, ""), f.tagged()},
		token.ReasonType:       {f.heads("holo-at+jwt", "JWT"), f.heads(`,"typ":"holo-at+jwt"`, "")},
		token.ReasonUnknownKey: {f.issue(f.stranger, func(*token.Claims) {})},
		token.ReasonKeyRevoked: {f.issue(f.revoked, func(*token.Claims) {})},
		token.ReasonKeyRetired: {f.issuedAt(f.retired, now+holo.TokenLeeway)},
		token.ReasonWeakKey:    {f.weak()},
		token.ReasonSignature: {unsigned + "." + f.otherSigned, unsigned + ".", signed(f.stranger, f.head, f.body), signed(f.retired, f.head, f.body),
			parts[0] + "." + encoded(f.swap(f.body, "READ:open", "READ:**")) + "." + parts[2], unsigned + "." + encoded(strings.Repeat("\x00", 64))},
		token.ReasonClaims: {f.bodies(subject, subject+subject), f.bodies(subject, ""), f.bodies(`,"dlg"`, `,"admin":true,"dlg"`), f.bodies("READ:", "*:"),
			f.bodies("READ", `\u0052EAD`), f.bodies(`"sub"`, `"SUB"`), signed(f.active, f.head, f.body+" "), signed(f.active, f.head, "null")},
		token.ReasonIssuer: {f.issue(f.active, func(c *token.Claims) { c.Issuer = holo.PrincipalID(f.bearer.Public()) }),
			f.bodies(`"iss":"holo:`, `"iss":"holo:00`)},
		token.ReasonSubject:  {f.issue(f.active, func(c *token.Claims) { c.Subject = holo.PrincipalID(f.stranger.Public()) })},
		token.ReasonAudience: {f.issue(f.active, func(c *token.Claims) { c.Cluster[0]++ })},
		// Ten minutes: no clock of one machine is that wrong.
		token.ReasonNotYetValid: {f.issuedAt(f.active, now+holo.TokenLeeway+600)},
		token.ReasonExpired:     {f.issuedAt(f.active, now-holo.TokenLeeway-601), f.issuedAt(f.active, now-100_000_000)},
		token.ReasonLifetime:    {f.expires(holo.MaxTokenLife + 1), f.expires(10 * 365 * 86400), f.expires(0), f.expires(-1)},
		token.ReasonRevoked:     {f.revokedToken},
		token.ReasonDelegation: {f.chain + "~" + f.chain, f.narrowed("READ:open", "READ:**"), f.narrowed("READ:open", "WRITE:open"),
			f.narrowed(`"dlg":1`, `"dlg":2`), f.narrowed(fmt.Sprintf(`"exp":%d`, f.honest.Expires), fmt.Sprintf(`"exp":%d`, f.honest.Expires+1)),
			f.narrowed(subject, `"sub":"`+hexOf(f.stranger)+`",`)},
	}
}

func hexOf(s key.Signer) string {
	public := s.Public()
	return hex.EncodeToString(public[:])
}

// tokenReasons are all reasons of package token, as its source has them.
func tokenReasons(t *testing.T) (reasons []string) {
	t.Helper()
	source, err := parser.ParseFile(gotoken.NewFileSet(), "../token/token.go", nil, 0)
	must(t, err)
	ast.Inspect(source, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, "Reason") {
			reason, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			must(t, err)
			reasons = append(reasons, reason)
		}
		return true
	})
	return reasons
}

// TestEveryForgedTokenIsRefusedCountedAndRecorded (rows S2-2, AC-4): at a live
// node, for every reason that package token has.
func TestEveryForgedTokenIsRefusedCountedAndRecorded(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1)
	ctx, d := t.Context(), l.desktop()
	f := l.newForger()
	for what, chain := range map[string]string{
		"the honest token": f.chain, "an honest narrowing": f.narrowed(`"dlg":1`, `"dlg":0`),
		"a retired key's, of the minute that clocks may be apart": f.issuedAt(f.retired, f.honest.Issued),
	} {
		if err := d.present(ctx, f.bearer, chain, nil); err != nil {
			t.Fatalf("control: %s: %v", what, err)
		}
	}
	forgeries := f.forgeries()
	reasons := tokenReasons(t)
	if len(reasons) != len(forgeries) {
		t.Errorf("package token has %d reasons, %d of them are attacked", len(reasons), len(forgeries))
	}
	for _, reason := range reasons {
		list := forgeries[reason]
		if len(list) == 0 {
			t.Errorf("no forgery is refused as %s", reason)
			continue
		}
		l.refuses("forgeries", reason, uint64(len(list)), func() {
			for i, chain := range list {
				d.opensNothing(t, f.bearer, fmt.Sprintf("%s %d", reason, i), chain, reason)
			}
		})
	}
}

// opensNothing presents a token that is to be refused, and not told why.
func (d *desktop) opensNothing(t *testing.T, by key.Signer, what, chain, reason string) {
	t.Helper()
	err := d.present(t.Context(), by, chain, nil)
	if err == nil {
		t.Errorf("%s opens a session", what)
	} else if strings.Contains(err.Error(), reason) {
		t.Errorf("%s: the bearer is told why: %v", what, err)
	}
}
