package node

import (
	"context"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/jobs"
)

// WhyTasks tells why the tasks of a job are where they are. Its coordinator
// knows, as long as it remembers the job.
func (n *Node) WhyTasks(ctx context.Context, _ door.Caller, m *holov1.WhyRequest) (*holov1.WhyResponse, error) {
	id := holo.JobID(m.GetJob())
	list, err := n.why(ctx, id, m)
	if holo.KindOf(err) == holo.NotFound && err != nil {
		return nil, n.coordinatedElsewhere(ctx, "why", id, err)
	}
	if err != nil {
		return nil, err
	}
	out := &holov1.WhyResponse{}
	for i := range list {
		out.Tasks = append(out.Tasks, becauseOut(&list[i]))
	}
	return out, nil
}

func (n *Node) why(ctx context.Context, id holo.JobID, m *holov1.WhyRequest) ([]jobs.Because, error) {
	if m.Task == nil {
		return n.runner.Why(ctx, id)
	}
	one, err := n.runner.WhyTask(ctx, id, holo.TaskID(m.GetTask()))
	return []jobs.Because{one}, err
}

func becauseOut(b *jobs.Because) *holov1.TasksBecause {
	out := &holov1.TasksBecause{
		State: b.State.String(), Reason: b.Reason.String(), Count: uint32(b.Count), Task: uint32(b.Task), Stage: uint32(b.Stage),
		Attempt: uint32(b.Attempt), Proof: b.Proof,
	}
	if b.Attempt > 0 {
		out.Node = b.Node.Hex()
	}
	return out
}

// TraceJob gives the attempts of a job that its coordinator remembers.
func (n *Node) TraceJob(ctx context.Context, _ door.Caller, m *holov1.TraceRequest) (*holov1.TraceResponse, error) {
	id := holo.JobID(m.GetJob())
	spans, dropped, err := n.runner.Trace(ctx, id)
	if err != nil {
		return nil, n.coordinatedElsewhere(ctx, "trace", id, err)
	}
	out := &holov1.TraceResponse{Dropped: dropped}
	if j, err := n.runner.Job(id); err == nil {
		out.Kernel = j.Spec.Kernel
	}
	for _, s := range spans {
		out.Spans = append(out.Spans, &holov1.Span{
			Task: uint32(s.Task), Attempt: uint32(s.Attempt), Stage: uint32(s.Stage), Node: s.Node.Hex(),
			StartNs: uint64(max(s.Start, 0)), EndNs: uint64(max(s.End, 0)), Outcome: s.Outcome,
		})
	}
	return out, nil
}

// LogJob gives what the tasks of a job logged. Its coordinator has it, as long
// as it remembers the job.
func (n *Node) LogJob(ctx context.Context, _ door.Caller, m *holov1.LogRequest, send func(*holov1.LogPart) error) error {
	id := holo.JobID(m.GetJob())
	if _, err := n.runner.Job(id); err != nil {
		return n.coordinatedElsewhere(ctx, "log", id, err)
	}
	return n.runner.Logs(ctx, id, m.GetFollow(), func(part jobs.Log) error {
		out := &holov1.LogPart{Lost: part.Lost}
		for _, line := range part.Lines {
			out.Lines = append(out.Lines, &holov1.LogLine{
				Task: uint32(line.Task), Attempt: uint32(line.Attempt), Stage: uint32(line.Stage), Node: line.Node.Hex(), Text: line.Text,
			})
		}
		return send(out)
	})
}
