package attack

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/protocol"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// TestEveryDeviationInTheHandshakeIsRefused (threat-model rows S1-1, S1-4,
// T1-2): a peer with a member's keys, stolen, departs from the protocol in one
// place at a time. Without a deviation it is let in.
func TestEveryDeviationInTheHandshakeIsRefused(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1)
	ctx := t.Context()
	if p, err := dialAs(t, ctx, l.target.Address, l.local(), bugs{}); err != nil {
		t.Fatal("control: ", err)
	} else if m, err := p.ask(ctx, &wire.UsageRead{}); err != nil || m.Type() != (&wire.Usage{}).Type() {
		t.Fatal("control: ", m, err)
	}
	classical := func(l *handshake.Local) { l.PQ = handshake.PQOff }
	for name, d := range map[string]struct {
		reason string
		bugs   bugs
		local  func(*handshake.Local)
	}{
		"a key nobody admitted":    {handshake.ReasonUnknownNode, bugs{}, func(o *handshake.Local) { o.Static = l.strange() }},
		"another exporter":         {handshake.ReasonBadHandshake, bugs{exporter: func(b []byte) []byte { b[0] ^= 1; return b }}, nil},
		"no exporter":              {handshake.ReasonBadHandshake, bugs{exporter: func([]byte) []byte { return nil }}, nil},
		"another transport":        {handshake.ReasonBadHandshake, bugs{}, func(l *handshake.Local) { l.Transport = "tcp" }},
		"X25519 alone":             {handshake.ReasonSuiteRefused, bugs{}, classical},
		"a fallback without need":  {handshake.ReasonSuiteRefused, bugs{}, fallenBack(t)},
		"a suite with other bytes": {handshake.ReasonBadHandshake, bugs{message: edit("_AESGCM_", "_AESGCM_", otherSuite)}, nil},
		"an offer that was cut":    {handshake.ReasonBadHandshake, bugs{message: edit("", "", cutOffer)}, nil},
		"a suite nobody has":       {handshake.ReasonSuiteRefused, bugs{message: edit("AESGCM_SHA256", "AESGCN_SHA256", nil)}, nil},
		"no magic":                 {handshake.ReasonBadHello, bugs{message: edit("holo", "hole", nil)}, nil},
		"no version":               {handshake.ReasonBadHello, bugs{message: on(1, func(b []byte) []byte { b[6]--; return b })}, nil},
		"versions after ours": {handshake.ReasonVersion, bugs{}, func(l *handshake.Local) {
			l.Speaks = protocol.Range{Oldest: protocol.Newest + 1, Newest: protocol.Newest + 2}
		}},
		"a version before it":     {handshake.ReasonVersion, bugs{}, func(l *handshake.Local) { l.Speaks = protocol.Range{Oldest: protocol.Oldest, Newest: protocol.Oldest} }},
		"fewer versions, edited":  {handshake.ReasonBadHandshake, bugs{message: on(1, func(b []byte) []byte { b[6]++; return b })}, nil},
		"a client session":        {handshake.ReasonWrongKind, bugs{}, func(l *handshake.Local) { l.Kind, l.PSK = handshake.KindClient, handshake.PSK{} }},
		"a join session":          {handshake.ReasonUnknownPSK, bugs{}, func(l *handshake.Local) { l.Kind = handshake.KindJoin }},
		"message 1 twice":         {handshake.ReasonBadHandshake, bugs{framed: on(1, func(b []byte) []byte { return append(b, b...) })}, nil},
		"message 3 twice":         {transport.ReasonBadRecord, bugs{framed: on(3, func(b []byte) []byte { return append(b, b...) })}, nil},
		"message 1 for message 3": {handshake.ReasonBadHandshake, bugs{message: firstAgain()}, nil},
		"a long message":          {transport.ReasonLong, bugs{framed: on(1, func([]byte) []byte { return []byte{0xff, 0xff, 1} })}, nil},
		"a byte too many":         {handshake.ReasonBadHandshake, bugs{message: on(1, func(b []byte) []byte { return append(b, 0) })}, nil},
		"an empty message":        {handshake.ReasonBadHello, bugs{message: on(1, func([]byte) []byte { return nil })}, nil},
		"no last byte":            {handshake.ReasonBadHandshake, bugs{message: on(3, func(b []byte) []byte { return b[:len(b)-1] })}, nil},
		"a greeting with a bit":   {transport.ReasonBadRecord, bugs{greeting: func(b []byte) []byte { b[len(b)-1] ^= 1; return b }}, nil},
	} {
		local := l.local()
		if d.local != nil {
			d.local(&local)
		}
		l.refuses(name, d.reason, 1, func() {
			if p, err := dialAs(t, ctx, l.target.Address, local, d.bugs); err == nil {
				t.Errorf("%s: let in as %s", name, p.session.Protocol())
			}
		})
	}
}

// strange is the static key of somebody whom nobody admitted.
func (l *live) strange() *handshake.Static {
	l.t.Helper()
	s, err := handshake.NewStatic(key.GenerateSigner(), l.target.Cluster, liveName, time.Now().Unix())
	must(l.t, err)
	return s
}

// on changes one message and leaves the others.
func on(number int, change func([]byte) []byte) func(int, []byte) []byte {
	return func(n int, b []byte) []byte {
		if n == number {
			return change(bytes.Clone(b))
		}
		return b
	}
}

// edit changes the clear hello in front of message 1.
func edit(from, to string, further func([]byte) []byte) func(int, []byte) []byte {
	return on(1, func(b []byte) []byte {
		b = bytes.Replace(b, []byte(from), []byte(to), 1)
		if further != nil {
			b = further(b)
		}
		return b
	})
}

// otherSuite swaps the two protocols that the hello names, so that the node
// takes the Noise message for one of the other cipher.
func otherSuite(b []byte) []byte {
	a, x := []byte("MLKEM768_AESGCM_SHA256"), []byte("MLKEM768_XChaChaPoly_SHA256")
	size := int(b[0])<<8 | int(b[1])
	hello, noise := b[2:2+size], b[2+size:]
	const head = 32
	names := hello[head:]
	first := names[1 : 1+names[0]]
	second := names[1+int(names[0])+2:]
	if !bytes.HasSuffix(first, a) || !bytes.HasSuffix(second, x) {
		panic("the hello is not as it was")
	}
	swapped := slices.Concat(hello[:head], []byte{byte(len(second))}, second, []byte{1, byte(len(first))}, first)
	return slices.Concat([]byte{byte(len(swapped) >> 8), byte(len(swapped))}, swapped, noise)
}

// cutOffer removes what the initiator would also agree to.
func cutOffer(b []byte) []byte {
	size := int(b[0])<<8 | int(b[1])
	hello, noise := b[2:2+size], b[2+size:]
	const head = 32
	cut := append(slices.Clone(hello[:head+1+int(hello[head])]), 0)
	return slices.Concat([]byte{byte(len(cut) >> 8), byte(len(cut))}, cut, noise)
}

// fallenBack is a side that was told, by somebody in the middle, that neither
// hybrid is allowed.
func fallenBack(t *testing.T) func(*handshake.Local) {
	return func(l *handshake.Local) {
		l.PQ = handshake.PQPrefer
		for range 2 {
			next, more := l.Fallback()
			if !more {
				t.Fatal("no fallback")
			}
			*l = next
		}
	}
}

// firstAgain sends message 1 in the place of message 3.
func firstAgain() func(int, []byte) []byte {
	var first []byte
	return func(n int, b []byte) []byte {
		if n == 1 {
			first = bytes.Clone(b)
			return b
		}
		return first
	}
}

// TestDowngradeIsRefusedUnderPrefer (threat-model row T1-2): two sides that
// prefer the hybrid do not end up without it because somebody said that the
// other would not.
func TestDowngradeIsRefusedUnderPrefer(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1, "--post-quantum", "prefer")
	local := l.local()
	fallenBack(t)(&local)
	l.refuses("a forged refusal", handshake.ReasonDowngrade, 1, func() {
		if _, err := dialAs(t, t.Context(), l.target.Address, local, bugs{}); err == nil {
			t.Error("the link was downgraded")
		}
	})
	l.refuses("a forged refusal and a cut offer", handshake.ReasonBadHandshake, 1, func() {
		if _, err := dialAs(t, t.Context(), l.target.Address, local, bugs{message: edit("", "", cutOffer)}); err == nil {
			t.Error("the link was downgraded")
		}
	})
	honest := l.local()
	honest.PQ = handshake.PQOff // control: who cannot do better is served
	if _, err := dialAs(t, t.Context(), l.target.Address, honest, bugs{}); err != nil {
		t.Error(err)
	}
}

// TestFlippedBitsInTheHandshakeAreRefused flips a bit in bytes of each message
// on the way to a live node. (Every bit of every message, in both directions, is
// internal/core/handshake's TestEveryFlippedBitEndsTheHandshake.)
func TestFlippedBitsInTheHandshakeAreRefused(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1)
	was := l.state()
	const step = 37
	for number, size := range map[int]int{1: 1300, 3: 300} {
		for at := number; at < size; at += step {
			flip := on(number, func(b []byte) []byte { b[at%len(b)] ^= 1 << (at % 8); return b })
			if _, err := dialAs(t, t.Context(), l.target.Address, l.local(), bugs{message: flip}); err == nil {
				t.Errorf("message %d with a bit of byte %d flipped is taken", number, at)
			}
		}
	}
	l.unchanged("after it", was)
	if l.counted(handshake.ReasonBadHandshake) < 20 {
		t.Error("the node counted few refusals")
	}
}

// TestDeviationsInRecordsEndTheSession (threat-model row S3): a member's own
// session, in which records come as no Sealer sends them.
func TestDeviationsInRecordsEndTheSession(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1)
	request := framed(&wire.UsageRead{})
	seal := func(c *channel, parts ...[]byte) (records [][]byte) {
		for i, p := range parts {
			records = append(records, c.sealer.Seal(nil, p, i == len(parts)-1))
		}
		return records
	}
	halves := [][]byte{request[:3], request[3:]}
	for name, send := range map[string]func(a, b *channel) []byte{
		"swapped between streams": func(a, b *channel) []byte { seal(a, halves...); return slices.Concat(seal(b, halves...)...) },
		"in another order":        func(a, _ *channel) []byte { r := seal(a, halves...); return slices.Concat(r[1], r[0]) },
		"one twice":               func(a, _ *channel) []byte { r := seal(a, halves...); return slices.Concat(r[0], r[0], r[1]) },
		"one left out":            func(a, _ *channel) []byte { return seal(a, halves...)[1] },
		"a bit flipped":           func(a, _ *channel) []byte { r := seal(a, request)[0]; r[len(r)-1] ^= 4; return r },
		"the end taken away":      func(a, _ *channel) []byte { r := seal(a, request)[0]; r[3] = 0; return r },
		"an end put in":           func(a, _ *channel) []byte { r := seal(a, halves...)[0]; r[3] |= 1; return r },
		"a rekey put in":          func(a, _ *channel) []byte { r := seal(a, halves...)[0]; r[3] |= 2; return r },
		"longer than any":         func(*channel, *channel) []byte { return []byte{0xff, 0xff, 1, 0} },
		"of no type":              func(*channel, *channel) []byte { return []byte{0, 20, 9, 0} },
		"in clear":                func(*channel, *channel) []byte { return request },
	} {
		l.refuses("records "+name, transport.ReasonBadRecord, 1, func() { l.spoil(name, send) })
	}
}

// spoil makes a session, sends what a deviation makes of two of its streams over
// the first, and waits until the node has ended the session.
func (l *live) spoil(name string, send func(a, b *channel) []byte) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	p, err := dialAs(l.t, ctx, l.target.Address, l.local(), bugs{})
	must(l.t, err)
	a, err := p.open(ctx)
	must(l.t, err)
	b, err := p.open(ctx)
	must(l.t, err)
	if _, err := a.Write(send(a, b)); err != nil {
		l.t.Fatal(err)
	}
	select {
	case <-p.conn.Context().Done():
	case <-ctx.Done():
		l.t.Errorf("records %s: the session goes on", name)
	}
}

// TestMessagesThatAreNoneAreRefused: well sealed, and no message all the same.
func TestMessagesThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1)
	ctx := t.Context()
	p, err := dialAs(t, ctx, l.target.Address, l.local(), bugs{})
	must(t, err)
	for name, b := range map[string][]byte{
		"longer than any":   {0xff, 0xff, 0xff, 0xff, 1, 2},
		"without a type":    {0, 0, 0, 0},
		"of an unknown one": {2, 0, 0, 0, 0xfe, 0xff},
		"with a byte more":  append([]byte{byte(len(wire.Encode(&wire.UsageRead{})) + 1), 0, 0, 0}, append(wire.Encode(&wire.UsageRead{}), 0)...),
	} {
		l.refuses("a message "+name, "malformed", 1, func() {
			c, err := p.open(ctx)
			must(t, err)
			must(t, c.write(b))
		})
	}
	l.refuses("a message with no end", transport.ReasonBadRecord, 0, func() { // a stream that is cut says nothing, and does nothing
		c, err := p.open(ctx)
		must(t, err)
		_, err = c.Write(c.sealer.Seal(nil, framed(&wire.UsageRead{})[:5], false))
		must(t, err)
		must(t, c.Close())
	})
	if _, err := p.ask(ctx, &wire.UsageRead{}); err != nil { // none of these is the session's end
		t.Error(err)
	}
}

// TestSlowPeersAreClosed (threat-model row D1-2): at each stage of the handshake
// somebody falls silent and keeps the connection alive.
func TestSlowPeersAreClosed(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	l.refuses("a slow peer at each stage", transport.ReasonTimeout, uint64(stages-1), func() {
		var slow []*peer
		for s := afterTLS; s < stages; s++ {
			p, err := dialAs(t, ctx, l.target.Address, l.local(), bugs{silentAt: s})
			if !errors.Is(err, errSilent) {
				t.Fatalf("stage %d: %v", s, err)
			}
			slow = append(slow, p)
		}
		for i, p := range slow {
			select {
			case <-p.conn.Context().Done():
			case <-ctx.Done():
				t.Errorf("stage %d is not closed", i+1)
			}
		}
	})
}

// TestPoliciesMeetAtALiveNode (threat-model row TS-2): each policy about the
// hybrid key exchange dials a node of each, as the product dials. Who gets no
// session is counted and on the record.
func TestPoliciesMeetAtALiveNode(t *testing.T) {
	t.Parallel()
	const hybrid, classical, none = "XXhfs+psk0_25519+MLKEM768", "XXpsk0_25519_", ""
	policies := []handshake.PQ{handshake.PQRequire, handshake.PQPrefer, handshake.PQOff}
	for at, want := range map[handshake.PQ][3]string{
		handshake.PQRequire: {hybrid, hybrid, none},
		handshake.PQPrefer:  {hybrid, hybrid, classical},
		handshake.PQOff:     {none, classical, classical},
	} {
		l := startLive(t, 1, "--post-quantum", at.String())
		for i, policy := range policies {
			if want[i] != none {
				l.meets(policy, at, want[i])
				continue
			}
			l.refuses(policy.String()+" dials "+at.String(), handshake.ReasonSuiteRefused, 1, func() { l.meets(policy, at, none) })
		}
	}
}

// meets dials under a policy, and wants the protocol, or none.
func (l *live) meets(policy, at handshake.PQ, want string) {
	l.t.Helper()
	link, err := transport.Listen(transport.Config{Listen: anyLoopback, Local: func() handshake.Local { return handshake.Local{} }, Logger: quiet})
	must(l.t, err)
	defer link.Close()
	local := l.local()
	local.PQ = policy
	s, err := link.Dial(l.t.Context(), l.target.Address, local, transport.Control, l.target.Node)
	switch {
	case err != nil && (want != "" || holo.ReasonOf(err) != handshake.ReasonSuiteRefused):
		l.t.Errorf("%s dials %s: %v", policy, at, err)
	case err == nil && (want == "" || !strings.Contains(s.Protocol(), want)):
		l.t.Errorf("%s dials %s: %s, want %q", policy, at, s.Protocol(), want)
	}
}
