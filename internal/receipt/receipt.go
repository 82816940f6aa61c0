// Package receipt is the file of a job's receipts: what each task was made
// from, what it made and for how much gas, in the words of the node that ran
// it, signed. Whoever has the file can check the signatures without a cluster,
// and with the module and the input run a task again and compare.
package receipt

import (
	"fmt"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// Format names the file's layout.
const Format = "holo-receipts/2"

// ReasonUnsigned is why a receipt proves nothing: its node did not sign it.
const ReasonUnsigned = "receipt_not_signed"

// ReasonDiffers is why receipts prove nothing that are signed: they do not fit
// together, or running again comes to something else.
const ReasonDiffers = "receipt_differs"

// maxBytes bounds the receipts of a job that are read, in bytes as they are
// encoded: twice what a node keeps.
const maxBytes = 32 << 20

// maxTasks is that of package jobs.
const maxTasks = 1 << 20

// Job is a job's receipts, decoded. No task and no step is there twice.
type Job struct {
	Cluster holo.ClusterID
	ID      holo.JobID
	Tasks   []Task
	Steps   []*wire.StepReceipt
	Results []holo.Digest // what each reduce came to, as the coordinator says; none: the job was not done
	Dropped uint64        // receipts for which the coordinator had no room, or that told of no output

	size  int
	known map[sched.Step]bool // tasks, as {task, task}, and steps
}

// Task is a task, as the node was told it, and what the node says of it.
type Task struct {
	Run  *wire.RunTask
	Said *wire.Receipt
}

// Add adds a task's receipt. The message may be without the parameters that all
// have alike.
func (j *Job) Add(params, task, said []byte) error {
	t, err := decode[*wire.RunTask](task)
	if err != nil {
		return bad("task of receipt %d: %w", len(j.known), err)
	}
	r, err := decode[*wire.Receipt](said)
	if err != nil {
		return bad("receipt %d: %w", len(j.known), err)
	}
	if t.Job != j.ID || len(t.Params) != 0 && len(params) != 0 || len(r.Inputs) != len(t.Inputs) || (len(r.Halos) > 0) != (t.Halo.Width > 0) {
		return bad("receipt %d is not of job %d", len(j.known), j.ID)
	}
	if extents(t) > maxTasks || uint64(t.Task) < t.First/t.Extent {
		return bad("receipt %d is of task %d, which is no task of %d", len(j.known), t.Task, extents(t))
	}
	if len(params) != 0 {
		t.Params = params
	}
	if err := j.add(sched.Step{Into: t.Task, From: t.Task}, len(task)+len(said)); err != nil {
		return err
	}
	j.Tasks = append(j.Tasks, Task{t, r})
	return nil
}

// AddStep adds the receipt of a step.
func (j *Job) AddStep(b []byte) error {
	r, err := decode[*wire.StepReceipt](b)
	if err != nil {
		return bad("receipt %d: %w", len(j.known), err)
	}
	if r.Job != j.ID {
		return bad("receipt %d is not of job %d", len(j.known), j.ID)
	}
	if err := j.add(sched.Step{Into: r.Into, From: r.From}, len(b)); err != nil {
		return err
	}
	j.Steps = append(j.Steps, r)
	return nil
}

// add takes the place of a receipt, which may be that of no other one.
func (j *Job) add(at sched.Step, size int) error {
	if j.known == nil {
		j.known = map[sched.Step]bool{}
	}
	if j.known[at] {
		return bad("receipt %d is of task %d, as another one is", len(j.known), at.Into)
	}
	j.known[at] = true
	if j.size += size; j.size > maxBytes {
		return bad("more than %d bytes of receipts", maxBytes)
	}
	return nil
}

func decode[M wire.Message](b []byte) (M, error) {
	m, err := wire.Decode(b)
	if err != nil {
		return *new(M), err
	}
	if of, ok := m.(M); ok {
		return of, nil
	}
	return *new(M), fmt.Errorf("it is a %T", m)
}

func bad(format string, args ...any) error {
	return holo.Errorf(holo.Invalid, "read receipts: "+format, args...)
}

// Check tells whether the node that the receipt of a task names has signed it,
// for this very task in this cluster.
func (j Job) Check(t Task) error {
	if key.Verify(t.Said.Node, t.Said.Proof(j.Cluster, t.Run), t.Said.Signature[:]) {
		return nil
	}
	return holo.Refuse(holo.Corrupt, ReasonUnsigned, "receipt of task %d of job %d: node %s has not signed this", t.Run.Task, j.ID, t.Said.Node)
}

// Differences names what another run of the task came to that the receipt says
// part is what a task reads of an input.
func part(t *wire.RunTask) string {
	if t.Kind == wire.TaskGeneral {
		return "what it asked for"
	}
	return fmt.Sprintf("elements %d to %d", t.First, t.First+t.Count-1)
}

// otherwise.
func (t Task) Differences(again *wire.Receipt) []string {
	var list []string
	differ := func(what string, said, is any) {
		list = append(list, fmt.Sprintf("%s: the receipt says %v, it is %v", what, said, is))
	}
	if t.Said.Prices != again.Prices {
		differ("prices", t.Said.Prices, again.Prices)
	}
	for i, sum := range again.Inputs {
		if t.Said.Inputs[i] != sum {
			differ(fmt.Sprintf("input %d (array #%d, %s)", i, t.Run.Inputs[i].Array, part(t.Run)), t.Said.Inputs[i], sum)
		}
	}
	for i, sum := range again.Halos {
		if t.Said.Halos[i] != sum {
			differ(fmt.Sprintf("around input %d (array #%d, %d elements on either side of %d to %d)", i, t.Run.Inputs[i].Array, t.Run.Halo.Width, t.Run.First, t.Run.First+t.Run.Count-1),
				t.Said.Halos[i], sum)
		}
	}
	if t.Said.Gas != again.Gas {
		differ("gas", t.Said.Gas, again.Gas)
	}
	if t.Said.Output != again.Output {
		differ("output", t.Said.Output, again.Output)
	}
	return list
}
