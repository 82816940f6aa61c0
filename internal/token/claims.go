package token

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
)

// body is what stands between the punctuation of a link's claims, as text.
type body struct {
	iss, aud, sub, jti string
	iat, exp           int64
	jkt                string
	caps               []string
	prf                string // "" in the first link
	dlg                int64
}

// encode writes the one JSON text of claims. No string in it holds what JSON
// would escape, or it would have been refused before.
func (c *Claims) encode() []byte {
	caps := make([]string, len(c.Caps))
	for i, cap := range c.Caps {
		caps[i] = cap.String()
	}
	b := fmt.Appendf(nil, `{"iss":"%s","aud":"%s","sub":"%s","jti":"%s","iat":%d,"exp":%d,"cnf":{"jkt":"%s"},"caps":["%s"]`,
		issuerOf(c.Cluster, c.Issuer), c.Cluster, c.Subject.Hex(), encoding.EncodeToString(c.ID[:]),
		c.Issued, c.Expires, encoding.EncodeToString(c.Client[:]), strings.Join(caps, `","`))
	if c.Parent != ([32]byte{}) {
		b = fmt.Appendf(b, `,"prf":"%s"`, encoding.EncodeToString(c.Parent[:]))
	}
	return fmt.Appendf(b, `,"dlg":%d}`, c.Delegations)
}

// decodeClaims reads the claims of a link. What is not byte for byte what encode
// writes is refused, and that one rule refuses what parsers disagree about:
// duplicate and unknown members, other cases and look-alikes of names, nulls,
// floats, escapes, spaces, another order, bytes behind the end.
func decodeClaims(raw []byte) (*Claims, error) {
	b, err := takeClaims(string(raw))
	if err != nil {
		return nil, err
	}
	c := &Claims{Issued: b.iat, Expires: b.exp, Delegations: int(b.dlg)}
	var errs [3]error
	c.Cluster, errs[0] = holo.ParseClusterID(b.aud)
	c.Subject, errs[1] = holo.ParsePrincipalID(b.sub)
	c.Caps, errs[2] = ParseCaps(b.caps)
	if slices.ContainsFunc(errs[:], func(err error) bool { return err != nil }) {
		return nil, refuse(ReasonClaims, "an audience, subject or capability does not parse")
	}
	cluster, registrant, _ := strings.Cut(strings.TrimPrefix(b.iss, "holo:"), "/")
	issuer, err := holo.ParsePrincipalID(registrant)
	if err != nil || cluster != b.aud {
		return nil, refuse(ReasonIssuer, "its issuer is none of the cluster that it names")
	}
	c.Issuer = issuer
	if !fixed(c.ID[:], b.jti) || !fixed(c.Client[:], b.jkt) || b.prf != "" && !fixed(c.Parent[:], b.prf) {
		return nil, refuse(ReasonClaims, "its ID, key or parent does not decode")
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if !bytes.Equal(c.encode(), raw) {
		return nil, refuse(ReasonClaims, "its claims are not in their canonical form")
	}
	return c, nil
}

// takeClaims takes the text of claims apart where encode put it together. It need
// not be strict: what it reads is written again and compared.
func takeClaims(text string) (b body, err error) {
	t := &cutter{rest: text}
	b.iss, b.aud, b.sub, b.jti = t.text(`{"iss":"`), t.text(`,"aud":"`), t.text(`,"sub":"`), t.text(`,"jti":"`)
	b.iat, b.exp, b.jkt = t.number(`,"iat":`), t.number(`,"exp":`), t.text(`,"cnf":{"jkt":"`)
	for before := `},"caps":["`; len(b.caps) <= MaxCaps && t.begins(before); before = `,"` {
		b.caps = append(b.caps, t.text(before))
	}
	t.skip(`]`)
	if prf := `,"prf":"`; t.begins(prf) {
		b.prf = t.text(prf)
	}
	b.dlg = t.number(`,"dlg":`)
	t.skip(`}`)
	if t.wrong || t.rest != "" {
		return b, refuse(ReasonClaims, "its claims are not exactly those of a token, in their order")
	}
	return b, nil
}

// cutter takes a text apart from its beginning. wrong stays when it did not go on
// as was said.
type cutter struct {
	rest  string
	wrong bool
}

func (t *cutter) begins(s string) bool { return strings.HasPrefix(t.rest, s) }

func (t *cutter) skip(s string) {
	rest, found := strings.CutPrefix(t.rest, s)
	t.rest, t.wrong = rest, t.wrong || !found
}

// text is what lies between before and the next quotation mark.
func (t *cutter) text(before string) string {
	t.skip(before)
	s, rest, found := strings.Cut(t.rest, `"`)
	t.rest, t.wrong = rest, t.wrong || !found
	return s
}

// number is the decimal number behind before.
func (t *cutter) number(before string) int64 {
	t.skip(before)
	end := strings.IndexAny(t.rest, ",}")
	if end < 0 {
		end = len(t.rest)
	}
	n, err := strconv.ParseInt(t.rest[:end], 10, 64)
	t.rest, t.wrong = t.rest[end:], t.wrong || err != nil
	return n
}
