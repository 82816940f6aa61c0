package holocompute_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/holocompute/holocompute"
)

// A job that is done tells that each task was done at home, and its trace is
// JSON with a span for each, which do not overlap in a lane.
func TestJobTellsWhyAndWhenItsTasksRan(t *testing.T) {
	c, ctx := connect(t), t.Context()
	a, err := holocompute.Create[int64](ctx, c, "sdk/trace", 10*8192, holocompute.ArrayOptions{Extent: 8192})
	if err != nil {
		t.Fatal(err)
	}
	job, err := c.Reduce(ctx, holocompute.Call{
		Kernel: "std/count", Function: "count", Inputs: []*holocompute.Raw{a.Raw()}, Params: holocompute.Bytes([]int64{1, 0}),
	}, 16)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := job.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	list, err := job.Why(ctx)
	if err != nil || len(list) != 1 || list[0].State != "done" || list[0].Reason != "at_home" || list[0].Count != 10 || list[0].Proof == "" {
		t.Fatalf("%+v, %v", list, err)
	}
	if one, err := job.WhyTask(ctx, 9); err != nil || one.Task != 9 || one.Attempt != 1 {
		t.Errorf("%+v, %v", one, err)
	}
	_, err = job.WhyTask(ctx, 10)
	wantKind(t, err, holocompute.NotFound, "it has tasks 0 to 9")
	trace, err := job.Trace(ctx)
	if err != nil || len(trace.Spans) != 10 {
		t.Fatalf("%+v, %v", trace, err)
	}
	var b bytes.Buffer
	if err := trace.WriteChrome(&b); err != nil {
		t.Fatal(err)
	}
	var chrome struct {
		TraceEvents []struct {
			Ph       string
			Tid      int
			Ts, Dur  float64
			Pid      int
			Category string `json:"cat"`
		}
	}
	if err := json.Unmarshal(b.Bytes(), &chrome); err != nil {
		t.Fatal(err)
	}
	ends, spans := map[int]float64{}, 0
	for _, e := range chrome.TraceEvents {
		if e.Ph != "X" {
			continue
		}
		spans++
		if e.Ts < ends[e.Tid] || e.Category != "done" || e.Pid != 1 {
			t.Errorf("event %+v begins before %f", e, ends[e.Tid])
		}
		ends[e.Tid] = e.Ts + e.Dur
	}
	if spans != 10 {
		t.Errorf("%d spans in JSON", spans)
	}
}
