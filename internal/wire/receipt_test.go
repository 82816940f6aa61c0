package wire

import (
	"bytes"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func testReceipt() Receipt {
	return Receipt{Node: holo.NodeID{1}, Time: 2, Prices: "gas/1", Gas: 3, Inputs: []holo.Digest{{4}, {5}}, Output: holo.Digest{6}, Signature: [64]byte{7}}
}

// The signature is over all that the receipt and the task say: no two of them
// have one proof.
func TestEveryFieldOfAReceiptIsSigned(t *testing.T) {
	task := &RunTask{Job: 1, Kind: TaskReduce, Function: "f", Params: []byte{1}, Length: 8, Extent: 8, Count: 8, Inputs: []TaskArray{{Array: 1, Type: holo.U8}}}
	r := testReceipt()
	seen := map[string]string{string(r.Proof(holo.ClusterID{1}, task)): "nothing"}
	try := func(what string, c holo.ClusterID, changeTask func(*RunTask), change func(*Receipt)) {
		other, said := *task, testReceipt()
		changeTask(&other)
		change(&said)
		p := string(said.Proof(c, &other))
		if twin, twice := seen[p]; twice {
			t.Errorf("%s and %s have one proof", what, twin)
		}
		seen[p] = what
	}
	none, same := func(*RunTask) {}, func(*Receipt) {}
	one := holo.ClusterID{1}
	try("cluster", holo.ClusterID{2}, none, same)
	try("job", one, func(t *RunTask) { t.Job = 2 }, same)
	try("attempt", one, func(t *RunTask) { t.Attempt = 2 }, same)
	try("module", one, func(t *RunTask) { t.Module[3] = 1 }, same)
	try("function", one, func(t *RunTask) { t.Function = "g" }, same)
	try("params", one, func(t *RunTask) { t.Params = []byte{2} }, same)
	try("gas limit", one, func(t *RunTask) { t.Gas = 9 }, same)
	try("array", one, func(t *RunTask) { t.Inputs = []TaskArray{{Array: 2, Type: holo.U8}} }, same)
	try("node", one, none, func(r *Receipt) { r.Node[31] = 1 })
	try("time", one, none, func(r *Receipt) { r.Time++ })
	try("prices", one, none, func(r *Receipt) { r.Prices = "gas/2" })
	try("gas", one, none, func(r *Receipt) { r.Gas++ })
	try("inputs", one, none, func(r *Receipt) { r.Inputs[1][31] ^= 1 })
	try("fewer inputs", one, none, func(r *Receipt) { r.Inputs = r.Inputs[:1] })
	try("output", one, none, func(r *Receipt) { r.Output[31] ^= 1 })
	if !bytes.HasPrefix(r.Proof(one, task), []byte("holo/receipt/1\x00")) {
		t.Error("the proof has no label")
	}
}
