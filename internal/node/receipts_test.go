package node

import (
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/jobs"
	"github.com/holocompute/holocompute/internal/wire"
)

// The tasks of a graph carry their parameters: so many of them go into an answer
// as fit, at least one, and the next one begins after them.
func TestAnAnswerOfReceiptsIsBounded(t *testing.T) {
	var list []jobs.Receipt
	for i := range 40 {
		run := &wire.RunTask{Task: holo.TaskID(i), Kind: wire.TaskReduce, Params: make([]byte, wire.MaxParams), Inputs: []wire.TaskArray{{Array: 1, Type: holo.U8}}}
		list = append(list, jobs.Receipt{Task: run, Said: &wire.Receipt{Inputs: []holo.Digest{{1}}}})
	}
	for from := 0; from < len(list); {
		out := &holov1.Receipts{}
		addReceipts(out, list[from:], uint64(from), false)
		size := 0
		for _, r := range out.GetReceipts() {
			size += len(r.GetTask()) + len(r.GetReceipt())
		}
		n := len(out.GetReceipts())
		if n == 0 || size > maxReceiptsPage || from+n < len(list) && out.GetNext() != uint64(from+n) {
			t.Fatalf("from %d: %d receipts of %d bytes, and the next at %d", from, n, size, out.GetNext())
		}
		from += n
	}
}
