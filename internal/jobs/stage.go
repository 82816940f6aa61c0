package jobs

import (
	"context"
	"slices"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/wire"
)

// stage is one stage of a job at its coordinator, and belongs to it. Its tasks
// are count from first on.
type stage struct {
	spec    Spec
	inputs  []Array
	output  Array
	module  *module.Module // for combining
	release func()

	number int
	first  holo.TaskID
	count  int
	tree   *sched.Tree
	left   int    // tasks whose results are to come in, and of a reduce steps to be done
	params []byte // with the results that follow them, once those are there
	result []byte // of a reduce, once it is combined
}

// stage finds what a stage needs, and checks it.
func (r *Runner) stage(ctx context.Context, spec Spec) (*stage, error) {
	s := &stage{spec: spec, params: spec.Params, release: func() {}}
	if err := s.findArrays(ctx, r.cluster); err != nil {
		return nil, err
	}
	m, release, err := r.modules.get(ctx, spec.Module)
	if err != nil {
		return nil, err
	}
	err = spec.checkFunctions(m, s.geometry().Shape.Extents())
	if err == nil {
		err = spec.fitsATask(m)
	}
	if err != nil {
		release()
		return nil, err
	}
	s.module, s.release = m, release
	return s, nil
}

// findArrays looks the arrays up and checks that they can be worked on
// together.
func (s *stage) findArrays(ctx context.Context, c Cluster) error {
	for _, id := range s.spec.Inputs {
		a, err := c.Array(ctx, id)
		if err != nil {
			return err
		}
		s.inputs = append(s.inputs, a)
		if s.spec.Kind == wire.TaskGeneral {
			err = s.asked(a)
		} else {
			err = s.fits(a, true)
		}
		if err != nil {
			return err
		}
	}
	if !s.spec.Kind.Writes() {
		return nil
	}
	out, err := c.Array(ctx, s.spec.Output)
	if err != nil {
		return err
	}
	if out.Sealed {
		return s.spec.bad("the output %s is sealed", out.Name)
	}
	s.output = out
	return s.fits(out, false)
}

// geometry is the array of which each extent is a task: of a general task's inputs
// none needs to be like the output.
func (s *stage) geometry() Array {
	if s.spec.Kind == wire.TaskGeneral {
		return s.output
	}
	return s.inputs[0]
}

// moves is what a task reads and writes, in bytes.
func (s *stage) moves() uint64 {
	n := s.spec.AccBytes
	for _, a := range append(s.inputs[:len(s.inputs):len(s.inputs)], s.output) {
		n += min(a.Shape.Extent*a.Shape.Type.Size(), a.Shape.Bytes())
	}
	return n
}

func (s *stage) begin(number int, first holo.TaskID, count int) {
	s.number, s.first, s.count, s.left = number, first, count, count
	if s.spec.Kind == wire.TaskReduce {
		s.tree = sched.NewTree(count)
		s.left = count + max(count-1, 0)
	}
}

// took takes the partial result of a task of this stage.
func (s *stage) took(j *job, id holo.TaskID, r *wire.TaskResult) {
	if s.spec.Kind != wire.TaskReduce {
		if s.left--; s.left == 0 {
			j.sched.Finish(s.number) // for those that see around what it wrote
		}
		return
	}
	j.partials[id] = &partial{acc: r.Partial, sum: r.Receipt.Output}
	j.held += uint64(len(r.Partial))
	for _, step := range s.tree.Add(id - s.first) {
		j.possible(s, step)
	}
	s.joined(j)
}

// joined counts a result that came in, or a step that was done. After the last
// one the stage's result is known to all that are given it.
func (s *stage) joined(j *job) {
	if s.left--; s.left > 0 {
		return
	}
	s.result = j.partials[s.first].acc
	j.held -= uint64(len(s.result))
	delete(j.partials, s.first)
	j.settle(s)
}

// settle hands a stage's result on, and lets those begin that wait for it.
func (j *job) settle(s *stage) {
	for _, next := range j.stages {
		if slices.Contains(next.spec.Results, s.number) {
			next.gather(j)
		}
	}
	j.sched.Finish(s.number)
}

// gather puts the results that a stage is given behind its parameters, once all
// of them are there. They are a new slice: a combined result does not change any
// more, and a task that is being encoded holds on to its own.
func (s *stage) gather(j *job) {
	params := slices.Clone(s.spec.Params)
	for _, i := range s.spec.Results {
		if j.stages[i].result == nil {
			return
		}
		params = append(params, j.stages[i].result...)
	}
	s.params = params
}

// settleEmpty settles the reduces over no elements: their result is the
// accumulator as it began.
func (j *job) settleEmpty() {
	for _, s := range j.stages {
		if s.spec.Kind == wire.TaskReduce && s.count == 0 {
			s.result = make([]byte, s.spec.AccBytes)
			j.settle(s)
		}
	}
}

// stageOf is the stage of a task.
func (j *job) stageOf(id holo.TaskID) *stage {
	number, _ := slices.BinarySearchFunc(j.stages, id, func(s *stage, id holo.TaskID) int {
		if s.first+holo.TaskID(s.count) <= id {
			return -1
		}
		return 1
	})
	return j.stages[number]
}

// result is that of the job: those of its reduces, in their order.
func (j *job) result() []byte {
	if len(j.stages) == 1 {
		return j.stages[0].result
	}
	var all []byte
	for _, s := range j.stages {
		all = append(all, s.result...)
	}
	return all
}

// count is the number of tasks.
func (j *job) count() (n uint64) {
	for _, s := range j.stages {
		n += s.geometry().Shape.Extents()
	}
	return n
}

func (j *job) release() {
	for _, s := range j.stages {
		s.release()
	}
}

// unrun says what the failure of a task meant for those that depend on it.
func (j *job) unrun(err error) error {
	if n := j.sched.Held(); n > 0 {
		return holo.Refuse(holo.KindOf(err), holo.ReasonOf(err), "%w; %d tasks that wait for it, or for others that did, were not run", err, n)
	}
	return err
}
