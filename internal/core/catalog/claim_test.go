package catalog

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/kernels/std"
)

// The attack: a member gives a kernel's name to a module of its own. What names
// a module is what its publisher signed: the hash, and all else that is kept.
func TestKernelIsWhatItsPublisherSigned(t *testing.T) {
	w := settled(t, 1)
	good := holo.ModuleID{7}
	q := &holov1.PushKernelRequest{Name: "lab/k", Module: good[:], Size: 99, Functions: []string{"red_a", "comb_a"}}
	r := w.do(w.ask("maker", pushKernel, q)).(*wire.KernelRecord)
	if r.Owner != principal("maker") || r.Module != good || r.Size != 99 || len(r.Functions) != 2 {
		t.Errorf("kernel %+v", r)
	}
	other := *r
	other.Module = holo.ModuleID{8}
	w.forged(ReasonUnsigned, &wire.KernelPut{Kernel: other})
	changed := w.ask("maker", pushKernel, q)
	changed.Request = bytes.Replace(changed.Request, good[:], other.Module[:], 1)
	w.forged(ReasonRequestSig, changed)
	w.refused(ReasonNotGranted, w.ask("eve", pushKernel, q))
	w.grant("owner", give("eve", holo.RolePublisher, holo.Scope{Under: "other"}))
	w.refused(ReasonNotGranted, w.ask("eve", pushKernel, q))

	w.tokenKey("token key", wire.TokenKeyPrepared, wire.TokenKeyActive)
	w.refused(ReasonToken, under(w.issue(nil, "MODULE_PUT:lab/k"), "client", w.ask("client", pushKernel, q)))
	w.do(under(w.issue(nil, "MODULE_PUT:@kernels/lab/k"), "client", w.ask("client", pushKernel, q)))

	many := proto.Clone(q).(*holov1.PushKernelRequest)
	many.Functions = make([]string, wire.MaxKernelFunctions+1)
	w.refused(ReasonClaim, w.ask("maker", pushKernel, many)) // a snapshot could not hold it
	if k, _ := w.KernelByName("lab/k"); k.Module != good {
		t.Errorf("the name means %s", k.Module)
	}
}

// lab is a town with a kernel, two inputs and an output.
func lab(t *testing.T) (w *town, q *holov1.SubmitRequest) {
	w = settled(t, 2)
	a, b, out := w.array("lab/a", 1, 1), w.array("lab/b", 1, 1), w.array("lab/out", 1, 1)
	id := holo.ModuleID{7}
	w.do(w.ask("maker", pushKernel, &holov1.PushKernelRequest{Name: "k", Module: id[:], Size: 9}))
	return w, &holov1.SubmitRequest{Kernel: "k", Function: "f", Kind: "map", Inputs: []uint64{uint64(a.ID), uint64(b.ID)}, Output: uint64(out.ID), Params: []byte("p"), GasPerTask: 5}
}

// The attack: a member starts jobs in a client's name, of a module of its own,
// or has another node coordinate them. The job is what the client signed, at the
// node that the client asked, of the module that the name means.
func TestJobIsWhatItsClientSigned(t *testing.T) {
	w, q := lab(t)
	ask := w.askedAt("maker", node(2), w.ask("maker", submitJob, q))
	w.forged(ReasonUnsigned, &wire.JobPut{Job: wire.JobRecord{Owner: principal("maker"), Coordinator: node(1), Module: holo.ModuleID{8}, Kind: wire.TaskMap}})
	changed := *ask
	changed.Request = bytes.Replace(ask.Request, []byte("p"), []byte("q"), 1)
	w.forged(ReasonRequestSig, &changed)
	r := w.do(ask).(*wire.JobRecord)
	if r.Owner != principal("maker") || r.Coordinator != node(2) || r.Module != (holo.ModuleID{7}) || r.Kernel != "k" || r.Gas != 5 || string(r.Params) != "p" || len(r.Inputs) != 2 {
		t.Errorf("job %+v", r)
	}
	w.forged(ReasonReplayed, ask)
	byHash := proto.Clone(q).(*holov1.SubmitRequest)
	byHash.Kernel = holo.ModuleID{7}.Hex()
	if r := w.do(w.ask("maker", submitJob, byHash)).(*wire.JobRecord); r.Kernel != "k" {
		t.Errorf("job %+v", r)
	}
	if _, ok := w.JobByID(3); ok || w.lastJob != 2 {
		t.Errorf("%d jobs", w.lastJob)
	}
}

// A standard kernel is found by its name and hash, and a module that was pushed
// under another name takes neither its place nor the right to run it.
func TestJobOfAStandardKernelNeedsItsName(t *testing.T) {
	w, q := lab(t)
	m := std.All()[0]
	w.do(w.ask("maker", pushKernel, &holov1.PushKernelRequest{Name: "a", Module: m.ID[:], Size: 9}))
	w.grant("owner", give("bob", holo.RoleRunner, holo.Scope{Under: "a"}))
	w.grant("owner", give("bob", holo.RoleWriter, holo.Scope{Under: "lab"}))
	for _, reference := range []string{m.Name, m.ID.Hex()} {
		q.Kernel = reference
		w.refused(ReasonNotGranted, w.ask("bob", submitJob, q))
		if r := w.do(w.ask("maker", submitJob, q)).(*wire.JobRecord); r.Kernel != m.Name || r.Module != m.ID {
			t.Errorf("job %+v", r)
		}
	}
}

// Each right that a job needs is asked for when it is recorded, and what may be
// computed on only binds the output.
func TestJobNeedsItsRightsWhenItIsRecorded(t *testing.T) {
	for _, kind := range []string{"map", "task"} {
		t.Run(kind, func(t *testing.T) { needsItsRights(t, kind) })
	}
}

func needsItsRights(t *testing.T, kind string) {
	w, q := lab(t)
	q.Kind = kind
	for n := 1; n <= 2; n++ {
		if err := w.says(n, 1, 2); err != nil {
			t.Fatal(err)
		}
	}
	try := func() *wire.Asked { return w.ask("bob", submitJob, q) }
	w.refused(ReasonNotGranted, try())
	w.grant("owner", give("bob", holo.RoleRunner, holo.Scope{Module: holo.ModuleID{8}})) // of another module
	w.refused(ReasonNotGranted, try())
	w.grant("owner", give("bob", holo.RoleRunner, holo.Scope{Module: holo.ModuleID{7}}))
	w.refused(ReasonNotGranted, try()) // reads nothing
	w.grant("owner", give("bob", holo.RoleReader, holo.Scope{Under: "lab/a"}))
	w.grant("owner", give("bob", holo.RoleAnalyst, holo.Scope{Under: "lab/b", Module: holo.ModuleID{8}}))
	w.refused(ReasonNotGranted, try())
	compute := w.grant("owner", give("bob", holo.RoleAnalyst, holo.Scope{Under: "lab/b", Module: holo.ModuleID{7}}))
	w.refused(ReasonNotGranted, try()) // writes nothing
	w.grant("owner", give("bob", holo.RoleWriter, holo.Scope{Under: "lab/out"}))
	w.do(try())
	if r, _ := w.ArrayByName("lab/out"); len(r.Sources) != 1 || r.Sources[0] != "lab/b" {
		t.Errorf("the output descends from %v", r.Sources)
	}
	w.do(try()) // it computes on what it may not read, again

	reads := &holov1.SubmitRequest{Kernel: "k", Function: "f", Kind: "reduce", Inputs: []uint64{q.Output}, AccBytes: 8}
	w.grant("owner", give("bob", holo.RoleReader, holo.Scope{Under: "lab/out"}))
	w.refused(ReasonNotReleased, w.ask("bob", submitJob, reads)) // by COMPUTE on its source only
	w.do(revoke(w, "owner", compute.ID))
	w.refused(ReasonNotGranted, w.ask("bob", submitJob, reads)) // to read it is to read its source
	w.refused(ReasonNotGranted, try())

	free := give("bob", holo.RoleAnalyst, holo.Scope{Under: "lab/b", Module: holo.ModuleID{7}})
	free.Release = true
	w.grant("owner", free)
	w.do(w.ask("bob", submitJob, reads))
}

// General tasks are of version 2: in a cluster at 1 there are voters who cannot read
// what the client asks for.
func TestGeneralTasksNeedTheirVersion(t *testing.T) {
	w, q := lab(t)
	q.Kind = "task"
	w.refused(ReasonVersion, w.ask("maker", submitJob, q))
	for n := 1; n <= 2; n++ {
		if err := w.says(n, 1, 2); err != nil {
			t.Fatal(err)
		}
	}
	if r := w.do(w.ask("maker", submitJob, q)).(*wire.JobRecord); r.Kind != wire.TaskGeneral {
		t.Errorf("job %+v", r)
	}
}

// A token runs what it covers, on what it covers.
func TestJobByTokenIsNarrowed(t *testing.T) {
	w, q := lab(t)
	w.tokenKey("token key", wire.TokenKeyPrepared, wire.TokenKeyActive)
	run := "RUN:" + holo.ModuleID{7}.Hex()
	for _, caps := range [][]string{
		{"READ:lab/*", "WRITE:lab/out"}, {run, "READ:lab/a", "WRITE:lab/out"}, {run, "READ:lab/*"}, {"RUN:k", "READ:lab/*", "WRITE:lab/out"},
	} {
		w.refused(ReasonToken, under(w.issue(nil, caps...), "client", w.ask("client", submitJob, q)))
	}
	m := under(w.issue(nil, run, "READ:lab/*", "WRITE:lab/out"), "client", w.ask("client", submitJob, q))
	if r := w.do(m).(*wire.JobRecord); r.Owner != principal("maker") {
		t.Errorf("job %+v", r)
	}
}

// later is another stage of the lab, from its output to a new array.
func (w *town) later(q *holov1.SubmitRequest, kernel string) *holov1.SubmitRequest {
	next := w.array("lab/next", 1, 1)
	return &holov1.SubmitRequest{Kernel: kernel, Function: "g", Kind: "map", Inputs: []uint64{q.Output}, Output: uint64(next.ID)}
}

// Each stage of a graph needs its rights, and its kernel is what its name means
// when the graph is recorded.
func TestGraphNeedsTheRightsOfAllItsStages(t *testing.T) {
	w, q := lab(t)
	id := holo.ModuleID{9}
	w.do(w.ask("maker", pushKernel, &holov1.PushKernelRequest{Name: "k2", Module: id[:], Size: 9}))
	q.Then = []*holov1.SubmitRequest{w.later(q, "k2")}
	try := func() *wire.Asked { return w.ask("bob", submitJob, q) }
	w.grant("owner", give("bob", holo.RoleRunner, holo.Scope{Module: holo.ModuleID{7}}))
	w.grant("owner", give("bob", holo.RoleReader, holo.Scope{Under: "lab"}))
	w.grant("owner", give("bob", holo.RoleWriter, holo.Scope{Under: "lab/out"}))
	w.refused(ReasonNotGranted, try()) // runs the first kernel only
	w.grant("owner", give("bob", holo.RoleRunner, holo.Scope{Module: id}))
	w.refused(ReasonNotGranted, try()) // writes the first output only
	w.grant("owner", give("bob", holo.RoleWriter, holo.Scope{Under: "lab/next"}))
	r := w.do(try()).(*wire.JobRecord)
	if r.Module != (holo.ModuleID{7}) || len(r.Then) != 1 || r.Then[0].Module != id || r.Then[0].Kernel != "k2" {
		t.Errorf("job %+v", r)
	}
}

// The attack: who may write an array, and not delete it, submits a job that
// deletes it.
func TestResultsNeedTheRightToDeleteThem(t *testing.T) {
	w, q := lab(t)
	next := w.later(q, "k")
	w.tokenKey("token key", wire.TokenKeyPrepared, wire.TokenKeyActive)
	run := "RUN:" + holo.ModuleID{7}.Hex()
	caps := []string{run, "READ:lab/*", "WRITE:lab/*"}
	q.KeepSeconds = 60
	by := func(caps []string) *wire.Asked {
		return under(w.issue(nil, caps...), "client", w.ask("client", submitJob, q))
	}
	w.refused(ReasonToken, by(caps))
	q.Then = []*holov1.SubmitRequest{next}
	w.refused(ReasonToken, by(append(caps, "FREE:lab/out"))) // of the first stage's only
	if r := w.do(by(append(caps, "FREE:lab/*"))).(*wire.JobRecord); r.Keep != 60 {
		t.Errorf("job %+v", r)
	}
}

// The attack: the first stage computes on what may not be read and writes an
// array of the attacker's, the second one reads that. The first would bind its
// output, but after the right to read it was decided.
func TestGraphOverWhatMayOnlyBeComputedOnIsRefused(t *testing.T) {
	w, q := lab(t)
	w.grant("owner", give("bob", holo.RoleRunner, holo.Scope{Module: holo.ModuleID{7}}))
	w.grant("owner", give("bob", holo.RoleReader, holo.Scope{Under: "lab/a"}))
	w.grant("owner", give("bob", holo.RoleAnalyst, holo.Scope{Under: "lab/b", Module: holo.ModuleID{7}}))
	for _, under := range []string{"lab/out", "lab/next"} {
		w.grant("owner", give("bob", holo.RoleWriter, holo.Scope{Under: under}))
		w.grant("owner", give("bob", holo.RoleReader, holo.Scope{Under: under}))
	}
	graph := proto.Clone(q).(*holov1.SubmitRequest)
	graph.Then = []*holov1.SubmitRequest{w.later(q, "k")}
	w.refused(ReasonNotReleased, w.ask("bob", submitJob, graph))
	w.do(w.ask("bob", submitJob, q)) // alone it may, and its output is bound
	w.refused(ReasonNotReleased, w.ask("bob", submitJob, graph))
}

// An array that a stage of a running graph reads is not bound behind its back.
func TestOutputThatARunningGraphReadsIsNotBound(t *testing.T) {
	w, q := lab(t)
	w.grant("owner", give("bob", holo.RoleRunner, holo.Scope{Module: holo.ModuleID{7}}))
	w.grant("owner", give("bob", holo.RoleAnalyst, holo.Scope{Under: "lab", Module: holo.ModuleID{7}}))
	w.grant("owner", give("bob", holo.RoleWriter, holo.Scope{Under: "lab/out"}))
	other := w.later(q, "k")
	first := &holov1.SubmitRequest{Kernel: "k", Function: "f", Kind: "reduce", Inputs: q.Inputs, AccBytes: 8, Then: []*holov1.SubmitRequest{other}}
	w.do(w.ask("maker", submitJob, first))
	w.refused(ReasonState, w.ask("bob", submitJob, q))
}

func TestGraphsThatAreNoneAskForNothing(t *testing.T) {
	w, q := lab(t)
	graph := func(change func(then *holov1.SubmitRequest)) *wire.Asked {
		g := proto.Clone(q).(*holov1.SubmitRequest)
		then := proto.Clone(q).(*holov1.SubmitRequest)
		change(then)
		g.Then = []*holov1.SubmitRequest{then}
		return w.ask("maker", submitJob, g)
	}
	w.refused(ReasonClaim, graph(func(then *holov1.SubmitRequest) { then.Then = []*holov1.SubmitRequest{q} }))
	w.refused(ReasonClaim, graph(func(then *holov1.SubmitRequest) { then.Results = []uint32{1} }))
	w.refused(ReasonClaim, graph(func(then *holov1.SubmitRequest) { then.Kind = "sort" }))
	long := proto.Clone(q).(*holov1.SubmitRequest)
	for range wire.MaxStages {
		long.Then = append(long.Then, q)
	}
	w.refused(ReasonClaim, w.ask("maker", submitJob, long))
}
