package door

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// signedProcedures is all of the route table that is signed.
func (u *user) signedProcedures() (out []string) {
	u.rig.t.Helper()
	for procedure, rt := range routes {
		if rt.signed() && procedure != putData {
			out = append(out, strings.TrimPrefix(procedure, "/"))
		}
	}
	if len(out) < 13 {
		u.rig.t.Fatalf("only %d signed procedures found", len(out))
	}
	return out
}

// call posts a signed request as bytes, so that it serves any procedure.
func (u *user) call(procedure string, request, signature []byte) (status int, reason string) {
	u.rig.t.Helper()
	body, err := proto.Marshal(&holov1.SignedRequest{Request: request, Signature: signature, Stamp: make([]byte, api.StampSize), Attachment: attachment(procedure)})
	if err != nil {
		u.rig.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, "http://holo/"+procedure, bytes.NewReader(body))
	if err != nil {
		u.rig.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/proto")
	req.Header.Set(api.SessionHeader, api.EncodeSession(u.session))
	resp, err := u.http.Do(req)
	if err != nil {
		u.rig.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, resp.Header.Get(api.ReasonHeader)
}

// sampleBytes is a request that passes the route's check.
func sampleBytes(t *testing.T, procedure string) []byte {
	t.Helper()
	b, err := proto.Marshal(sample("/" + procedure))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (u *user) signature(procedure string, request []byte) []byte {
	return u.signer.Sign(api.RequestProof(procedure, u.session, api.RequestDigest(api.Stamp{}, request)))
}

// TestEverySignedRequestLeavesOneRecord goes through the service descriptions:
// whoever adds a signed procedure is covered without doing anything.
func TestEverySignedRequestLeavesOneRecord(t *testing.T) {
	r := newRig(t)
	u := r.user()
	r.backend.allow(u.principal(), holo.Actions()...)
	procedures := u.signedProcedures()
	for _, procedure := range procedures {
		if got, want := api.Event(procedure), routes["/"+procedure].event; got != want {
			t.Errorf("%s: a record calls it %s, the route table %s", procedure, got, want)
		}
		request := sampleBytes(t, procedure)
		u.call(procedure, request, u.signature(procedure, request))
		records := r.backend.takeRecords()
		if len(records) != 1 {
			t.Errorf("%s: %d records, want 1", procedure, len(records))
			continue
		}
		c := records[0]
		if c.refusal != nil || c.Principal != u.principal() || c.Procedure != procedure || !key.Verify(c.Principal, c.Proof(), c.Signature) {
			t.Errorf("%s: the record %+v does not prove who asked", procedure, c)
		}

		before := r.count("bad_signature")
		if _, reason := u.call(procedure, request, u.signature(procedure, append(request, 0))); reason != "bad_signature" {
			t.Errorf("%s: with another request's signature: %q", procedure, reason)
		}
		records = r.backend.takeRecords()
		if len(records) != 1 || holo.ReasonOf(records[0].refusal) != "bad_signature" || records[0].Signature != nil {
			t.Errorf("%s: a refused request left %+v", procedure, records)
		}
		if got := r.count("bad_signature") - before; got != 1 {
			t.Errorf("%s: the refusal was counted %d times", procedure, got)
		}
	}
}

// Who lacks the right leaves one record too, with the proof that they asked.
func TestDeniedRequestsLeaveOneRecord(t *testing.T) {
	r := newRig(t)
	u := r.user()
	a := u.create("a", 100, 0)
	r.backend.takeRecords()
	r.backend.allow(u.principal(), holo.ActionCompute) // which is enough for no signed call
	before := len(r.backend.changes())
	for _, procedure := range u.signedProcedures() {
		request := sampleBytes(t, procedure)
		counted := r.count("not_granted")
		if _, reason := u.call(procedure, request, u.signature(procedure, request)); reason != "not_granted" {
			t.Errorf("%s: %q", procedure, reason)
		}
		records := r.backend.takeRecords()
		if len(records) != 1 || holo.ReasonOf(records[0].refusal) != "not_granted" || r.count("not_granted") != counted+1 {
			t.Errorf("%s: %d records, counted %d times", procedure, len(records), r.count("not_granted")-counted)
		} else if c := records[0]; c.Action == "" || !key.Verify(c.Principal, c.Proof(), c.Signature) {
			t.Errorf("%s: the record does not prove who asked for %q", procedure, c.Action)
		}
	}
	if _, reason := u.put(api.DataPath(holo.ArrayID(a.GetId()), 0, 10), make([]byte, 20), nil); reason != "not_granted" {
		t.Errorf("an upload: %q", reason)
	}
	if records := r.backend.takeRecords(); len(records) != 1 || records[0].Action != "write" || records[0].Resource != "array 1" {
		t.Errorf("an upload left %+v", records)
	}
	if n := len(r.backend.changes()); n != before {
		t.Errorf("%d requests reached the node", n-before)
	}
}

// Whoever asks too often does not fill the log: a quota is no decision.
func TestRequestsBeyondTheQuotaAreNotRecordedEach(t *testing.T) {
	if decided(holo.Refuse(holo.Unavailable, "rate_limited", "x")) || decided(holo.Refuse(holo.Exhausted, "x", "x")) {
		t.Error("a quota counts as a decision")
	}
	if !decided(holo.Refuse(holo.Denied, "not_granted", "x")) || !decided(holo.Errorf(holo.Invalid, "x")) || !decided(holo.Refuse(holo.Corrupt, "bad_digest", "x")) {
		t.Error("a decision counts as none")
	}
	r := newRig(t)
	u := r.user()
	const asked = 800 // more than a burst of changes
	request := sampleBytes(t, "holo.v1.JobService/Cancel")
	signature := u.signature("holo.v1.JobService/Cancel", request)
	for range asked {
		u.call("holo.v1.JobService/Cancel", request, signature)
	}
	records, limited := len(r.backend.takeRecords()), r.count("rate_limited")
	if records+limited != asked {
		t.Errorf("%d records and %d refused by quota, of %d", records, limited, asked)
	}
}

// Who sends what nobody signed makes no more calls than who signs, and who is
// refused again and again leaves no more records than a burst of refusals: the
// log is for good, and each refusal is counted all the same.
func TestNobodyFillsTheLogWithRefusals(t *testing.T) {
	const procedure = "holo.v1.JobService/Cancel"
	r := newRig(t)
	u := r.user()
	begun := time.Now()
	asked := 2 * burst[classChange]
	request := sampleBytes(t, procedure)
	for range asked {
		u.call(procedure, request, nil)
	}
	records, unsigned, limited := len(r.backend.takeRecords()), r.count("bad_signature"), r.count("rate_limited")
	if unsigned+limited != asked || limited == 0 {
		t.Errorf("of %d calls %d were counted as unsigned and %d as too many", asked, unsigned, limited)
	}
	if most := burst[classRefused] + int(time.Since(begun).Seconds()+1)*int(perSecond[classRefused]); records > most || records == 0 {
		t.Errorf("%d records of %d refusals, at most %d", records, unsigned, most)
	}
}

func TestUploadsLeaveOneRecord(t *testing.T) {
	r := newRig(t)
	u := r.user()
	a := u.create("a", 100, 0)
	r.backend.takeRecords()
	path := api.DataPath(holo.ArrayID(a.GetId()), 0, 10)
	body := make([]byte, 20)
	if status, reason := u.put(path, body, nil); status != http.StatusNoContent {
		t.Fatalf("%d %s", status, reason)
	}
	records := r.backend.takeRecords()
	if len(records) != 1 || records[0].refusal != nil || records[0].Resource != "array 1" || !key.Verify(u.principal(), records[0].Proof(), records[0].Signature) {
		t.Fatalf("an upload left %+v", records)
	}
	written := len(r.backend.changes())
	for reason, spoil := range map[string]func(*http.Request){
		"bad_signature": func(q *http.Request) {
			q.Header.Set(api.SignatureHeader, api.EncodeSignature(u.signer.Sign([]byte("x"))))
		},
		"bad_digest": func(q *http.Request) { q.Header.Set(api.DigestHeader, api.EncodeDigest([32]byte{})) },
	} {
		if _, got := u.put(path, body, spoil); got != reason {
			t.Errorf("refused for %q, want %q", got, reason)
		}
		records := r.backend.takeRecords()
		if len(records) != 1 || holo.ReasonOf(records[0].refusal) != reason || r.count(reason) != 1 {
			t.Errorf("%s: %d records %+v, counted %d times", reason, len(records), records, r.count(reason))
		}
	}
	if n := len(r.backend.changes()); n != written {
		t.Errorf("%d refused uploads were written", n-written)
	}
}

// TestNothingHappensUnrecorded: with the log unable to take a record, no signed
// request reaches the node, and calls that change nothing go on.
func TestNothingHappensUnrecorded(t *testing.T) {
	r := newRig(t)
	u := r.user()
	a := u.create("a", 100, 0)
	r.backend.allow(u.principal(), holo.Actions()...)
	before, procedures := len(r.backend.changes()), u.signedProcedures()
	r.backend.setMute(holo.Refuse(holo.Exhausted, "audit_unavailable", "the disk is full"))
	for _, procedure := range procedures {
		request := sampleBytes(t, procedure)
		if _, reason := u.call(procedure, request, u.signature(procedure, request)); reason != "audit_unavailable" {
			t.Errorf("%s: %q", procedure, reason)
		}
		if _, reason := u.call(procedure, request, nil); reason != "bad_signature" {
			t.Errorf("%s, badly signed: %q", procedure, reason)
		}
	}
	path := api.DataPath(holo.ArrayID(a.GetId()), 0, 10)
	if _, reason := u.put(path, make([]byte, 20), nil); reason != "audit_unavailable" {
		t.Errorf("an upload: %q", reason)
	}
	if n := len(r.backend.changes()); n != before {
		t.Errorf("%d requests reached the node", n-before)
	}
	if r.count("audit_unavailable") == 0 || r.count("bad_signature") == 0 {
		t.Error("refusals that cannot be recorded are not counted")
	}
	if _, err := u.arrays().List(context.Background(), inSession(u.session, &holov1.ListArraysRequest{})); err != nil {
		t.Errorf("a call that changes nothing: %v", err)
	}
	if status, body, err := u.get(path); status != http.StatusOK || len(body) != 20 || err != nil {
		t.Errorf("a read: %d, %d bytes, %v", status, len(body), err)
	}
	r.backend.setMute(nil)
	u.create("b", 10, 0)
}

func TestResourcesSayWhatARequestIsAbout(t *testing.T) {
	for event, c := range map[string]struct {
		m    proto.Message
		want string
	}{
		"array.create":   {&holov1.CreateArrayRequest{Name: "a/b"}, "array a/b"},
		"array.fill":     {&holov1.FillRequest{Array: 7}, "array 7"},
		"array.delete":   {&holov1.DeleteRequest{Array: 8}, "array 8"},
		"kernel.push":    {&holov1.PushKernelRequest{Name: "k", Module: []byte("x")}, "kernel k"},
		"job.submit":     {&holov1.SubmitRequest{Kernel: "k"}, "kernel k"},
		"job.cancel":     {&holov1.CancelRequest{Job: 3}, "job 3"},
		"node.evict":     {&holov1.EvictRequest{Node: []byte{0xab}}, "node ab"},
		"access.grant":   {&holov1.PutGrantRequest{Grant: &holov1.Grant{Role: "reader", Principal: "ab"}}, "grant of reader to ab"},
		"cluster.invite": {&holov1.CreateInviteRequest{InviteKey: []byte{1, 2}, Psk: []byte("secret")}, "invite 0102"},
	} {
		if got := resourceOf(event, c.m); got != c.want {
			t.Errorf("%s: %q, want %q", event, got, c.want)
		}
	}
}

func TestAuditQueriesAreChecked(t *testing.T) {
	r := newRig(t)
	u := r.user()
	r.backend.allow(u.principal(), holo.ActionAuditRead)
	client := holov1connect.NewAuditServiceClient(u.http, "http://holo")
	for _, q := range []*holov1.ReadAuditRequest{{Limit: 1001}, {WaitMs: 30001}, {Event: "a b"}, {Event: strings.Repeat("x", 65)}} {
		if _, err := client.Read(context.Background(), inSession(u.session, q)); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if _, err := client.Read(context.Background(), inSession(u.session, &holov1.ReadAuditRequest{First: 3, Event: "array.create"})); err != nil {
		t.Error(err)
	}
	_, err := client.Read(context.Background(), connect.NewRequest(&holov1.ReadAuditRequest{}))
	r.wantRefused(err, holo.Denied, "no_session")
}
