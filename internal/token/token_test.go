package token

import (
	"crypto/ed25519"
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

func edPublic(p [key.Size]byte) ed25519.PublicKey { return ed25519.PublicKey(p[:]) }

func TestTokenSaysWhatItWasGiven(t *testing.T) {
	c := claims()
	c.Caps = []Cap{{"WRITE", "ns/a"}, {"OBSERVE", "@jobs/*"}, {"READ", "**"}}
	g, err := town().Verify(must(Issue(signer("token key"), c)))
	if err != nil {
		t.Fatal(err)
	}
	got := *g.Leaf()
	slices.SortFunc(c.Caps, compareCaps)
	if !slices.Equal(got.Caps, c.Caps) || got.ID != c.ID || got.Subject != c.Subject || got.Client != c.Client || got.Expires != c.Expires || got.Delegations != 3 {
		t.Errorf("%+v, want %+v", got, c)
	}
	if g.Key != thumb("token key") || g.Until() != c.Expires+holo.TokenLeeway {
		t.Errorf("key %s until %d", g.Key.Hex(), g.Until())
	}
}

// The clock of who verifies may be a minute off in either direction, and not a
// second more (N-15).
func TestClocksMayBeAMinuteApart(t *testing.T) {
	c := claims()
	for at, ok := range map[int64]bool{
		c.Issued - holo.TokenLeeway: true, c.Issued - holo.TokenLeeway - 1: false,
		c.Expires + holo.TokenLeeway - 1: true, c.Expires + holo.TokenLeeway: false,
		now + 600: true, now - 600: false,
	} {
		v := town()
		v.Now = at
		_, err := v.Verify(good())
		if (err == nil) != ok {
			t.Errorf("at %+d s: %v", at-now, err)
		}
	}
}

func TestRetiredKeySignsNothingNewButWhatItSignedIsGood(t *testing.T) {
	for issued, ok := range map[int64]bool{now - 500 + holo.TokenLeeway: true, now - 500 + holo.TokenLeeway + 1: false, now - 1000: true} {
		c := claims()
		c.Issued, c.Expires = issued, now+100
		_, err := town().Verify(must(Issue(signer("retired"), c)))
		if (err == nil) != ok {
			t.Errorf("issued at %+d s: %v", issued-now, err)
		}
	}
}

func TestARegistrantIssuesForItself(t *testing.T) {
	c := claims()
	c.Issuer, c.Subject = principal("other owner"), principal("other owner")
	if _, err := town().Verify(must(Issue(signer("second"), c))); err != nil {
		t.Error(err)
	}
	v := town()
	v.MayIssue = nil
	if _, err := v.Verify(good()); holo.ReasonOf(err) != ReasonSubject {
		t.Errorf("nobody may issue for others, and yet: %v", err)
	}
}

func TestWhatWouldBeRefusedIsNotIssued(t *testing.T) {
	for name, spoil := range map[string]func(*Claims){
		"too long":   func(c *Claims) { c.Expires = c.Issued + holo.MaxTokenLife + 1 },
		"no caps":    func(c *Claims) { c.Caps = nil },
		"bad cap":    func(c *Claims) { c.Caps = []Cap{{"read", "x"}} },
		"no key":     func(c *Claims) { c.Client = holo.Thumbprint{} },
		"a parent":   func(c *Claims) { c.Parent[0] = 1 },
		"five links": func(c *Claims) { c.Delegations = MaxLinks },
		"too large": func(c *Claims) {
			for i := range MaxCaps {
				c.Caps = append(c.Caps[:i:i], Cap{"READ", strings.Repeat("x", 140) + string(rune('a'+i%26)) + string(rune('a'+i/26))})
			}
		},
	} {
		c := claims()
		spoil(&c)
		if _, err := Issue(signer("token key"), c); holo.KindOf(err) != holo.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, spoil := range map[string]func(*Narrowing){
		"wider":  func(n *Narrowing) { n.Caps = []Cap{{"READ", "**"}} },
		"longer": func(n *Narrowing) { n.Expires = now + 891 },
		"deeper": func(n *Narrowing) { n.Delegations = 3 },
	} {
		n := Narrowing{ID: holo.TokenID{2}, Client: thumb("friend"), Issued: now, Expires: now + 100, Caps: []Cap{{"READ", "ns/a"}}, Delegations: 2}
		spoil(&n)
		if _, err := Narrow(good(), signer("client"), n); holo.KindOf(err) != holo.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Narrow(good(), signer("thief"), Narrowing{}); holo.KindOf(err) != holo.Denied {
		t.Errorf("a thief narrows: %v", err)
	}
}

func TestAllowsComparesSegments(t *testing.T) {
	for _, c := range []struct {
		cap, action, resource string
		want                  bool
	}{
		{"READ:ns/**", "READ", "ns/a", true}, {"READ:ns/**", "READ", "ns/a/b", true}, {"READ:ns/**", "READ", "ns", false},
		{"READ:ns/**", "READ", "nsx/a", false}, {"READ:ns1/**", "READ", "ns1x/x", false}, {"READ:ns/*", "READ", "ns/a/b", false},
		{"READ:ns/*", "READ", "ns/a", true}, {"READ:ns/a", "READ", "ns/a", true}, {"READ:ns/a", "READ", "ns/ab", false},
		{"READ:**", "READ", "x", true}, {"READ:**", "WRITE", "x", false}, {"OBSERVE:@jobs/*", "OBSERVE", "@jobs/7", true},
		{"OBSERVE:*", "OBSERVE", "@cluster", true}, {"READ:ns/**", "READ", "", false}, {"READ:**", "", "x", false},
	} {
		g := &Grant{Links: []Claims{{Caps: []Cap{must(ParseCap(c.cap))}}}}
		if got := g.Allows(c.action, c.resource); got != c.want {
			t.Errorf("%s allows %s on %s: %v", c.cap, c.action, c.resource, got)
		}
	}
	if (&Grant{}).Allows("READ", "x") {
		t.Error("an empty grant allows something")
	}
}

// dumb is a capability as a regular expression: the second implementation.
func dumb(c Cap) *regexp.Regexp {
	r := regexp.QuoteMeta(c.Resource)
	r = strings.ReplaceAll(r, `\*\*`, "\x00")
	r = strings.ReplaceAll(r, `\*`, "[^/]*")
	r = strings.ReplaceAll(r, "\x00", "[^/]*(/[^/]*)*")
	return regexp.MustCompile("^" + c.Action + ":" + r + "$")
}

// requests is every action on every path of up to four segments of an alphabet
// that has what could be confused.
func requests() []string {
	var paths []string
	level := []string{""}
	for range 4 {
		var next []string
		for _, p := range level {
			for _, s := range []string{"a", "ab", "@a"} {
				next = append(next, strings.TrimPrefix(p+"/"+s, "/"))
			}
		}
		paths, level = append(paths, next...), next
	}
	var out []string
	for _, p := range paths {
		out = append(out, "READ:"+p, "RUN:"+p)
	}
	return out
}

func randomCap(r *rand.Rand) Cap {
	n := 1 + r.IntN(4)
	segments := make([]string, n)
	for i := range segments {
		segments[i] = []string{"a", "ab", "*", "@a"}[r.IntN(3+min(1, max(0, 1-i)))]
	}
	if r.IntN(3) == 0 {
		segments[n-1] = rest
	}
	return Cap{[]string{"READ", "RUN"}[r.IntN(2)], strings.Join(segments, "/")}
}

// allowed is the set of requests that some capability matches, by the dumb way.
func allowed(caps []Cap, all []string) map[string]bool {
	set := map[string]bool{}
	for _, c := range caps {
		re := dumb(c)
		for _, s := range all {
			if re.MatchString(s) {
				set[s] = true
			}
		}
	}
	return set
}

func TestCoversIsSetInclusion(t *testing.T) {
	r, all := rand.New(rand.NewPCG(1, 2)), requests()
	covers := 0
	for range 1000 {
		outer, inner := randomCap(r), randomCap(r)
		o, i := allowed([]Cap{outer}, all), allowed([]Cap{inner}, all)
		subset := true
		for s := range i {
			subset = subset && o[s]
		}
		if outer.Covers(inner) && !subset {
			t.Fatalf("%s covers %s, which allows more", outer, inner)
		}
		if outer.Covers(inner) {
			covers++
		}
		for _, s := range []string{all[r.IntN(len(all))], all[r.IntN(len(all))]} {
			action, resource, _ := strings.Cut(s, ":")
			if outer.Covers(Cap{action, resource}) != o[s] {
				t.Fatalf("%s and %s: the two implementations disagree", outer, s)
			}
		}
	}
	if covers < 30 {
		t.Errorf("only %d pairs cover one another: the test shows little", covers)
	}
}

// No sequence of narrowings, honest or mad, gives a token that allows what its
// root does not, or lives longer.
func TestNoNarrowingWidens(t *testing.T) {
	r, all := rand.New(rand.NewPCG(3, 4)), requests()
	accepted, refused := 0, 0
	for range 150 {
		root := claims()
		root.Caps = []Cap{randomCap(r), randomCap(r)}
		chain, by := must(Issue(signer("token key"), root)), "client"
		want := allowed(root.Caps, all)
		for range 3 {
			chain = child(chain, by, func(c *Claims) {
				c.Caps = must(ParseCaps([]string{c.Caps[r.IntN(len(c.Caps))].String(), c.Caps[0].String()}))
				if r.IntN(2) == 0 {
					c.Caps = []Cap{randomCap(r)}
				}
				c.Expires += int64(r.IntN(40) - 35)
				c.Delegations -= r.IntN(2)
				c.Delegations = max(0, c.Delegations)
			})
			by = "friend"
			g, err := town().Verify(chain)
			if err != nil {
				refused++
				break
			}
			accepted++
			if g.Leaf().Expires > root.Expires {
				t.Fatalf("it lives longer than its root: %+v", g.Links)
			}
			for _, s := range all {
				action, resource, _ := strings.Cut(s, ":")
				if g.Allows(action, resource) && !want[s] {
					t.Fatalf("%s is allowed, by %v it is not", s, root.Caps)
				}
			}
		}
	}
	if accepted < 30 || refused < 30 {
		t.Errorf("%d accepted, %d refused: the test shows little", accepted, refused)
	}
}

// differ has go-jose alone judge what we accepted.
func differ(t *testing.T, chain string) {
	g, err := town().Verify(chain)
	if err != nil {
		if holo.ReasonOf(err) == "" || holo.KindOf(err) != holo.Denied {
			t.Fatalf("refused without a reason: %v", err)
		}
		return
	}
	public := edPublic(signer("token key").Public())
	first, _, _ := strings.Cut(chain, separator)
	if g.Key == thumb("retired") {
		public = edPublic(signer("retired").Public())
	} else if g.Key == thumb("second") {
		public = edPublic(signer("second").Public())
	}
	signed, err := jose.ParseSignedCompact(first, []jose.SignatureAlgorithm{jose.EdDSA, jose.HS256, jose.ES256})
	if err != nil {
		t.Fatalf("we accept what go-jose does not parse: %v", err)
	}
	payload, err := signed.Verify(public)
	if err != nil {
		t.Fatalf("we accept what go-jose does not: %v", err)
	}
	var seen struct{ Sub, Aud string }
	if err := json.Unmarshal(payload, &seen); err != nil || seen.Sub != g.Links[0].Subject.Hex() || seen.Aud != cluster.String() {
		t.Fatalf("go-jose reads subject %q", seen.Sub)
	}
	if again := string(g.Links[0].encode()); again != string(payload) {
		t.Fatalf("a second spelling: %s and %s", payload, again)
	}
}

// The claims are put together without a JSON library: each text is the one that
// a library writes of these members in this order.
func TestClaimsAreWrittenAsJSONWouldBe(t *testing.T) {
	for _, chain := range []string{good(), child(good(), "client", nothing)} {
		for _, c := range must(Show(chain)) {
			var members struct {
				Iss string `json:"iss"`
				Aud string `json:"aud"`
				Sub string `json:"sub"`
				Jti string `json:"jti"`
				Iat int64  `json:"iat"`
				Exp int64  `json:"exp"`
				Cnf struct {
					Jkt string `json:"jkt"`
				} `json:"cnf"`
				Caps []string `json:"caps"`
				Prf  string   `json:"prf,omitempty"`
				Dlg  int      `json:"dlg"`
			}
			text := c.encode()
			if err := json.Unmarshal(text, &members); err != nil {
				t.Fatal(err)
			}
			if again := must(json.Marshal(members)); string(again) != string(text) {
				t.Errorf("%s is written as %s", text, again)
			}
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(good())
	f.Add(child(good(), "client", nothing))
	f.Add(must(Issue(signer("retired"), claims())))
	for _, a := range attacks() {
		if s := a.token(); len(s) < MaxChain {
			f.Add(s)
		}
	}
	f.Fuzz(differ)
}

// FuzzSigned gives any header and claims a right signature, so that the fuzzer
// reaches what lies behind it.
func FuzzSigned(f *testing.F) {
	f.Add(head(), bodyText())
	f.Add(head(), edited(bodyText(), `"dlg":3`, `"dlg":0`))
	f.Add(edited(head(), "EdDSA", "none"), bodyText())
	f.Add(head(), edited(bodyText(), `"sub"`, `"ſub"`))
	f.Add(head(), edited(bodyText(), `,"jti"`, `,"SUB":"x","jti"`))
	f.Fuzz(func(t *testing.T, head, body string) { differ(t, raw(head, body)) })
}
