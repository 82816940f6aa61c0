package holocompute

import (
	"context"
	"net"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// paged answers as a node does that gives so many receipts at a time; where goes
// says where it goes on after a page.
type paged struct {
	holov1connect.UnimplementedReceiptServiceHandler
	all   []*holov1.Receipt
	page  int
	goes  func(from, next uint64) uint64
	asked []uint64
}

func (p *paged) Get(_ context.Context, r *connect.Request[holov1.GetReceiptsRequest]) (*connect.Response[holov1.Receipts], error) {
	from := r.Msg.GetFrom()
	if p.asked = append(p.asked, from); len(p.asked) > 100 {
		return nil, connect.NewError(connect.CodeNotFound, nil)
	}
	end := min(int(from)+p.page, len(p.all))
	m := &holov1.Receipts{Cluster: make([]byte, 16), Job: r.Msg.GetJob(), Receipts: p.all[from:end]}
	if end < len(p.all) {
		m.Next = p.goes(from, uint64(end))
	}
	return connect.NewResponse(m), nil
}

// signedReceipts are those of a job of n tasks.
func signedReceipts(job holo.JobID, n int) (list []*holov1.Receipt) {
	node := key.GenerateSigner()
	for i := range uint64(n) {
		run := &wire.RunTask{
			Job: job, Epoch: 1, Task: holo.TaskID(i), Attempt: 1, Module: holo.ModuleID{2}, Kernel: "k", Kind: wire.TaskMap, Function: "f",
			Gas: 100, Length: uint64(n) << 16, Extent: 1 << 16, First: i << 16, Count: 1 << 16,
			Inputs: []wire.TaskArray{{Array: 3, Type: holo.U8}}, Output: wire.TaskArray{Array: 4, Type: holo.U8},
		}
		said := &wire.Receipt{Node: node.Public(), Time: 9, Prices: "gas/1", Gas: 50, Inputs: []holo.Digest{{5}}, Output: holo.Digest{6}}
		copy(said.Signature[:], node.Sign(said.Proof(holo.ClusterID{}, run)))
		list = append(list, &holov1.Receipt{Task: wire.Encode(run), Receipt: wire.Encode(said)})
	}
	return list
}

// asks gives a job whose node is this one.
func (p *paged) asks(t *testing.T, job uint64) *Job {
	t.Helper()
	_, handler := holov1connect.NewReceiptServiceHandler(p)
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	dial := func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", s.Listener.Addr().String())
	}
	c := newClient(dial, key.GenerateSigner(), "")
	t.Cleanup(c.closeIdle)
	c.mu.session = make([]byte, 32)
	return (&Cluster{client: c, receipts: holov1connect.NewReceiptServiceClient(c.http, host)}).Job(job)
}

// The receipts of ten thousand tasks come in pages of whatever size the node gives,
// and the client goes on to the last: none is left out and none is there twice.
func TestReceiptsArePagedToTheEnd(t *testing.T) {
	const tasks = 10_000
	p := &paged{all: signedReceipts(7, tasks), page: 512, goes: func(_, next uint64) uint64 { return next }}
	r, err := p.asks(t, 7).Receipts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list := r.Tasks()
	if len(list) != tasks || len(p.asked) != (tasks+511)/512 {
		t.Fatalf("%d receipts in %d pages", len(list), len(p.asked))
	}
	for i, said := range list {
		if said.Task != uint32(i) {
			t.Fatalf("receipt %d is of task %d", i, said.Task)
		}
	}
	if err := r.Check(); err != nil {
		t.Error(err)
	}
}

// A node that goes back, or stays where it is, is not asked for ever.
func TestReceiptsThatGoRoundAreRefused(t *testing.T) {
	for name, p := range map[string]*paged{
		"stays, with nothing": {page: 0, goes: func(from, _ uint64) uint64 { return max(from, 1) }},
		"goes back":           {page: 2, goes: func(from, next uint64) uint64 { return next - min(from, 3) }},
	} {
		p.all = signedReceipts(7, 40)
		if _, err := p.asks(t, 7).Receipts(t.Context()); err == nil || len(p.asked) > 10 {
			t.Errorf("%s: %v after %d pages", name, err, len(p.asked))
		}
	}
}
