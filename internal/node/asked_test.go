package node

import (
	"context"
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/jobs"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/kernels"
)

// forge makes a command past everything that an honest leader checks, and waits
// until every voter has counted the refusal.
func (c *cluster) forge(reason string, body wire.Message) {
	c.t.Helper()
	lead := c.nodes[c.leads()]
	before := map[*Node]uint64{}
	for _, n := range c.nodes {
		before[n] = n.refusals.all()[reason]
	}
	r, err := lead.commit(context.Background(), newRequestID(), body)
	must(c.t, err)
	if !r.Refused || r.Failure.Reason != reason {
		c.t.Fatalf("%T: answered with %+v, want a refusal with reason %s", body, r, reason)
	}
	for _, n := range c.nodes {
		await(c.t, "each voter refuses and counts "+reason, func() bool { return n.refusals.all()[reason] > before[n] })
	}
}

// The attack: a member that was taken over proposes a deletion, and the like, in
// the name of the user whose array it is; and so does one that leads, which asks
// nobody. Every voter refuses alike, counts it, and the array stays.
func TestMemberCannotActInAClientsName(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.lies = true
	ctx := context.Background()
	lead := c.nodes[c.leads()]
	liar := c.nodes[(c.leads()+1)%3]
	a := c.create(liar, "precious", 1<<20)
	id := holo.ArrayID(a.GetId())

	before := lead.refusals.all()[reasonNotAllowed]
	answer := say(t, liar, lead, &wire.ControlRequest{Request: newRequestID(), Body: wire.Encode(&wire.ArrayDelete{Array: id})})
	wantFailure(t, answer, holo.Denied, reasonNotAllowed)
	refused(t, lead, reasonNotAllowed, before)

	made := liar.asked(c.asks(liar, holov1connect.ArrayServiceDeleteProcedure, &holov1.DeleteRequest{Array: a.GetId()}))
	copy(made.Sig[:], liar.home.signer.Sign([]byte("whatever a node can sign")))
	before = lead.refusals.all()[catalog.ReasonRequestSig]
	_, err := liar.propose(ctx, made)
	wantRefused(t, err, holo.Denied, catalog.ReasonRequestSig)
	refused(t, lead, catalog.ReasonRequestSig, before)

	c.forge(catalog.ReasonUnsigned, &wire.ArrayDelete{Array: id})
	c.forge(catalog.ReasonUnsigned, &wire.ArraySealing{Array: id})
	c.forge(catalog.ReasonUnsigned, &wire.ArrayCreate{Owner: c.user(0), Name: "more", Shape: holo.Shape{Type: holo.I8, Length: 8, Extent: holo.PageSize}, Class: 1})
	c.forge(catalog.ReasonUnsigned, &wire.KernelPut{Kernel: wire.KernelRecord{Owner: c.user(0), Name: "k", Module: holo.ModuleID{1}, Size: 1}})
	c.forge(catalog.ReasonUnsigned, &wire.JobPut{Job: wire.JobRecord{Owner: c.user(0), Coordinator: liar.self, Module: holo.ModuleID{1}, Kind: wire.TaskReduce, Inputs: []holo.ArrayID{id}, End: wire.JobEnd{Phase: wire.JobRunning}}})
	c.forge(catalog.ReasonUnsigned, &wire.NodeDrain{Node: liar.self, On: true})
	c.forge(catalog.ReasonUnsigned, &wire.Rebalance{})
	c.forge(catalog.ReasonRequestSig, made)
	c.forge(catalog.ReasonUnsigned, &wire.NodeAddress{Node: liar.self, Place: wire.Place{Addresses: []string{"127.0.0.1:1"}, Capacity: 1 << 20}})
	inItsName := lead.attest(&wire.NodeAddress{Node: liar.self, Place: wire.Place{Addresses: []string{"127.0.0.1:1"}, Capacity: 1 << 20}})
	c.forge(catalog.ReasonNotTheirs, inItsName)
	inItsName.Node = liar.self
	c.forge(catalog.ReasonNodeSig, inItsName)
	for i, n := range c.nodes {
		n.catalog.read(func(cat *catalog.Catalog) {
			r, ok := cat.ArrayByID(id)
			drains := cat.Shards().Open()
			if !ok || r.State != wire.ArrayOpen || len(cat.Arrays()) != 1 || len(cat.Kernels()) != 0 || len(cat.Jobs()) != 0 || len(drains) != 3 {
				t.Errorf("node %d: array %+v, %d arrays, %d kernels, %d jobs, %d nodes that do not drain", i, r, len(cat.Arrays()), len(cat.Kernels()), len(cat.Jobs()), len(drains))
			}
		})
	}
}

// The attack: a member keeps what a client signed, and hands it in again.
func TestMemberCannotReplayAClientsRequest(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	lead, liar := c.nodes[c.leads()], c.nodes[(c.leads()+1)%3]
	create := &holov1.CreateArrayRequest{Name: "once", Type: "i8", Length: 8}
	kept := c.asks(liar, holov1connect.ArrayServiceCreateProcedure, create)
	a, err := liar.CreateArray(ctx, kept, create)
	must(t, err)
	if _, err := c.deletes(ctx, liar, holo.ArrayID(a.GetId())); err != nil {
		t.Fatal(err)
	}
	before := lead.refusals.all()[catalog.ReasonReplayed]
	_, err = liar.propose(ctx, liar.asked(kept))
	wantRefused(t, err, holo.Denied, catalog.ReasonReplayed)
	refused(t, lead, catalog.ReasonReplayed, before)
	c.forge(catalog.ReasonReplayed, liar.asked(kept))
	if _, err := liar.memory.ArrayNamed(ctx, "once"); holo.KindOf(err) != holo.NotFound {
		t.Errorf("the array that was deleted: %v", err)
	}
}

// A leader asks before it fills the log: what one member makes up costs the
// others nothing.
func TestForgedRequestsDoNotFillTheLog(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	forged := n.asked(c.asks(n, holov1connect.ArrayServiceDeleteProcedure, &holov1.DeleteRequest{Array: 1}))
	forged.Sig[0]++
	before := n.CatalogVersion()
	for range 20 {
		_, err := n.propose(context.Background(), forged)
		wantRefused(t, err, holo.Denied, catalog.ReasonRequestSig)
	}
	if after := n.CatalogVersion(); after >= before+20 {
		t.Errorf("the catalogue went from %d to %d", before, after)
	}
}

// The catalogue says what a kernel's name means when the job is recorded. A node
// that has checked another module ends the job.
func TestJobOfARenamedKernelIsEnded(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n, ctx := c.nodes[0], context.Background()
	a := c.create(n, "in", holo.PageSize)
	_, err := c.pushes(ctx, n, "k", kernels.Get("basic"))
	must(t, err)
	submit := &holov1.SubmitRequest{Kernel: "k", Function: "sum_i64", Kind: "reduce", Inputs: []uint64{a.GetId()}, AccBytes: 8}
	ctx = context.WithValue(ctx, callerKey{}, c.asks(n, holov1connect.JobServiceSubmitProcedure, submit))
	_, _, err = taskSide{n}.RecordJob(ctx, &jobs.Spec{Kernel: "k", Module: holo.ModuleID{9}})
	wantRefused(t, err, holo.Stale, reasonRenamed)
	n.catalog.read(func(cat *catalog.Catalog) {
		if r, ok := cat.JobByID(1); !ok || r.End.Phase != wire.JobFailed || r.End.Failure.Reason != reasonRenamed {
			t.Errorf("job %+v", r)
		}
	})
}
