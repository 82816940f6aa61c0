package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/claim"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/kernels/std"
)

// A graph on three nodes: the first stage counts, the second one is given what
// it counted. What the catalogue recorded is the graph that was submitted, so
// whoever takes it up runs the same.
func TestGraphIsRecordedWholeAndItsReceiptsCarryWhatEachStageWasGiven(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx, n := context.Background(), c.nodes[0]
	id, _ := c.integers("graph", 200_000) // from -1000 in steps of 7
	least := binary.LittleEndian.AppendUint64([]byte{6, 7: 0}, uint64(199_996*7-1000))
	m := &holov1.SubmitRequest{Kernel: std.Count, Function: "count", Kind: "reduce", Inputs: []uint64{id}, AccBytes: 16, Params: least}
	m.Then = []*holov1.SubmitRequest{{Kernel: std.Count, Function: "count", Kind: "reduce", Inputs: []uint64{id}, AccBytes: 16, Results: []uint32{0}}}
	ask := door.Ask(n, c.userKey(0), holov1connect.JobServiceSubmitProcedure, m)
	j, err := n.SubmitJob(ctx, ask, m)
	must(t, err)
	j = finished(t, n, j.GetId())
	want := make([]byte, 32) // four are at least so much; {4, 0} asks for at most 0: from -1000 to -6
	want[0], want[16] = 4, 143
	if !bytes.Equal(j.GetResult(), want) {
		t.Errorf("the results are %v, want %v", j.GetResult(), want)
	}
	rec, err := n.jobRecord(ctx, holo.JobID(j.GetId()))
	must(t, err)
	put, err := claim.Reader{}.Read("holo.v1.JobService/Submit", ask.Request)
	must(t, err)
	for i, stage := range put.(*wire.JobPut).Job.Stages() {
		got := rec.Stages()[i]
		if stage.Module = got.Module; got.Module == (holo.ModuleID{}) || !reflect.DeepEqual(got, stage) {
			t.Errorf("stage %d is recorded as %+v, and signed as %+v", i, got, stage)
		}
	}
	if spec := specOf(rec); len(spec.Then) != 1 || len(spec.Then[0].Results) != 1 {
		t.Errorf("it would be taken up as %+v", spec)
	}
	receipts, err := n.GetReceipts(ctx, door.Caller{}, holo.JobID(j.GetId()), 0)
	must(t, err)
	given := map[string]bool{}
	for _, r := range receipts.GetReceipts() {
		if r.GetStep() != nil {
			continue
		}
		run, err := wire.Decode(r.GetTask())
		must(t, err)
		given[string(run.(*wire.RunTask).Params)] = true
	}
	if len(receipts.GetParams()) != 0 || len(given) != 2 || !given[string(want[:16])] {
		t.Errorf("receipts with parameters %v", given)
	}
}
