package receipt

import (
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// One byte of each field of a receipt is changed: the field is named, where running
// the task again or the list of the members can tell; of the others it is said which
// they may be.
func TestAChangedByteOfAReceiptIsTracedToItsField(t *testing.T) {
	j := sample()
	good := *j.Tasks[0].Said
	nodes := []holo.NodeID{key.GenerateSigner().Public(), good.Node}
	const rest = "the time, the signature, or what the task was told"
	for name, e := range map[string]struct {
		change func(*wire.Receipt, *wire.RunTask)
		want   []string // of Differences, then of Trace
	}{
		"nothing":   {func(*wire.Receipt, *wire.RunTask) {}, []string{""}},
		"node":      {func(r *wire.Receipt, _ *wire.RunTask) { r.Node[31] ^= 1 }, []string{"node: "}},
		"time":      {func(r *wire.Receipt, _ *wire.RunTask) { r.Time ^= 1 }, []string{rest}},
		"prices":    {func(r *wire.Receipt, _ *wire.RunTask) { r.Prices = "gas/0" }, []string{"prices: ", "nothing else"}},
		"gas":       {func(r *wire.Receipt, _ *wire.RunTask) { r.Gas ^= 1 << 9 }, []string{"gas: ", "nothing else"}},
		"input":     {func(r *wire.Receipt, _ *wire.RunTask) { r.Inputs[0][3] ^= 1 }, []string{"input 0 ", "nothing else"}},
		"output":    {func(r *wire.Receipt, _ *wire.RunTask) { r.Output[7] ^= 1 }, []string{"output: ", "nothing else"}},
		"signature": {func(r *wire.Receipt, _ *wire.RunTask) { r.Signature[9] ^= 1 }, []string{rest}},
		"task":      {func(_ *wire.Receipt, t *wire.RunTask) { t.Attempt ^= 2 }, []string{rest}},
		"gas, time": {func(r *wire.Receipt, _ *wire.RunTask) { r.Gas ^= 1; r.Time ^= 1 }, []string{"gas: ", rest}},
	} {
		said, run := good, *j.Tasks[0].Run
		said.Inputs = []holo.Digest{good.Inputs[0]}
		e.change(&said, &run)
		changed, again := Task{&run, &said}, good
		again.Node, again.Time, again.Signature = holo.NodeID{}, 0, [64]byte{} // whoever runs it again knows nothing of these
		got := append(changed.Differences(&again), j.Trace(changed, &again, nodes))
		if len(got) != len(e.want) {
			t.Errorf("%s: %q, want %q", name, got, e.want)
			continue
		}
		for i, want := range e.want {
			if !strings.Contains(got[i], want) || (want == "") != (got[i] == "") {
				t.Errorf("%s: %q, want %q", name, got[i], want)
			}
		}
	}
}
