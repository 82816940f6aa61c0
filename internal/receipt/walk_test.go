package receipt

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// node signs the receipts of the reduce.
var node = key.GenerateSigner()

// reduce is a job of five tasks and the four steps of ((0 1) (2 3)) 4. Step i
// makes the digest {100 + i}.
func reduce(t testing.TB) Job {
	t.Helper()
	j := Job{Cluster: holo.ClusterID{1}, ID: 7, Results: []holo.Digest{{103}}}
	for i := range uint64(5) {
		run := &wire.RunTask{
			Job: 7, Epoch: 1, Task: holo.TaskID(i), Attempt: 1, Module: holo.ModuleID{2}, Kind: wire.TaskReduce, Function: "f", Params: []byte{1},
			AccBytes: 8, Length: 5 * 65536, Extent: 65536, First: 65536 * i, Count: 65536, Inputs: []wire.TaskArray{{Array: 3, Type: holo.U8}},
		}
		said := &wire.Receipt{Node: node.Public(), Prices: "gas/1", Inputs: []holo.Digest{{5}}, Output: holo.Digest{byte(i)}}
		copy(said.Signature[:], node.Sign(said.Proof(j.Cluster, run)))
		if err := j.Add(nil, wire.Encode(run), wire.Encode(said)); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range []struct{ into, from, left, right byte }{{0, 1, 0, 1}, {2, 3, 2, 3}, {0, 2, 100, 101}, {0, 4, 102, 4}} {
		r := &wire.StepReceipt{
			Job: 7, Epoch: 1, Into: holo.TaskID(s.into), From: holo.TaskID(s.from), Module: holo.ModuleID{2}, Function: "f", Params: digest.Of([]byte{1}),
			Node: node.Public(), Time: 9, Prices: "gas/1", Gas: 50, Left: holo.Digest{s.left}, Right: holo.Digest{s.right}, Output: holo.Digest{byte(100 + i)},
		}
		j.sign(r)
		if err := j.AddStep(wire.Encode(r)); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

func (j Job) sign(r *wire.StepReceipt) { copy(r.Signature[:], node.Sign(r.Proof(j.Cluster))) }

// said is all that a walk finds wrong.
func said(tree Tree) string {
	list := tree.Wrong
	for _, v := range tree.Steps {
		for _, d := range v.Differences {
			list = append(list, string('0'+rune(v.Step.Into))+"+"+string('0'+rune(v.Step.From))+" "+d)
		}
	}
	return strings.Join(list, "\n")
}

func TestTheTreeLeadsFromTheTasksToTheResult(t *testing.T) {
	j := reduce(t)
	tree := j.Walk()
	if s := said(tree); s != "" || len(tree.Steps) != 4 || !reflect.DeepEqual(tree.Results, []holo.Digest{{103}}) || j.CheckTree() != nil {
		t.Errorf("the walk comes to %v over %d steps: %s", tree.Results, len(tree.Steps), s)
	}
	again, err := Read(bytes.NewReader(j.bytes(t)))
	again.size, j.size = 0, 0
	if err != nil || !reflect.DeepEqual(again, j) {
		t.Errorf("what was written reads as %+v: %v", again, err)
	}
}

// One byte of a step's receipt is another one, signed by its node or not: the
// field is named.
func TestAChangedFieldOfAStepIsNamed(t *testing.T) {
	for _, c := range []struct {
		signed, unsigned string // what is said of it
		change           func(*wire.StepReceipt)
	}{
		{"0+2 epoch: the receipt says", "0+2 epoch", func(r *wire.StepReceipt) { r.Epoch ^= 1 }},
		{"0+2 its receipt is missing", "position: the tree has no such step", func(r *wire.StepReceipt) { r.Into = 1 }},
		{"0+2 its receipt is missing", "position: the tree has no such step", func(r *wire.StepReceipt) { r.From = 3 }},
		{"0+2 module: the receipt says", "0+2 module", func(r *wire.StepReceipt) { r.Module[9] ^= 1 }},
		{"0+2 function: the receipt says g, it is f", "0+2 function", func(r *wire.StepReceipt) { r.Function = "g" }},
		{"0+2 parameters: the receipt says", "0+2 parameters", func(r *wire.StepReceipt) { r.Params[9] ^= 1 }},
		{"0+2 left input (result of task 0)", "0+2 left input", func(r *wire.StepReceipt) { r.Left[31] ^= 1 }},
		{"0+2 right input (result of task 2)", "0+2 right input", func(r *wire.StepReceipt) { r.Right[0] ^= 1 }},
		{"0+4 left input (result of task 0)", "0+4 left input", func(r *wire.StepReceipt) { r.Output[5] ^= 1 }},
		{"0+2 signature", "0+2 signature", func(r *wire.StepReceipt) { r.Node[3] ^= 1 }},
		{"", "0+2 signature", func(r *wire.StepReceipt) { r.Time ^= 1 }},
		{"", "0+2 signature", func(r *wire.StepReceipt) { r.Prices = "gas/2" }},
		{"", "0+2 signature", func(r *wire.StepReceipt) { r.Gas ^= 1 }},
	} {
		j := reduce(t)
		c.change(j.Steps[2])
		if s := said(j.Walk()); !strings.Contains(s, c.unsigned) {
			t.Errorf("%q is not in %q", c.unsigned, s)
		}
		j.sign(j.Steps[2])
		if s := said(j.Walk()); !strings.Contains(s, c.signed) || c.signed == "" && s != "" {
			t.Errorf("signed again, %q is not in %q", c.signed, s)
		}
	}
	j := reduce(t)
	j.Steps[2].Signature[63] ^= 1
	if s := said(j.Walk()); !strings.Contains(s, "0+2 signature") {
		t.Errorf("another signature: %q", s)
	}
}

func TestAStepIsMissingMovedOrOfAnother(t *testing.T) {
	for what, c := range map[string]struct {
		want   string
		change func(*Job)
	}{
		"missing": {"2+3 its receipt is missing", func(j *Job) { j.Steps = append(j.Steps[:1], j.Steps[2:]...) }},
		"swapped": {"0+1 left input (result of task 0)", func(j *Job) {
			a, b := j.Steps[0], j.Steps[1]
			a.Into, a.From, b.Into, b.From = b.Into, b.From, a.Into, a.From
			j.sign(a)
			j.sign(b)
		}},
		"of another": {"0+1 signature", func(j *Job) { j.Steps[0].Node = key.GenerateSigner().Public() }},
		"of another cluster": {"0+1 signature", func(j *Job) {
			j.Steps[0].Signature = [64]byte(node.Sign(j.Steps[0].Proof(holo.ClusterID{2})))
		}},
		"no task":        {"tasks 0 to 4: the receipts of 1 of them are missing", func(j *Job) { j.Tasks = j.Tasks[:4] }},
		"another result": {"result 0: the job came to 09", func(j *Job) { j.Results[0] = holo.Digest{9} }},
		"two results":    {"result: the job has 2, its receipts come to 1", func(j *Job) { j.Results = make([]holo.Digest, 2) }},
		"another task":   {"task 3: its parameters is not that of task 0", func(j *Job) { j.Tasks[3].Run.Params = nil }},
	} {
		j := reduce(t)
		c.change(&j)
		if s := said(j.Walk()); !strings.Contains(s, c.want) {
			t.Errorf("%s: %q is not in %q", what, c.want, s)
		}
		if err := j.CheckTree(); holo.ReasonOf(err) != ReasonDiffers {
			t.Errorf("%s: %v", what, err)
		}
	}
	j := reduce(t)
	if err := j.AddStep(wire.Encode(j.Steps[0])); holo.KindOf(err) != holo.Invalid {
		t.Errorf("a step twice: %v", err)
	}
}

func TestStepsThatCameToSomethingElseAreNamed(t *testing.T) {
	r := reduce(t).Steps[2]
	if d := StepDifferences(r, r); len(d) != 0 {
		t.Errorf("the same differs: %q", d)
	}
	got := strings.Join(StepDifferences(r, &wire.StepReceipt{Prices: "gas/2", Gas: 51}), "\n")
	for _, want := range []string{"prices: the receipt says gas/1", "left input (result of task 0, run again)", "right input (result of task 2, run again)", "gas: the receipt says 50, it is 51", "output: the receipt says 66"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}
