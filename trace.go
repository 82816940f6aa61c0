package holocompute

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
)

// Because are tasks of a job that are in one state for one reason.
type Because struct {
	State   string `json:"state"`   // waiting, queued, running, done, failed, not_run
	Reason  string `json:"reason"`  // at_home, after_stage, window_full, no_home, back_off, refused, node_lost, trapped, faulted, the_cause, job_failed, job_cancelled, stolen, speculated
	Count   int    `json:"count"`   // of such tasks
	Task    int    `json:"task"`    // the first of them; what follows is about it
	Stage   int    `json:"stage"`   // of a graph
	Attempt int    `json:"attempt"` // the last one, 0: none
	Node    string `json:"node"`    // of that
	Proof   string `json:"proof"`   // what shows the reason
}

// Why tells why the job's tasks are where they are: those of one state and
// reason together. The node that coordinates the job knows: ask it, while it
// remembers the job. It needs the right to the job's result.
func (j *Job) Why(ctx context.Context) ([]Because, error) {
	return j.why(ctx, fmt.Sprintf("why job %d", j.id), &holov1.WhyRequest{Job: j.id})
}

// WhyTask tells it of one task.
func (j *Job) WhyTask(ctx context.Context, task uint32) (Because, error) {
	list, err := j.why(ctx, fmt.Sprintf("why task %d of job %d", task, j.id), &holov1.WhyRequest{Job: j.id, Task: &task})
	if err == nil && len(list) != 1 {
		err = holo.Errorf(Corrupt, "why task %d of job %d: the node told %d reasons", task, j.id, len(list))
	}
	if err != nil {
		return Because{}, err
	}
	return list[0], nil
}

func (j *Job) why(ctx context.Context, what string, req *holov1.WhyRequest) ([]Because, error) {
	m, err := read(ctx, j.c.client, what, j.c.traces.Why, req)
	if err != nil {
		return nil, err
	}
	list := make([]Because, len(m.GetTasks()))
	for i, b := range m.GetTasks() {
		list[i] = Because{
			State: b.GetState(), Reason: b.GetReason(), Count: int(b.GetCount()), Task: int(b.GetTask()), Stage: int(b.GetStage()),
			Attempt: int(b.GetAttempt()), Node: b.GetNode(), Proof: b.GetProof(),
		}
	}
	return list, nil
}

// Trace is when the attempts at a job's tasks ran.
type Trace struct {
	Job     uint64
	Kernel  string
	Spans   []Span
	Dropped uint64 // attempts that are not in it: the first 8,192 are
}

// Span is one attempt.
type Span struct {
	Task, Attempt, Stage int
	Node                 string
	Start, End           time.Duration // since the coordinator began
	Outcome              string        // done, late, or the reason or kind of its failure
}

// Trace asks for the attempts that have ended. It needs the right to the job's
// result, and holds numbers and names: nothing of what lies in arrays.
func (j *Job) Trace(ctx context.Context) (Trace, error) {
	m, err := read(ctx, j.c.client, fmt.Sprintf("trace of job %d", j.id), j.c.traces.Trace, &holov1.TraceRequest{Job: j.id})
	if err != nil {
		return Trace{}, err
	}
	t := Trace{Job: j.id, Kernel: m.GetKernel(), Dropped: m.GetDropped()}
	for _, s := range m.GetSpans() {
		t.Spans = append(t.Spans, Span{
			Task: int(s.GetTask()), Attempt: int(s.GetAttempt()), Stage: int(s.GetStage()), Node: s.GetNode(),
			Start: time.Duration(s.GetStartNs()), End: time.Duration(s.GetEndNs()), Outcome: s.GetOutcome(),
		})
	}
	return t, nil
}

// chromeEvent is one event of the Trace Event Format, that Perfetto and
// chrome://tracing read. Times are in microseconds.
type chromeEvent struct {
	Name     string         `json:"name"`
	Phase    string         `json:"ph"`
	Category string         `json:"cat,omitempty"`
	Start    float64        `json:"ts"`
	Duration float64        `json:"dur"`
	Process  int            `json:"pid"` // a node
	Thread   int            `json:"tid"` // a lane in which spans do not overlap
	Args     map[string]any `json:"args,omitempty"`
}

// WriteChrome writes the trace in Chrome's Trace Event Format: a process for
// each node.
func (t Trace) WriteChrome(w io.Writer) error {
	spans := slices.Clone(t.Spans)
	slices.SortStableFunc(spans, func(a, b Span) int {
		return cmp.Or(strings.Compare(a.Node, b.Node), cmp.Compare(a.Start, b.Start))
	})
	events, node, process := []chromeEvent{}, "", 0
	var lanes []time.Duration // when each is free
	for _, s := range spans {
		if s.Node != node || process == 0 {
			node, process, lanes = s.Node, process+1, nil
			events = append(events, chromeEvent{Name: "process_name", Phase: "M", Process: process, Args: map[string]any{"name": "node " + s.Node}})
		}
		lane := slices.IndexFunc(lanes, func(free time.Duration) bool { return free <= s.Start })
		if lane < 0 {
			lane, lanes = len(lanes), append(lanes, 0)
		}
		lanes[lane] = s.End
		events = append(events, chromeEvent{
			Name: fmt.Sprintf("task %d", s.Task), Phase: "X", Category: s.Outcome, Process: process, Thread: lane + 1,
			Start: microseconds(s.Start), Duration: microseconds(s.End - s.Start),
			Args: map[string]any{"attempt": s.Attempt, "stage": s.Stage, "outcome": s.Outcome},
		})
	}
	return json.NewEncoder(w).Encode(map[string]any{
		"traceEvents": events, "displayTimeUnit": "ms",
		"otherData": map[string]any{"job": t.Job, "kernel": t.Kernel, "dropped": t.Dropped},
	})
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
