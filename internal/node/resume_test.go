package node

import (
	"context"
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/kernels"
)

// A job that was recorded, or taken, without this node being told so is in
// nobody's hands: it is found and run, and not only after a restart. A try by a
// record that is no longer so says that there is to be another one.
func TestAJobThatNobodyRunsIsTakenUp(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	ctx, n := context.Background(), c.nodes[0]
	const count = 1 << 14
	id, sum := c.integers("numbers", count)
	_, err := c.pushes(ctx, n, "basic", kernels.Get("basic"))
	must(t, err)
	submit := &holov1.SubmitRequest{Kernel: "basic", Function: "stats", Kind: "reduce", Inputs: []uint64{id}, AccBytes: statsBytes}
	ask := c.asks(n, holov1connect.JobServiceSubmitProcedure, submit)
	s, err := n.jobAsked(ctx, ask, submit)
	must(t, err)
	job, _, err := taskSide{n}.RecordJob(context.WithValue(ctx, callerKey{}, ask), &s)
	must(t, err)
	rec, err := n.jobRecord(ctx, job)
	must(t, err)
	rec.Epoch += 100
	if again := n.resume(ctx, rec); !again && n.runner.Left(job) {
		t.Error("a record of another epoch is not read again")
	}
	await(t, "the job is done", func() bool {
		j, err := n.GetJob(ctx, door.Caller{}, job)
		return err == nil && j.State == "done"
	})
	j, err := n.GetJob(ctx, door.Caller{}, holo.JobID(job))
	must(t, err)
	wantStats(t, j, count, sum)
}
