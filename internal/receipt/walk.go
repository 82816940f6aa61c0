package receipt

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// Stage are the tasks of one stage of a job, in order. Its first task has number
// First, and all of them are Count.
type Stage struct {
	First holo.TaskID
	Count int
	Tasks []Task
}

// Stages sorts the tasks.
func (j Job) Stages() []Stage {
	of := map[holo.TaskID][]Task{}
	for _, t := range j.Tasks {
		first := t.Run.Task - holo.TaskID(t.Run.First/t.Run.Extent)
		of[first] = append(of[first], t)
	}
	var list []Stage
	for _, first := range slices.Sorted(maps.Keys(of)) {
		tasks := of[first]
		slices.SortFunc(tasks, func(a, b Task) int { return cmp.Compare(a.Run.Task, b.Run.Task) })
		list = append(list, Stage{first, int(extents(tasks[0].Run)), tasks})
	}
	return list
}

func extents(t *wire.RunTask) uint64 { return (t.Length-1)/t.Extent + 1 }

// Verdict is what is wrong with a step, field by field.
type Verdict struct {
	Step        sched.Step
	Node        holo.NodeID
	Differences []string
}

// Tree is what became of a walk.
type Tree struct {
	Steps   []Verdict     // in the order of the walk, then those that belong nowhere
	Wrong   []string      // of whole stages
	Results []holo.Digest // of each reduce whose receipts are all there
}

// Walk follows the tree of each reduce from its tasks to its result: what a step
// combines is what the receipts below it made, with the function and the
// parameters of the tasks, and the last one makes the job's result. It needs
// nothing but the receipts, and finds also what is missing.
func (j Job) Walk() Tree {
	w := &walk{job: j, steps: map[sched.Step]*wire.StepReceipt{}}
	for _, s := range j.Steps {
		w.steps[sched.Step{Into: s.Into, From: s.From}] = s
	}
	for _, s := range j.Stages() {
		w.stage(s)
	}
	for _, s := range j.Steps { // in their order
		at := sched.Step{Into: s.Into, From: s.From}
		if _, left := w.steps[at]; left {
			w.tree.Steps = append(w.tree.Steps, Verdict{at, s.Node, []string{"position: the tree has no such step above the tasks that are here"}})
		}
	}
	w.results()
	return w.tree
}

type walk struct {
	job   Job
	steps map[sched.Step]*wire.StepReceipt // not yet met
	sums  map[holo.TaskID]holo.Digest      // of the accumulators that are known
	tree  Tree
	open  bool // a reduce has no known result
}

func (w *walk) stage(s Stage) {
	if n := s.Count - len(s.Tasks); n != 0 {
		w.wrong("tasks %d to %d: the receipts of %d of them are missing", s.First, int(s.First)+s.Count-1, n)
	}
	base := s.Tasks[0].Run
	for _, t := range s.Tasks {
		if what := unlike(base, t.Run); what != "" {
			w.wrong("task %d: its %s is not that of task %d", t.Run.Task, what, base.Task)
			w.open = true
			return
		}
	}
	if base.Kind != wire.TaskReduce {
		return
	}
	tree := sched.NewTree(s.Count)
	w.sums = map[holo.TaskID]holo.Digest{}
	for _, t := range s.Tasks {
		w.sums[t.Run.Task] = t.Said.Output
		for _, step := range tree.Add(t.Run.Task - s.First) {
			w.step(base, sched.Step{Into: s.First + step.Into, From: s.First + step.From})
		}
	}
	if sum, known := w.sums[s.First]; known && tree.Whole() && len(s.Tasks) == s.Count {
		w.tree.Results = append(w.tree.Results, sum)
		return
	}
	w.open = true
}

func (w *walk) wrong(format string, args ...any) {
	w.tree.Wrong = append(w.tree.Wrong, fmt.Sprintf(format, args...))
}

// unlike names what two tasks of a stage do not have in common.
func unlike(a, b *wire.RunTask) string {
	switch {
	case a.Epoch != b.Epoch:
		return "epoch"
	case a.Module != b.Module:
		return "module"
	case a.Kind != b.Kind || a.Function != b.Function:
		return "function"
	case paramsOf(a) != paramsOf(b):
		return "parameters"
	case a.Length != b.Length || a.Extent != b.Extent:
		return "shape"
	}
	return ""
}

// step holds one against what is below it. What is above a step that is missing
// has nothing to be held against on that side.
func (w *walk) step(t *wire.RunTask, at sched.Step) {
	left, hasLeft := w.sums[at.Into]
	right, hasRight := w.sums[at.From]
	delete(w.sums, at.From)
	delete(w.sums, at.Into)
	r := w.steps[at]
	delete(w.steps, at)
	if r == nil {
		w.tree.Steps = append(w.tree.Steps, Verdict{Step: at, Differences: []string{"its receipt is missing"}})
		return
	}
	w.sums[at.Into] = r.Output
	var list differences
	list.add("epoch", r.Epoch, t.Epoch)
	list.add("module", r.Module, t.Module)
	list.add("function", r.Function, t.Function)
	list.add("parameters", r.Params, paramsOf(t))
	if hasLeft {
		list.add(fmt.Sprintf("left input (result of task %d)", at.Into), r.Left, left)
	}
	if hasRight {
		list.add(fmt.Sprintf("right input (result of task %d)", at.From), r.Right, right)
	}
	if !w.job.signed(r) {
		list = append(list, fmt.Sprintf("signature: node %s has not signed this: where nothing else differs, the node, the time or the signature is another", r.Node))
	}
	w.tree.Steps = append(w.tree.Steps, Verdict{at, r.Node, list})
}

// results holds what the receipts come to against what the job came to.
func (w *walk) results() {
	if w.open || len(w.job.Results) == 0 {
		return
	}
	if len(w.job.Results) != len(w.tree.Results) {
		w.wrong("result: the job has %d, its receipts come to %d", len(w.job.Results), len(w.tree.Results))
		return
	}
	for i, sum := range w.tree.Results {
		if w.job.Results[i] != sum {
			w.wrong("result %d: the job came to %s, its receipts to %s", i, w.job.Results[i], sum)
		}
	}
}

func (j Job) signed(r *wire.StepReceipt) bool {
	return key.Verify(r.Node, r.Proof(j.Cluster), r.Signature[:])
}

// differences names fields.
type differences []string

func (d *differences) add(what string, said, is any) {
	if said != is {
		*d = append(*d, fmt.Sprintf("%s: the receipt says %v, it is %v", what, said, is))
	}
}

// CheckTree is an error that names the first thing that Walk finds wrong.
func (j Job) CheckTree() error {
	tree := j.Walk()
	list := tree.Wrong
	for _, v := range tree.Steps {
		for _, what := range v.Differences {
			list = append(list, fmt.Sprintf("step %d+%d: %s", v.Step.Into, v.Step.From, what))
		}
	}
	if len(list) == 0 {
		return nil
	}
	return holo.Refuse(holo.Corrupt, ReasonDiffers, "receipts of job %d: %s (and %d more)", j.ID, list[0], len(list)-1)
}

// StepDifferences names what doing a step again came to that the receipt says
// otherwise.
func StepDifferences(said, again *wire.StepReceipt) []string {
	var list differences
	list.add("prices", said.Prices, again.Prices)
	list.add(fmt.Sprintf("left input (result of task %d, run again)", said.Into), said.Left, again.Left)
	list.add(fmt.Sprintf("right input (result of task %d, run again)", said.From), said.Right, again.Right)
	list.add("gas", said.Gas, again.Gas)
	list.add("output", said.Output, again.Output)
	return list
}
