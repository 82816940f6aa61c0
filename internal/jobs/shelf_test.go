package jobs

import (
	"bytes"
	"testing"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/internal/workers"
	"github.com/holocompute/holocompute/kernels"
)

// allReceipts are all receipts of a job, page by page, and the last page.
func (l *lan) allReceipts(id holo.JobID) (list []Receipt, n int, p ReceiptsPage) {
	l.Helper()
	for from := uint64(0); n == 0 || from > 0; n++ {
		var err error
		if p, err = l.peers[0].runner.Receipts(id, from); err != nil {
			l.Fatal(err)
		}
		if len(p.List) > MaxReceiptsPage {
			l.Errorf("%d receipts in a page", len(p.List))
		}
		list, from = append(list, p.List...), p.Next
	}
	return list, n, p
}

// Each step of a reduce is signed by who did it, and whoever does it again comes
// to the same, up to the job's result.
func TestStepsSayWhatDoingThemAgainGives(t *testing.T) {
	l := newLAN(t, 2, Options{})
	job := l.do(l.statsJob(bytesOf(floats(5*8192)), holo.F64, 8192))
	m, err := module.Admit(kernels.Get("basic"))
	if err != nil {
		t.Fatal(err)
	}
	pool := workers.New(workers.Options{Max: 1})
	defer pool.Close()
	held, steps, run := map[holo.TaskID][]byte{}, map[sched.Step]*wire.StepReceipt{}, map[holo.TaskID]*wire.RunTask{}
	list, _, page := l.allReceipts(job.ID)
	for _, r := range list {
		if r.Step != nil {
			steps[sched.Step{Into: r.Step.Into, From: r.Step.From}] = r.Step
			continue
		}
		run[r.Task.Task] = r.Task
		if _, held[r.Task.Task], err = Replay(t.Context(), pool, m, r.Task, l.inputs(r.Task), nil); err != nil {
			t.Fatal(err)
		}
	}
	tree := sched.NewTree(5)
	for id := range holo.TaskID(5) {
		for _, s := range tree.Add(id) {
			said := steps[s]
			if said == nil || said.Node != l.peers[0].id() || !key.Verify(l.peers[0].signer.Public(), said.Proof(holo.ClusterID{1}), said.Signature[:]) {
				t.Fatalf("step %v: its receipt %+v is not signed by who did it", s, said)
			}
			again, err := ReplayStep(t.Context(), pool, m, run[s.Into], s.From, held[s.Into], held[s.From])
			if err != nil {
				t.Fatal(err)
			}
			again.Node, again.Time, again.Signature = said.Node, said.Time, said.Signature
			if *again != *said || again.Gas == 0 {
				t.Errorf("step %v: %+v, done again %+v", s, said, again)
			}
		}
	}
	if len(steps) != 4 || !bytes.Equal(held[0], job.Result) || len(page.Results) != 1 || page.Results[0] != digest.Of(job.Result) {
		t.Errorf("%d steps to %x, the job came to %x, as %v", len(steps), held[0], job.Result, page.Results)
	}
}

// A job of many tasks leaves its receipts in pages, none twice.
func TestReceiptsOfManyTasksComeInPages(t *testing.T) {
	l := newLAN(t, 1, Options{})
	job := l.do(l.says("say", "x", 3*MaxReceiptsPage-1))
	list, n, p := l.allReceipts(job.ID)
	seen := map[holo.TaskID]bool{}
	for _, r := range list {
		seen[r.Task.Task] = true
	}
	if len(seen) != 3*MaxReceiptsPage-1 || len(list) != len(seen) || n != 3 || p.Dropped != 0 {
		t.Errorf("%d receipts of %d tasks in %d pages, %d dropped", len(list), len(seen), n, p.Dropped)
	}
	if _, err := l.peers[0].runner.Receipts(job.ID, uint64(len(list)+1)); holo.KindOf(err) != holo.NotFound {
		t.Errorf("after the last: %v", err)
	}
}

// A job keeps so many bytes of receipts, and says how many it dropped.
func TestAJobsReceiptsAreBounded(t *testing.T) {
	l := newLAN(t, 1, Options{JobReceipts: 3 * 312})
	job := l.do(l.statsJob(bytesOf(floats(5*8192)), holo.F64, 8192))
	list, _, p := l.allReceipts(job.ID)
	size := uint64(0)
	for _, k := range l.peers[0].runner.all()[0].view.receipts.list {
		size += k.bytes()
	}
	if size == 0 || size > 3*312 || uint64(len(list))+p.Dropped != 9 {
		t.Errorf("%d receipts of %d bytes, %d dropped", len(list), size, p.Dropped)
	}
}

// A node that has no room drops the receipts of the job that ended first.
func TestANodesReceiptsAreBounded(t *testing.T) {
	l := newLAN(t, 1, Options{NodeReceipts: 12 * 312})
	var ids []holo.JobID
	for range 3 {
		ids = append(ids, l.do(l.says("say", "x", 5)).ID)
	}
	for i, want := range []int{0, 5, 5} {
		list, _, p := l.allReceipts(ids[i])
		if len(list) != want || int(p.Dropped) != 5-want {
			t.Errorf("job %d: %d receipts and %d dropped, want %d and %d", ids[i], len(list), p.Dropped, want, 5-want)
		}
	}
	r := l.peers[0].runner
	if r.mu.receipts != 10*312 {
		t.Errorf("%d bytes are counted", r.mu.receipts)
	}
}

// A job of ten thousand tasks leaves a receipt of each, signed, and keeps within its
// bytes; they are given page by page.
func TestReceiptsOfTenThousandTasksAreKept(t *testing.T) {
	const tasks = 10_000
	l := newLAN(t, 2, Options{})
	job := l.do(l.says("say", "x", tasks))
	list, pages, p := l.allReceipts(job.ID)
	seen := map[holo.TaskID]bool{}
	for _, r := range list {
		seen[r.Task.Task] = true
		if !l.peers[0].CheckReceipt(r.Task, r.Said) {
			t.Fatalf("the receipt of task %d is not signed", r.Task.Task)
		}
	}
	if len(list) != tasks || len(seen) != tasks || p.Dropped != 0 || pages != (tasks+MaxReceiptsPage-1)/MaxReceiptsPage {
		t.Errorf("%d receipts of %d tasks in %d pages, %d dropped", len(list), len(seen), pages, p.Dropped)
	}
	r := l.peers[0].runner
	if kept := r.mu.receipts; kept == 0 || kept > r.opt.JobReceipts {
		t.Errorf("%d bytes are kept, of %d", kept, r.opt.JobReceipts)
	}
}
