package holocompute_test

import (
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute"
)

// audited looks through the log for a record.
func audited(t *testing.T, c *holocompute.Cluster, q holocompute.AuditQuery, is func(holocompute.AuditRecord) bool) bool {
	t.Helper()
	for r, err := range c.Audit(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		if is(r) {
			return true
		}
	}
	return false
}

// M-05. One client submits a job and leaves. Another fetches its result by name,
// a third one may not, and that is on record. When its time is over the result
// is gone, and that is on record, too.
func TestResultsOutliveWhoAskedForThemAndNotTheirTime(t *testing.T) {
	push(t, "kept/basic", "basic")
	mine, auditor := connect(t), someone(t)
	array(t, mine, "kept/in")
	out := array(t, mine, "kept/out")
	first := someone(t, holocompute.Grant{Role: "user", Scope: holocompute.Scope{Under: "kept"}})
	call := holocompute.Call{Kernel: "kept/basic", Function: "scale", Inputs: []*holocompute.Raw{as(t, first, "kept/in")}, Params: []byte{2, 0, 0, 0}, Keep: 6 * time.Second}
	job, err := first.Map(t.Context(), call, as(t, first, "kept/out"))
	must(t, err)
	first.Close()

	second := someone(t, holocompute.Grant{Role: "reader", Scope: holocompute.Scope{Under: "kept"}})
	var info holocompute.ArrayInfo
	await(t, "the result is there", func() bool {
		r, err := second.OpenRaw(t.Context(), "kept/out")
		must(t, err)
		info = r.Info()
		return info.Expires != 0
	})
	if info.ResultOf != job.ID() || info.ID != out.ID() {
		t.Errorf("%+v is not the result of job %d", info, job.ID())
	}
	b := make([]byte, 8)
	must(t, as(t, second, "kept/out").ReadBytes(t.Context(), 0, b))
	if b[0] != 6 || b[4] != 6 {
		t.Errorf("it reads %v, want twice three", b)
	}

	third := someone(t, holocompute.Grant{Role: "reader", Scope: holocompute.Scope{Under: "elsewhere"}})
	_, err = third.OpenRaw(t.Context(), "kept/out")
	wantNotGranted(t, "the third client", err)
	await(t, "that is on record", func() bool {
		return audited(t, auditor, holocompute.AuditQuery{Event: "authz.denied"}, func(r holocompute.AuditRecord) bool {
			return r.Decision == "refused" && r.Reason == "not_granted"
		})
	})

	await(t, "its time is over", func() bool {
		_, err := second.OpenRaw(t.Context(), "kept/out")
		return holocompute.KindOf(err) == holocompute.NotFound
	})
	if left := time.Until(time.Unix(info.Expires, 0)); left > 0 {
		t.Errorf("it was gone %s too early", left)
	}
	_, err = mine.OpenRaw(t.Context(), "kept/in")
	wantAllowed(t, "open the input", err)
	await(t, "that is on record, too", func() bool {
		return audited(t, auditor, holocompute.AuditQuery{Event: "array.expired"}, func(r holocompute.AuditRecord) bool {
			return strings.Contains(r.Resource, "kept/out") && r.ActorKind == "node"
		})
	})
}

// K-07. Of a job that is cancelled nobody finds half a result: the array is gone
// from the catalogue, and so are its pages. What it read stays.
func TestCancelledJobLeavesNoResult(t *testing.T) {
	push(t, "half/basic", "basic")
	push(t, "half/loop", "loop")
	mine, auditor := connect(t), someone(t)
	in, out := array(t, mine, "half/in"), array(t, mine, "half/out")
	g := holocompute.Graph{Keep: time.Hour}
	g.Map(holocompute.Call{Kernel: "half/basic", Function: "scale", Inputs: []*holocompute.Raw{in}, Params: []byte{2, 0, 0, 0}}, out)
	g.Reduce(holocompute.Call{Kernel: "half/loop", Function: "attack", Inputs: []*holocompute.Raw{out}, Gas: 600e9}, 8) // a minute
	job, err := mine.Submit(t.Context(), &g)
	must(t, err)
	await(t, "half of it is written", func() bool {
		p, err := job.Progress(t.Context())
		must(t, err)
		return p.Committed == 1 && p.Running == 1
	})
	must(t, job.Cancel(t.Context()))
	await(t, "the array is gone", func() bool {
		_, err := mine.OpenRaw(t.Context(), "half/out")
		return holocompute.KindOf(err) == holocompute.NotFound
	})
	_, err = mine.OpenRaw(t.Context(), "half/in")
	wantAllowed(t, "open the input", err)
	await(t, "its pages were dropped", func() bool {
		return audited(t, auditor, holocompute.AuditQuery{Event: "array.expired"}, func(r holocompute.AuditRecord) bool {
			return strings.Contains(r.Resource, "half/out") && strings.Contains(r.Resource, "cancelled")
		})
	})
}

func TestTimesToLiveThatCannotBeAreRefused(t *testing.T) {
	push(t, "short/basic", "basic")
	mine := connect(t)
	in := array(t, mine, "short/in")
	call := holocompute.Call{Kernel: "short/basic", Function: "scale", Inputs: []*holocompute.Raw{in}, Params: []byte{2, 0, 0, 0}, Keep: time.Millisecond}
	_, err := mine.Map(t.Context(), call, in)
	wantKind(t, err, holocompute.Invalid, "at least a second")
	call.Keep, call.Function = time.Minute, "stats"
	_, err = mine.Reduce(t.Context(), call, 120)
	wantKind(t, err, holocompute.Invalid, "writes no array")
	var g holocompute.Graph
	g.Map(call, in)
	_, err = mine.Submit(t.Context(), &g)
	wantKind(t, err, holocompute.Invalid, "a graph keeps all that it writes alike")
}
