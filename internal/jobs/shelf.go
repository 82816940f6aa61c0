package jobs

import (
	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// MaxReceiptsPage is the most receipts in one answer: without parameters, of at
// most 16 inputs, they take less than 2 KiB each.
const MaxReceiptsPage = 512

// shelf is what a coordinator keeps of a job's receipts. What it has no room for
// is counted, and so are tasks whose first commit nobody's receipt tells of.
type shelf struct {
	list    []kept
	bytes   uint64
	dropped uint64
}

// kept is the receipt of the attempt that counts, or of a step.
type kept struct {
	sched.Assign
	said *wire.Receipt
	step *wire.StepReceipt
}

// bytes is what a receipt takes in memory: itself, 330 bytes of a step and 210
// of a task, its place in the list, and 32 for each digest.
func (k kept) bytes() uint64 {
	if k.step != nil {
		return 400
	}
	return 280 + 32*uint64(len(k.said.Inputs)+len(k.said.Halos))
}

// keepTask remembers the receipt of the attempt that counts. One without an output
// says nothing of what the task wrote.
func (j *job) keepTask(a sched.Assign, said *wire.Receipt) {
	if said.Output != (holo.Digest{}) {
		j.keep(kept{Assign: a, said: said})
		return
	}
	j.view.Lock()
	defer j.view.Unlock()
	j.view.receipts.dropped++
}

// keep remembers a receipt while there is room. Only the coordinator of the job
// adds to its shelf.
func (j *job) keep(k kept) {
	n := k.bytes()
	j.view.Lock()
	room := j.view.receipts.bytes+n <= j.runner.opt.JobReceipts
	j.view.Unlock()
	room = room && j.runner.makeRoom(n)
	j.view.Lock()
	defer j.view.Unlock()
	if !room {
		j.view.receipts.dropped++
		return
	}
	j.view.receipts.list = append(j.view.receipts.list, k)
	j.view.receipts.bytes += n
}

// makeRoom takes a number of bytes of what the node keeps of receipts. The jobs
// that ended first give theirs up for it.
func (r *Runner) makeRoom(n uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range r.mu.finished {
		if r.mu.receipts+n <= r.opt.NodeReceipts {
			break
		}
		r.mu.receipts -= r.mu.jobs[id].clearReceipts()
	}
	if r.mu.receipts+n > r.opt.NodeReceipts {
		return false
	}
	r.mu.receipts += n
	return true
}

// clearReceipts drops the job's receipts, and gives the bytes that they took.
func (j *job) clearReceipts() uint64 {
	j.view.Lock()
	defer j.view.Unlock()
	s := &j.view.receipts
	n := s.bytes
	*s = shelf{dropped: s.dropped + uint64(len(s.list))}
	return n
}

// ReceiptsPage are some of a job's receipts.
type ReceiptsPage struct {
	List    []Receipt
	Next    uint64        // where the next page begins; 0: this is the last
	Dropped uint64        // receipts of the job for which there was no room, or that told of no output
	Results []holo.Digest // of a job that is done, of what each reduce came to
}

// Receipts are those of the tasks and steps of a job that this node coordinates
// or remembers which have counted so far, in the order in which they did: a page
// of them, from a number on.
func (r *Runner) Receipts(id holo.JobID, from uint64) (ReceiptsPage, error) {
	j, err := r.find(id)
	if err != nil {
		return ReceiptsPage{}, err
	}
	j.signing.Lock()
	defer j.signing.Unlock()
	results := j.results()
	j.view.Lock()
	s := j.view.receipts
	j.view.Unlock()
	if from > uint64(len(s.list)) {
		return ReceiptsPage{}, holo.Errorf(holo.NotFound, "receipts of job %d from %d on: there are %d, and %d are not kept", id, from, len(s.list), s.dropped)
	}
	p := ReceiptsPage{Dropped: s.dropped, Results: results}
	rest := s.list[from:]
	if len(rest) > MaxReceiptsPage {
		rest, p.Next = rest[:MaxReceiptsPage], from+MaxReceiptsPage
	}
	for _, k := range rest {
		p.List = append(p.List, j.signed(k))
	}
	return p, nil
}

// signed signs a receipt of this node's own that nobody has asked for yet.
func (j *job) signed(k kept) Receipt {
	if k.step != nil {
		if k.step.Signature == ([64]byte{}) {
			j.runner.cluster.SignStep(k.step)
		}
		return Receipt{Step: k.step}
	}
	r := Receipt{Task: j.message(k.Assign), Said: k.said}
	if k.said.Signature == ([64]byte{}) {
		j.runner.cluster.SignReceipt(r.Task, k.said)
	}
	return r
}

// results are the digests of what the reduces of a job that is done came to, in
// their order: of those that had anything to reduce.
func (j *job) results() (list []holo.Digest) {
	now, _ := j.look()
	if now.State != Done {
		return nil
	}
	for _, s := range j.stages {
		if s.tree != nil && s.count > 0 {
			list = append(list, digest.Of(s.result))
		}
	}
	return list
}
