package attack

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/key"
)

// forEverybody are the calls that any grant opens, by the matrix that people
// read: all that they need is OBSERVE on the cluster.
func forEverybody(t *testing.T) map[string]bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "door", "testdata", "calls.txt"))
	must(t, err)
	open := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 5 && f[3] == "OBSERVE" && f[4] == "cluster" {
			open["/"+f[0]] = true
		}
	}
	if len(open) < 8 {
		t.Fatalf("%d calls are for everybody: the matrix is not as it was", len(open))
	}
	return open
}

// TestDeniedCallsAreCountedAndOnTheRecord (rows AC-2, AC-3, AC-5, E1-1, TB-4): every
// call of the service description that needs a right, by somebody who may read
// other arrays and nothing else. Those that change something leave a record each,
// under the call's name; the others one by number.
func TestDeniedCallsAreCountedAndOnTheRecord(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1)
	reader := key.GenerateSigner()
	public := reader.Public()
	_, err := l.sdk.AddGrant(t.Context(), holocompute.Grant{Principal: hex.EncodeToString(public[:]), Role: "reader", Scope: holocompute.Scope{Under: "elsewhere"}})
	must(t, err)
	th, c, open := l.worked(), l.enter(reader), forEverybody(t)
	was, denied := l.state(), 0
	for n, r := range rpcs(t) {
		if strings.Contains(r.procedure, "SessionService/") || open[r.procedure] && r.inner != nil {
			continue // they open a session, or what decides is not at the door
		}
		request, err := proto.Marshal(th.sensible(asked(r)))
		must(t, err)
		before := l.counted(authz.ReasonNotGranted)
		reason := c.refusal(r, c.sealed(r, request, uint64(n), nil))
		if open[r.procedure] {
			if reason == authz.ReasonNotGranted {
				t.Errorf("control: %s is denied to somebody who has a grant", r.procedure)
			}
			continue
		}
		denied++
		if after := l.counted(authz.ReasonNotGranted); reason != authz.ReasonNotGranted || after != before+1 {
			t.Errorf("%s: refused as %q, counted %d times, want it denied and counted once", r.procedure, reason, after-before)
			continue
		}
		if event := api.Event(r.procedure[1:]); r.inner != nil {
			l.recordedOf(r.procedure, event, authz.ReasonNotGranted, hex.EncodeToString(public[:]))
		}
	}
	l.recorded("what reads", "authz.denied", authz.ReasonNotGranted)
	l.unchanged("after all of them", was)
	if denied < 25 {
		t.Errorf("only %d calls were denied", denied)
	}
}

// asked is the description of what a procedure is asked.
func asked(r rpc) protoreflect.MessageDescriptor {
	if r.inner != nil {
		return r.inner
	}
	return r.input
}

// recordedOf wants a signed request's refusal on the record with whose it was: it is
// there before the answer.
func (l *live) recordedOf(what, event, reason, actor string) {
	l.t.Helper()
	for r, err := range l.sdk.Audit(l.t.Context(), holocompute.AuditQuery{Event: event}) {
		must(l.t, err)
		if r.Reason == reason && r.Decision == "refused" && r.Actor == actor {
			return
		}
	}
	l.t.Fatalf("%s is not on the record as %s %s", what, event, reason)
}

// TestCallsThatNobodySignedAreOnTheRecord (row TB-4): each call that is signed,
// sensible but for a bit of its signature, in a session that has the right.
func TestCallsThatNobodySignedAreOnTheRecord(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1)
	th, c := l.worked(), l.enter(l.user())
	was, public := l.state(), c.signer.Public()
	tried := 0
	for n, r := range rpcs(t) {
		if r.inner == nil {
			continue
		}
		tried++
		request, err := proto.Marshal(th.sensible(r.inner))
		must(t, err)
		before := l.counted("bad_signature")
		reason := c.refusal(r, c.sealed(r, request, uint64(n), func(b []byte) { b[n%len(b)] ^= 1 << (n % 8) }))
		if after := l.counted("bad_signature"); reason != "bad_signature" || after != before+1 {
			t.Errorf("%s: refused as %q, counted %d times, want once as bad_signature", r.procedure, reason, after-before)
			continue
		}
		l.recordedOf(r.procedure, api.Event(r.procedure[1:]), "bad_signature", hex.EncodeToString(public[:]))
	}
	l.unchanged("after all of them", was)
	if tried < 18 {
		t.Errorf("only %d calls were tried", tried)
	}
}
