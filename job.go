package holocompute

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
)

// Call names a function of a kernel and what it works on.
type Call struct {
	Kernel   string // name, or the module's hash
	Function string // without its prefix: by_hour stands for red_by_hour and comb_by_hour
	Inputs   []*Raw // of one affinity, length and extent, but for RunTasks
	Params   []byte // handed to every task, at most 64 KiB
	Gas      uint64 // each task's budget; 0: the cluster's default
	Halo     uint32 // of a map: how many elements before and after each it sees of its inputs, at most 32,768
	Edge     string // with a Halo, what it sees beyond the ends: EdgeClamp, EdgeZero, EdgeWrap
	// Keep makes the output of a map the job's result, which the cluster deletes:
	// when the job fails or is cancelled, and so long after it is done. At least a
	// second; 0: it stays until somebody deletes it. Stages of a graph have none:
	// a Graph has.
	Keep time.Duration
}

// Job is a job that was submitted.
type Job struct {
	c  *Cluster
	id uint64
}

// JobInfo is what a job was and came to.
type JobInfo struct {
	ID          uint64   `json:"id"`
	State       string   `json:"state"` // running, done, failed, cancelled
	Kernel      string   `json:"kernel"`
	Function    string   `json:"function"`
	Kind        string   `json:"kind"` // map, reduce, task
	Result      []byte   `json:"result"`
	Error       string   `json:"error"`
	ErrorKind   string   `json:"error_kind"`
	ErrorReason string   `json:"error_reason"`
	Progress    Progress `json:"progress"`
}

// Progress is how far a job is, and where its work was done.
type Progress struct {
	State          string     `json:"state"`
	Tasks          int        `json:"tasks"`
	Committed      int        `json:"committed"`
	Running        int        `json:"running"`
	Retried        int        `json:"retried"`    // attempts beyond each task's first
	Stolen         int        `json:"stolen"`     // attempts on a node that had nothing to do, not where the pages lie
	Speculated     int        `json:"speculated"` // attempts while another of the same task was out
	Nodes          []NodeWork `json:"nodes"`
	Gas            uint64     `json:"gas"`
	BytesProcessed uint64     `json:"bytes_processed"` // by committed tasks
	BytesMoved     uint64     `json:"bytes_moved"`     // between nodes
}

// NodeWork is one node's part in a job.
type NodeWork struct {
	Node       string `json:"node"`
	Committed  int    `json:"committed"`
	Running    int    `json:"running"`
	Failed     int    `json:"failed"` // attempts without a commit
	Gas        uint64 `json:"gas"`
	BytesLocal uint64 `json:"bytes_local"` // processed where they lay
	BytesMoved uint64 `json:"bytes_moved"`
}

func progressOf(p *holov1.JobProgress) Progress {
	out := Progress{
		State: p.GetState(), Tasks: int(p.GetTasks()), Committed: int(p.GetCommitted()), Running: int(p.GetRunning()), Retried: int(p.GetRetried()),
		Stolen: int(p.GetStolen()), Speculated: int(p.GetSpeculated()),
		Nodes: []NodeWork{}, Gas: p.GetGas(), BytesProcessed: p.GetBytesProcessed(), BytesMoved: p.GetBytesMoved(),
	}
	for _, n := range p.GetNodes() {
		out.Nodes = append(out.Nodes, NodeWork{
			Node: n.GetNode(), Committed: int(n.GetCommitted()), Running: int(n.GetRunning()), Failed: int(n.GetFailed()),
			Gas: n.GetGas(), BytesLocal: n.GetBytesLocal(), BytesMoved: n.GetBytesMoved(),
		})
	}
	return out
}

func jobInfoOf(j *holov1.Job) JobInfo {
	return JobInfo{
		ID: j.GetId(), State: j.GetState(), Kernel: j.GetKernel(), Function: j.GetFunction(), Kind: j.GetKind(), Result: j.GetResult(),
		Error: j.GetError(), ErrorKind: j.GetErrorKind(), ErrorReason: j.GetErrorReason(), Progress: progressOf(j.GetProgress()),
	}
}

// Map runs a map function over all elements of the inputs and writes the
// output, an array of the same length, affinity and extent. Each task's output
// becomes visible exactly once, however often the task is tried.
func (c *Cluster) Map(ctx context.Context, call Call, output *Raw) (*Job, error) {
	if output == nil {
		return nil, holo.Errorf(Invalid, "map %s: no output array", call.Function)
	}
	return c.submit(ctx, "map", call, &holov1.SubmitRequest{Output: output.info.ID})
}

// RunTasks runs a task function once for each extent of the output, which it
// writes. It asks for the elements of the inputs that it needs: they are sealed, of
// any type, length, affinity and extent, and each task may read each of them four
// times over (docs/decisions/0040). The output is another array. Each task's output
// becomes visible exactly once, however often the task is tried. It needs RUN on the
// kernel, READ or COMPUTE on each input and WRITE on the output, as Map does.
func (c *Cluster) RunTasks(ctx context.Context, call Call, output *Raw) (*Job, error) {
	if output == nil {
		return nil, holo.Errorf(Invalid, "run tasks %s: no output array", call.Function)
	}
	return c.submit(ctx, "task", call, &holov1.SubmitRequest{Output: output.info.ID})
}

// Reduce runs a reduce function over all elements of the inputs and combines
// the accumulators, of accBytes each, in a fixed order: the result is the same
// to the bit whatever the number of nodes.
func (c *Cluster) Reduce(ctx context.Context, call Call, accBytes uint64) (*Job, error) {
	if accBytes == 0 || accBytes > api.MaxAcc {
		return nil, holo.Errorf(Invalid, "reduce %s: an accumulator of %d bytes, want 1 to %d", call.Function, accBytes, api.MaxAcc)
	}
	return c.submit(ctx, "reduce", call, &holov1.SubmitRequest{AccBytes: accBytes})
}

func (c *Cluster) submit(ctx context.Context, kind string, call Call, req *holov1.SubmitRequest) (*Job, error) {
	call.ask(kind, req)
	var err error
	if req.KeepSeconds, err = keepOf(call.Keep); err != nil {
		return nil, err
	}
	what := fmt.Sprintf("submit %s %s of kernel %s", kind, call.Function, call.Kernel)
	j, err := change(ctx, c.client, what, holov1connect.JobServiceSubmitProcedure, c.jobs.Submit, req)
	if err != nil {
		return nil, err
	}
	return &Job{c: c, id: j.GetId()}, nil
}

// ask puts the call into a request.
func (call *Call) ask(kind string, req *holov1.SubmitRequest) {
	req.Kernel, req.Function, req.Kind = call.Kernel, call.Function, kind
	req.Params, req.GasPerTask, req.Halo, req.Edge = call.Params, call.Gas, call.Halo, call.Edge
	for _, in := range call.Inputs {
		req.Inputs = append(req.Inputs, in.info.ID)
	}
}

// keepOf is a time to live in whole seconds.
func keepOf(keep time.Duration) (uint64, error) {
	if keep < 0 || keep > 0 && keep < time.Second {
		return 0, holo.Errorf(Invalid, "keep results for %s: at least a second, or 0 for ever", keep)
	}
	return uint64((keep + time.Second - 1) / time.Second), nil
}

// Job finds a job by its number. It does not ask the cluster.
func (c *Cluster) Job(id uint64) *Job { return &Job{c: c, id: id} }

// Jobs lists the jobs that the cluster remembers.
func (c *Cluster) Jobs(ctx context.Context) ([]JobInfo, error) {
	l, err := read(ctx, c.client, "list jobs", c.jobs.List, &holov1.ListJobsRequest{})
	if err != nil {
		return nil, err
	}
	infos := make([]JobInfo, len(l.GetJobs()))
	for i, j := range l.GetJobs() {
		infos[i] = jobInfoOf(j)
	}
	return infos, nil
}

// ID is the job's number.
func (j *Job) ID() uint64 { return j.id }

// Info asks what the job is and came to.
func (j *Job) Info(ctx context.Context) (JobInfo, error) {
	info, err := read(ctx, j.c.client, fmt.Sprintf("show job %d", j.id), j.c.jobs.Get, &holov1.GetJobRequest{Job: j.id})
	return jobInfoOf(info), err
}

// Progress asks how far the job is.
func (j *Job) Progress(ctx context.Context) (Progress, error) {
	info, err := j.Info(ctx)
	return info.Progress, err
}

// Watch calls see with the progress at once and after each change, until the
// job has ended or see returns an error, which Watch returns.
func (j *Job) Watch(ctx context.Context, see func(Progress) error) error {
	w := watch{job: j, see: see}
	for {
		if err := j.c.client.persist(ctx, func(session []byte) error { return w.attach(ctx, session) }); err != nil {
			return err
		}
		if w.ended {
			return w.stop
		}
		if err := sleep(ctx, firstPause); err != nil {
			return received(ctx, "watch job", false, err)
		}
	}
}

// watch follows one job over as many streams as it takes.
type watch struct {
	job   *Job
	see   func(Progress) error
	ended bool
	stop  error // see's
}

// attach follows one stream. A stream that breaks after it has told something
// is no failure: the next one goes on from there.
func (w *watch) attach(ctx context.Context, session []byte) error {
	req := connect.NewRequest(&holov1.WatchRequest{Job: w.job.id})
	req.Header().Set(api.SessionHeader, api.EncodeSession(session))
	what := fmt.Sprintf("watch job %d", w.job.id)
	stream, err := w.job.c.jobs.Watch(ctx, req)
	if err != nil {
		return received(ctx, what, false, err)
	}
	defer stream.Close()
	told := false
	for stream.Receive() {
		told = true
		p := progressOf(stream.Msg())
		w.stop = w.see(p)
		if w.ended = w.stop != nil || p.State != "running"; w.ended {
			return nil
		}
	}
	err = received(ctx, what, false, stream.Err())
	if told && (err == nil || worthRetry(err)) {
		return nil
	}
	if err == nil {
		return holo.Refuse(Unavailable, reasonCut, "%s: the node told nothing", what)
	}
	return err
}

// Wait waits until the job has ended and gives its result: the combined
// accumulator of a reduce. A job that failed gives its *Error.
func (j *Job) Wait(ctx context.Context) ([]byte, error) {
	if err := j.Watch(ctx, func(Progress) error { return nil }); err != nil {
		return nil, err
	}
	info, err := j.Info(ctx)
	if err != nil {
		return nil, err
	}
	return info.Result, info.Err()
}

// Err is what the job failed with, nil where it did not.
func (i JobInfo) Err() error {
	switch i.State {
	case "failed":
		kind, _ := holo.ParseKind(i.ErrorKind)
		return &Error{Kind: kind, Reason: i.ErrorReason, Text: fmt.Sprintf("job %d: %s", i.ID, i.Error)}
	case "cancelled":
		return holo.Errorf(Cancelled, "job %d: cancelled", i.ID)
	}
	return nil
}

// Cancel ends the job. What its tasks have already written stays, unless the job
// was submitted with a time to Keep it: then the array is deleted.
func (j *Job) Cancel(ctx context.Context) error {
	req := &holov1.CancelRequest{Job: j.id}
	_, err := change(ctx, j.c.client, fmt.Sprintf("cancel job %d", j.id), holov1connect.JobServiceCancelProcedure, j.c.jobs.Cancel, req)
	return err
}
