package door

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/holo"
)

// procedures are all RPCs of the service descriptions, as they are compiled in.
func procedures() map[string]protoreflect.MethodDescriptor {
	all := map[string]protoreflect.MethodDescriptor{}
	protoregistry.GlobalFiles.RangeFilesByPackage("holo.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				m := s.Methods().Get(j)
				all["/"+string(s.FullName())+"/"+string(m.Name())] = m
			}
		}
		return true
	})
	return all
}

func TestEveryCallOfTheServiceDescriptionHasARoute(t *testing.T) {
	all := procedures()
	if len(all) < 20 {
		t.Fatalf("only %d RPCs were found", len(all))
	}
	for procedure, m := range all {
		rt, ok := routes[procedure]
		if ok == open[procedure] {
			t.Errorf("%s: route %v, open %v: want one of them", procedure, ok, open[procedure])
		}
		if ok && rt.signed() != (m.Input().FullName() == "holo.v1.SignedRequest") {
			t.Errorf("%s: signed %v, its request is a %s", procedure, rt.signed(), m.Input().FullName())
		}
	}
	for procedure := range routes {
		if _, ok := all[procedure]; !ok && procedure != getData && procedure != putData {
			t.Errorf("the route %s is of no call", procedure)
		}
	}
}

// What a call needs, by its zero message: every route asks for something, and
// every action is asked for by some route.
func TestEveryRouteNeedsARightAndEveryActionHasACall(t *testing.T) {
	used := map[holo.Action]bool{holo.ActionAuditRead: len(explainNeeds(&holov1.ExplainRequest{Principal: "x"})) > 0}
	for procedure, rt := range routes {
		var m proto.Message = &dataCall{array: 1}
		if rt.make != nil {
			m = rt.make()
		}
		if s, ok := m.(*holov1.SubmitRequest); ok {
			s.Inputs, s.Output = []uint64{1}, 2
		}
		needs := rt.needs(m)
		if len(needs) == 0 {
			t.Errorf("%s needs nothing", procedure)
		}
		for _, a := range needs {
			if !a.Action.Valid() {
				t.Errorf("%s needs the action %d", procedure, a.Action)
			}
			used[a.Action], used[a.Or] = true, true
		}
	}
	for _, a := range holo.Actions() {
		if !used[a] {
			t.Errorf("%s can be granted and is good for nothing", a)
		}
	}
}

// raw calls a procedure as a program would that knows nothing but its name.
func (u *user) raw(procedure string, session []byte) (int, http.Header) {
	u.rig.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://holo"+procedure, bytes.NewReader(nil))
	if err != nil {
		u.rig.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/proto")
	if m := procedures()[procedure]; m != nil && m.IsStreamingServer() {
		req.Header.Set("Content-Type", "application/connect+proto")
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(make([]byte, 5))), 5
	}
	if session != nil {
		req.Header.Set(api.SessionHeader, api.EncodeSession(session))
	}
	resp, err := u.http.Do(req)
	if err != nil {
		u.rig.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		u.rig.t.Fatal(err)
	}
	if bytes.Contains(body, []byte("permission_denied")) { // a stream's error is in its body
		return http.StatusForbidden, resp.Header
	}
	return resp.StatusCode, resp.Header
}

// S2-1: without a session, or with one that nobody proved, none of the calls of
// the service description is heard but those that begin a session.
func TestNoCallSucceedsWithoutAProvenKey(t *testing.T) {
	r := newRig(t)
	u := r.user()
	begun, err := u.begin()
	if err != nil {
		t.Fatal(err)
	}
	heard := 0
	for procedure := range procedures() {
		if open[procedure] {
			heard++
			continue
		}
		for name, session := range map[string][]byte{"none": nil, "made up": make([]byte, api.SessionSize), "begun": begun.GetSession()} {
			if status, _ := u.raw(procedure, session); status != http.StatusForbidden {
				t.Errorf("%s with a session that is %s: status %d", procedure, name, status)
			}
		}
	}
	if heard != 2 || len(r.backend.changes()) != 0 || len(r.backend.asked) != 0 {
		t.Errorf("%d open calls, %d changes, %d decisions", heard, len(r.backend.changes()), len(r.backend.asked))
	}
}

// callAs calls a procedure with a message that passes its checks and gives the
// reason of the refusal, "" where it was let in.
func (u *user) callAs(procedure string) string {
	u.rig.t.Helper()
	if procedure == getData || procedure == putData {
		path := api.DataPath(1, 0, 1)
		if procedure == putData {
			_, reason := u.put(path, make([]byte, 2), nil)
			return reason
		}
		return u.getReason(path)
	}
	m := sample(procedure)
	if routes[procedure].signed() {
		m = u.sign(procedure, m).Msg
	}
	client := connect.NewClient[holov1.SignedRequest, holov1.Array](u.http, "http://holo"+procedure)
	if !routes[procedure].signed() {
		return u.unsigned(procedure, m)
	}
	_, err := client.CallUnary(context.Background(), inSession(u.session, m.(*holov1.SignedRequest)))
	return reasonOf(err)
}

func reasonOf(err error) string {
	if c, ok := err.(*connect.Error); ok {
		return c.Meta().Get(api.ReasonHeader)
	}
	return ""
}

func (u *user) getReason(path string) string {
	u.rig.t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://holo"+path, nil)
	if err != nil {
		u.rig.t.Fatal(err)
	}
	req.Header.Set(api.SessionHeader, api.EncodeSession(u.session))
	resp, err := u.http.Do(req)
	if err != nil {
		u.rig.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.Header.Get(api.ReasonHeader)
}

func (u *user) unsigned(procedure string, m proto.Message) string {
	ctx := context.Background()
	switch m := m.(type) {
	case *holov1.StatusRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.ListArraysRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.GetArrayRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.PagesRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.StatBufferRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.ListKernelsRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.GetKernelRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.ListJobsRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.GetJobRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.WhoAmIRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.ExplainRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.ListGrantsRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.ListTokensRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.ListMembersRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.OwnerStateRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.GetBalanceRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.DataKeyRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.ReadAuditRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.GetReceiptsRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.WhyRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.TraceRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.GetModuleRequest:
		return unary(ctx, u, procedure, m)
	case *holov1.LogRequest:
		stream, err := connect.NewClient[holov1.LogRequest, holov1.LogPart](u.http, "http://holo"+procedure).CallServerStream(ctx, inSession(u.session, m))
		if err != nil {
			u.rig.t.Fatal(err)
		}
		defer stream.Close()
		stream.Receive()
		return reasonOf(stream.Err())
	case *holov1.WatchRequest:
		stream, err := connect.NewClient[holov1.WatchRequest, holov1.JobProgress](u.http, "http://holo"+procedure).CallServerStream(ctx, inSession(u.session, m))
		if err != nil {
			u.rig.t.Fatal(err)
		}
		defer stream.Close()
		stream.Receive()
		return reasonOf(stream.Err())
	}
	u.rig.t.Fatalf("%s: no call for %T", procedure, m)
	return ""
}

func unary[M any](ctx context.Context, u *user, procedure string, m *M) string {
	_, err := connect.NewClient[M, holov1.Job](u.http, "http://holo"+procedure).CallUnary(ctx, inSession(u.session, m))
	return reasonOf(err)
}

// sampleModule is what comes with the sample of a push.
var sampleModule = []byte{1}

// E1-1 at the door: every call with all rights but those it needs is denied,
// and with just those it is let in.
func TestEveryCallNeedsItsRight(t *testing.T) {
	r := newRig(t)
	maker := r.user()
	maker.create("a", 8, 0)
	for procedure, rt := range routes {
		var m proto.Message = &dataCall{array: 1}
		if rt.make != nil {
			m = sample(procedure)
		}
		needed := map[holo.Action]bool{}
		for _, a := range rt.needs(m) {
			needed[a.Action] = true
		}
		without, with := []holo.Action{}, []holo.Action{}
		for _, a := range holo.Actions() {
			if needed[a] {
				with = append(with, a)
			} else if !slices.ContainsFunc(rt.needs(m), func(n Access) bool { return n.Or == a }) {
				without = append(without, a)
			}
		}
		u := r.user()
		if strings.HasSuffix(procedure, "/Watch") {
			continue // TestRevokedWatchEnds has the same for streams
		}
		r.backend.allow(u.principal(), without...)
		before := len(r.backend.changes())
		if reason := u.callAs(procedure); reason != authz.ReasonNotGranted {
			t.Errorf("%s without %v: reason %q", procedure, with, reason)
		}
		if n := len(r.backend.changes()); n != before {
			t.Errorf("%s without its right changed something", procedure)
		}
		r.backend.allow(u.principal(), with...)
		if reason := u.callAs(procedure); reason == authz.ReasonNotGranted {
			t.Errorf("%s with %v: denied", procedure, with)
		}
	}
}

// A call that somebody adds to a service and forgets in the table is denied.
func TestCallWithoutARouteIsDenied(t *testing.T) {
	r := newRig(t)
	u := r.user()
	g := &gate{routes: map[string]route{}, sessions: newSessions(r.backend, time.Now), policy: r.backend, quotas: newQuotas(), refused: r.refused, log: nil}
	g.sessions.mu.proven[sessionID(u.session)] = &session{principal: u.principal(), began: time.Now(), used: time.Now()}
	h := http.Header{}
	h.Set(api.SessionHeader, api.EncodeSession(u.session))
	_, err := g.admit(context.Background(), h, holov1connect.ArrayServiceListProcedure, &holov1.ListArraysRequest{})
	if holo.KindOf(err) != holo.Denied || holo.ReasonOf(err) != reasonUnknownRoute {
		t.Errorf("%v", err)
	}
	g.routes = routes
	if _, err := g.admit(context.Background(), h, holov1connect.ArrayServiceListProcedure, &holov1.ListArraysRequest{}); err != nil {
		t.Errorf("with its route: %v", err)
	}
	// A signed call without its envelope is not that call.
	if _, err := g.admit(context.Background(), h, holov1connect.ArrayServiceDeleteProcedure, &holov1.DeleteRequest{}); holo.ReasonOf(err) != reasonUnknownRoute {
		t.Errorf("unsigned: %v", err)
	}
}

func TestRevokedDownloadEnds(t *testing.T) {
	r := newRig(t)
	u := r.user()
	a := u.create("a", 8<<20, 0) // 16 MiB: longer than what is read before it is answered
	req, err := http.NewRequest(http.MethodGet, "http://holo"+api.DataPath(holo.ArrayID(a.GetId()), 0, 8<<20), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(api.SessionHeader, api.EncodeSession(u.session))
	resp, err := u.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	r.backend.allow(u.principal())
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil || n >= 15<<20 {
		t.Fatalf("%d bytes more, then %v: want the stream cut", n, err)
	}
	await(t, "the refusal to be counted", func() bool { return r.count(authz.ReasonRevoked) == 1 })
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline, look := time.NewTimer(time.Minute), time.NewTicker(10*time.Millisecond)
	defer deadline.Stop()
	defer look.Stop()
	for !done() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestRevokedWatchEnds(t *testing.T) {
	r := newRig(t)
	u := r.user()
	jobs := holov1connect.NewJobServiceClient(u.http, "http://holo")
	r.backend.watch <- &holov1.JobProgress{State: "running"}
	stream, err := jobs.Watch(context.Background(), inSession(u.session, &holov1.WatchRequest{Job: 1}))
	if err != nil {
		t.Fatal(err)
	}
	if !stream.Receive() {
		t.Fatal(stream.Err())
	}
	r.backend.allow(u.principal(), holo.ActionRead)
	r.backend.watch <- &holov1.JobProgress{State: "running"}
	if stream.Receive() {
		t.Fatal("progress after the right ended")
	}
	r.wantRefused(stream.Err(), holo.Denied, authz.ReasonRevoked)
	denied, err := jobs.Watch(context.Background(), inSession(u.session, &holov1.WatchRequest{Job: 1}))
	if err != nil {
		t.Fatal(err)
	}
	if denied.Receive() {
		t.Fatal("a watch without the right")
	}
	r.wantRefused(denied.Err(), holo.Denied, authz.ReasonNotGranted)
}

// A right that changed hands and still holds lets the stream go on.
func TestStreamGoesOnUnderAnotherPolicyThatAllowsIt(t *testing.T) {
	r := newRig(t)
	u := r.user()
	jobs := holov1connect.NewJobServiceClient(u.http, "http://holo")
	r.backend.watch <- &holov1.JobProgress{State: "running"}
	stream, err := jobs.Watch(context.Background(), inSession(u.session, &holov1.WatchRequest{Job: 1}))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
		r.backend.allow(u.principal(), holo.ActionObserve)
		r.backend.watch <- &holov1.JobProgress{State: "running"}
	}
}

func TestCallsOfOnePrincipalAreLimited(t *testing.T) {
	q, now := newQuotas(), time.Unix(1e9, 0)
	busy, other := holo.PrincipalID{1}, holo.PrincipalID{2}
	for range burst[classChange] {
		if err := q.take(busy, classChange, now); err != nil {
			t.Fatal(err)
		}
	}
	err := q.take(busy, classChange, now)
	if holo.KindOf(err) != holo.Unavailable || holo.ReasonOf(err) != "rate_limited" {
		t.Errorf("one too many: %v", err)
	}
	if q.take(other, classChange, now) != nil || q.take(busy, classRead, now) != nil {
		t.Error("others, or calls of another kind, are limited too")
	}
	if err := q.take(busy, classChange, now.Add(time.Second)); err != nil {
		t.Errorf("a second later: %v", err)
	}
	for i := range 3 * maxCounted {
		_ = q.take(holo.PrincipalID{3, byte(i), byte(i >> 8)}, classRead, now)
	}
	if n := len(q.mu.of); n > maxCounted {
		t.Errorf("%d principals are counted", n)
	}
}

// A job that deletes what it wrote takes the right to, on each of its outputs.
func TestResultsThatAreDeletedTakeFree(t *testing.T) {
	m := &holov1.SubmitRequest{Kernel: "k", Inputs: []uint64{1}, Output: 2, Then: []*holov1.SubmitRequest{{Kernel: "k", Inputs: []uint64{2}, Output: 3}}}
	freed := func() (list []string) {
		for _, a := range submitNeeds(m) {
			if a.Action == holo.ActionFree {
				list = append(list, a.On.Array)
			}
		}
		return list
	}
	if list := freed(); len(list) != 0 {
		t.Errorf("a job that keeps all needs FREE on %v", list)
	}
	if m.KeepSeconds = 1; !slices.Equal(freed(), []string{"#2", "#3"}) {
		t.Errorf("a job that deletes needs FREE on %v", freed())
	}
}
