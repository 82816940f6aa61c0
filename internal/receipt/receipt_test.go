package receipt

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// sample is a job of two tasks with their receipts.
func sample() Job {
	node := key.GenerateSigner()
	j := Job{Cluster: holo.ClusterID{1}, ID: 7}
	for i := range uint64(2) {
		run := &wire.RunTask{
			Job: 7, Epoch: 1, Task: holo.TaskID(i), Attempt: 1, Module: holo.ModuleID{2}, Kernel: "k", Kind: wire.TaskMap, Function: "f",
			Params: []byte{1, 2, 3}, Gas: 100, Length: 2 * 65536, Extent: 65536, First: 65536 * i, Count: 65536,
			Inputs: []wire.TaskArray{{Array: 3, Type: holo.U8}}, Output: wire.TaskArray{Array: 4, Type: holo.U8},
		}
		said := &wire.Receipt{Node: node.Public(), Time: 9, Prices: "gas/1", Gas: 50, Inputs: []holo.Digest{{5}}, Output: holo.Digest{6}}
		copy(said.Signature[:], node.Sign(said.Proof(j.Cluster, run)))
		if err := j.Add(nil, wire.Encode(run), wire.Encode(said)); err != nil {
			panic(err)
		}
	}
	return j
}

func (j Job) bytes(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := j.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// check reads a file and checks every signature in it.
func check(b []byte) (Job, error) {
	j, err := Read(bytes.NewReader(b))
	if err != nil {
		return Job{}, err
	}
	for _, t := range j.Tasks {
		if err := j.Check(t); err != nil {
			return Job{}, err
		}
	}
	j.size = 0 // without the parameters in a file, and with them elsewhere
	return j, nil
}

// One byte of the file is changed, anywhere: it is found, or it meant nothing.
func TestChangedReceiptsAreRefused(t *testing.T) {
	want := sample()
	want.size = 0
	good := want.bytes(t)
	if got, err := check(good); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("what was written reads as %+v: %v", got, err)
	}
	refused := 0
	for at := range good {
		bad := bytes.Clone(good)
		bad[at] ^= 1
		got, err := check(bad)
		switch {
		case err != nil:
			refused++
		case !reflect.DeepEqual(got, want):
			t.Fatalf("byte %d of %q became %q, and nobody says a word", at, good[max(at-20, 0):min(at+20, len(good))], bad[at])
		}
	}
	if refused < len(good)*9/10 {
		t.Errorf("%d of %d changes were found", refused, len(good))
	}
}

func TestReceiptOfAnotherJobOrClusterIsRefused(t *testing.T) {
	other := sample()
	other.Cluster[0] = 2
	if err := other.Check(other.Tasks[0]); holo.ReasonOf(err) != ReasonUnsigned {
		t.Errorf("of another cluster: %v", err)
	}
	mixed := sample()
	mixed.Tasks[0].Said, mixed.Tasks[1].Said = mixed.Tasks[1].Said, mixed.Tasks[0].Said
	if err := mixed.Check(mixed.Tasks[0]); holo.ReasonOf(err) != ReasonUnsigned {
		t.Errorf("of another task: %v", err)
	}
	j := sample()
	j.ID = 8
	if _, err := Read(bytes.NewReader(j.bytes(t))); holo.KindOf(err) != holo.Invalid {
		t.Errorf("of another job: %v", err)
	}
}

func TestWhatIsNoFileOfReceiptsIsRefusedInOneLine(t *testing.T) {
	good := string(sample().bytes(t))
	for name, s := range map[string]string{
		"nothing": "", "list": "[]", "other format": strings.Replace(good, "receipts/2", "receipts/3", 1), "old": "{\n \"format\": \"holo-receipts/1\"\n}", "twice": good + good[strings.Index(good, "\n")+1:], "more": good + "{}",
		"unknown field": strings.Replace(good, `"job"`, `"x": 1, "job"`, 1), "cut": good[:len(good)/2], "a line less": good[:strings.LastIndex(good[:len(good)-1], "\n")+1],
		"cluster": strings.Replace(good, `"cluster":"01`, `"cluster":"zz`, 1),
		"no task": strings.Replace(good, `"task":"`, `"task":"AAAA`, 1),
	} {
		if _, err := Read(strings.NewReader(s)); holo.KindOf(err) != holo.Invalid || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Read(strings.NewReader(strings.Repeat(" ", maxLine+1))); holo.KindOf(err) != holo.Invalid {
		t.Errorf("too long: %v", err)
	}
}

func TestDifferencesAreNamed(t *testing.T) {
	task := sample().Tasks[1]
	same := *task.Said
	if d := task.Differences(&same); len(d) != 0 {
		t.Errorf("the same differs: %q", d)
	}
	other := wire.Receipt{Prices: "gas/2", Gas: 51, Inputs: []holo.Digest{{7}}, Output: holo.Digest{8}}
	got := strings.Join(task.Differences(&other), "\n")
	for _, want := range []string{"prices: the receipt says gas/1, it is gas/2", "input 0 (array #3, elements 65536 to 131071): the receipt says 05", "gas: the receipt says 50, it is 51", "output: the receipt says 06"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}
