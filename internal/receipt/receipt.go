// Package receipt is the file of a job's receipts: what each task was made
// from, what it made and for how much gas, in the words of the node that ran
// it, signed. Whoever has the file can check the signatures without a cluster,
// and with the module and the input run a task again and compare.
package receipt

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// Format names the file's layout.
const Format = "holo-receipts/1"

// MaxFile bounds a file: 4,096 tasks of 16 inputs have some 8 MiB.
const MaxFile = 32 << 20

// maxTasks is that of package jobs.
const maxTasks = 4096

// ReasonUnsigned is why a receipt proves nothing: its node did not sign it.
const ReasonUnsigned = "receipt_not_signed"

// Job is a job's receipts, decoded.
type Job struct {
	Cluster holo.ClusterID
	ID      holo.JobID
	Tasks   []Task
}

// Task is a task, as the node was told it, and what the node says of it.
type Task struct {
	Run  *wire.RunTask
	Said *wire.Receipt
}

// file is the layout.
type file struct {
	Format   string  `json:"format"`
	Cluster  string  `json:"cluster"` // hexadecimal
	Job      uint64  `json:"job"`
	Params   []byte  `json:"params"` // of every task; none: the tasks have their own
	Receipts []entry `json:"receipts"`
}

type entry struct {
	Task    []byte `json:"task"` // the message; without parameters where all tasks have the same
	Receipt []byte `json:"receipt"`
}

// Decode makes the tasks of messages as the API gives them.
func Decode(cluster holo.ClusterID, id holo.JobID, params []byte, n int, at func(int) (task, said []byte)) (Job, error) {
	j := Job{Cluster: cluster, ID: id}
	if n > maxTasks || len(params) > wire.MaxParams {
		return Job{}, bad("%d tasks and %d bytes of parameters, at most %d and %d", n, len(params), maxTasks, wire.MaxParams)
	}
	for i := range n {
		task, said := at(i)
		t, err := decode[*wire.RunTask](task)
		if err != nil {
			return Job{}, bad("task of receipt %d: %w", i, err)
		}
		r, err := decode[*wire.Receipt](said)
		if err != nil {
			return Job{}, bad("receipt %d: %w", i, err)
		}
		if t.Job != id || len(t.Params) != 0 && len(params) != 0 || len(r.Inputs) != len(t.Inputs) || (len(r.Halos) > 0) != (t.Halo.Width > 0) {
			return Job{}, bad("receipt %d is not of job %d", i, id)
		}
		if len(params) != 0 {
			t.Params = params
		}
		j.Tasks = append(j.Tasks, Task{t, r})
	}
	return j, nil
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

// Write writes the file.
func (j Job) Write(w io.Writer) error {
	f := file{Format: Format, Cluster: hex.EncodeToString(j.Cluster[:]), Job: uint64(j.ID), Receipts: []entry{}}
	alike := j.alike()
	for _, t := range j.Tasks {
		run := *t.Run
		if alike {
			f.Params, run.Params = run.Params, nil
		}
		f.Receipts = append(f.Receipts, entry{wire.Encode(&run), wire.Encode(t.Said)})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(f)
}

// alike reports whether all tasks have the same parameters. Those of a graph's
// stages differ.
func (j Job) alike() bool {
	for _, t := range j.Tasks {
		if !bytes.Equal(t.Run.Params, j.Tasks[0].Run.Params) {
			return false
		}
	}
	return true
}

// Read reads a file that Write wrote, and nothing else.
func Read(r io.Reader) (Job, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err != nil {
		return Job{}, holo.Errorf(holo.Unavailable, "read receipts: %w", err)
	}
	if len(b) > MaxFile {
		return Job{}, bad("more than %d bytes", MaxFile)
	}
	var f file
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return Job{}, bad("%w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Job{}, bad("more follows the receipts")
	}
	if f.Format != Format {
		return Job{}, bad("the format is %.40q, want %q", f.Format, Format)
	}
	cluster, err := holo.ParseClusterID(f.Cluster)
	if err != nil {
		return Job{}, bad("%w", err)
	}
	return Decode(cluster, holo.JobID(f.Job), f.Params, len(f.Receipts), func(i int) ([]byte, []byte) {
		return f.Receipts[i].Task, f.Receipts[i].Receipt
	})
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
			differ(fmt.Sprintf("input %d (array #%d, elements %d to %d)", i, t.Run.Inputs[i].Array, t.Run.First, t.Run.First+t.Run.Count-1),
				t.Said.Inputs[i], sum)
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
