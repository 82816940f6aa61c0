package receipt

import (
	"bytes"
	"testing"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// FuzzFile gives files of receipts from anybody to whoever verifies them: what is
// read is walked and written again, and a file that is none is refused in one line.
func FuzzFile(f *testing.F) {
	for _, j := range []Job{sample(), reduce(f)} {
		var b bytes.Buffer
		if err := j.Write(&b); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		j, err := Read(bytes.NewReader(file))
		if err != nil {
			if holo.KindOf(err) != holo.Invalid {
				t.Errorf("refused as %v", err)
			}
			return
		}
		j.Walk()
		var b bytes.Buffer
		if err := j.Write(&b); err != nil {
			t.Fatal(err)
		}
		if again, err := Read(&b); err != nil || len(again.Tasks) != len(j.Tasks) || len(again.Steps) != len(j.Steps) {
			t.Errorf("read, written and read again: %d tasks, %d steps, %v", len(again.Tasks), len(again.Steps), err)
		}
	})
}

// FuzzWalk walks the receipts of tasks and steps whose numbers somebody made up.
func FuzzWalk(f *testing.F) {
	f.Add(uint64(5), uint64(1), []byte{0, 1, 2, 3, 4, 1, 0, 0xff, 2, 3})
	f.Add(uint64(1<<40), uint64(1<<20), []byte{0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, length, extent uint64, numbers []byte) {
		j := Job{ID: 7}
		for i := 0; i+1 < len(numbers); i += 2 {
			at := uint64(numbers[i])
			run := &wire.RunTask{
				Job: 7, Epoch: 1, Task: holo.TaskID(numbers[i+1]), Attempt: 1, Kind: wire.TaskReduce, Function: "f", AccBytes: 8,
				Length: length, Extent: extent, First: at * extent, Count: min(extent, length-at*extent), Inputs: []wire.TaskArray{{Array: 3, Type: holo.U8}},
			}
			_ = j.Add(nil, wire.Encode(run), wire.Encode(&wire.Receipt{Prices: "gas/1", Inputs: []holo.Digest{{5}}}))
			step := &wire.StepReceipt{Job: 7, Into: holo.TaskID(numbers[i]), From: holo.TaskID(numbers[i+1]), Function: "f", Prices: "gas/1", Params: digest.Of(nil)}
			_ = j.AddStep(wire.Encode(step))
		}
		j.Walk()
	})
}
