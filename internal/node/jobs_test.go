package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/question"
	"github.com/holocompute/holocompute/kernels"
)

// statsBytes is the accumulator of red_stats: the count is its first word, the
// sum of integers its third.
const statsBytes = 120

// integers makes a sealed array of n integers and gives their sum.
func (c *cluster) integers(name string, n int) (id uint64, sum int64) {
	c.t.Helper()
	a := c.create(c.nodes[0], name, uint64(8*n))
	data := make([]byte, 8*n)
	for i := range n {
		v := int64(i)*7 - 1000
		binary.LittleEndian.PutUint64(data[8*i:], uint64(v))
		sum += v
	}
	must(c.t, c.nodes[0].WriteRange(context.Background(), holo.ArrayID(a.Id), 0, data))
	_, err := c.seals(context.Background(), c.nodes[0], holo.ArrayID(a.Id))
	must(c.t, err)
	return a.Id, sum
}

func finished(t *testing.T, n *Node, id uint64) *holov1.Job {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	must(t, n.WatchJob(ctx, door.Caller{}, holo.JobID(id), func(*holov1.JobProgress) error { return nil }))
	j, err := n.GetJob(ctx, door.Caller{}, holo.JobID(id))
	must(t, err)
	if j.State != "done" {
		t.Fatalf("job is %s: %s", j.State, j.Error)
	}
	return j
}

func wantStats(t *testing.T, j *holov1.Job, count int, sum int64) {
	t.Helper()
	if got := binary.LittleEndian.Uint64(j.Result); got != uint64(count) {
		t.Errorf("job counted %d elements, want %d", got, count)
	}
	if got := int64(binary.LittleEndian.Uint64(j.Result[16:])); got != sum {
		t.Errorf("job's sum is %d, want %d", got, sum)
	}
}

func TestReduceRunsWhereThePagesLieAndSurvivesADeath(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	const count = 1 << 20 // 8 extents of 16 pages
	id, sum := c.integers("numbers", count)
	_, err := c.pushes(ctx, c.nodes[1], "basic", kernels.Get("basic"))
	must(t, err)
	submit := &holov1.SubmitRequest{Kernel: "basic", Function: "stats", Kind: "reduce", Inputs: []uint64{id}, AccBytes: statsBytes}
	j, err := c.submits(ctx, c.nodes[0], submit)
	must(t, err)
	j = finished(t, c.nodes[0], j.Id)
	wantStats(t, j, count, sum)
	if j.Progress.BytesMoved > j.Progress.BytesProcessed/10 {
		t.Errorf("%d of %d bytes moved: tasks did not run where the pages lie", j.Progress.BytesMoved, j.Progress.BytesProcessed)
	}
	if len(j.Progress.Nodes) != 3 {
		t.Errorf("%d nodes did work, want 3", len(j.Progress.Nodes))
	}

	c.kill(2)
	j, err = c.submits(ctx, c.nodes[0], submit)
	must(t, err)
	wantStats(t, finished(t, c.nodes[0], j.Id), count, sum)

	// Another node tells of it from the catalogue.
	recorded, err := c.nodes[1].GetJob(ctx, door.Caller{}, holo.JobID(j.Id))
	must(t, err)
	await(t, "the job's end is recorded", func() bool {
		recorded, err = c.nodes[1].GetJob(ctx, door.Caller{}, holo.JobID(j.Id))
		return err == nil && recorded.State == "done"
	})
	wantStats(t, recorded, count, sum)
}

func TestMapWritesEachElementOnce(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	ctx := context.Background()
	const count = 1 << 18
	in, err := c.makes(ctx, c.nodes[0], &holov1.CreateArrayRequest{Name: "in", Type: "i64", Length: count, ExtentElements: 32768, Affinity: "g"})
	must(t, err)
	out, err := c.makes(ctx, c.nodes[1], &holov1.CreateArrayRequest{Name: "out", Type: "i64", Length: count, ExtentElements: 32768, Affinity: "g"})
	must(t, err)
	data, want := make([]byte, 0, 8*count), make([]byte, 0, 8*count)
	for i := range uint64(count) {
		data, want = binary.LittleEndian.AppendUint64(data, i*i), binary.LittleEndian.AppendUint64(want, 3*i*i)
	}
	must(t, c.nodes[0].WriteRange(ctx, holo.ArrayID(in.Id), 0, data))
	_, err = c.pushes(ctx, c.nodes[0], "basic", kernels.Get("basic"))
	must(t, err)
	j, err := c.submits(ctx, c.nodes[1], &holov1.SubmitRequest{
		Kernel: "basic", Function: "scale", Kind: "map", Inputs: []uint64{in.Id}, Output: out.Id, Params: binary.LittleEndian.AppendUint64(nil, 3),
	})
	must(t, err)
	finished(t, c.nodes[1], j.Id)
	for _, n := range c.nodes {
		wantBytes(t, n, out.Id, 0, want)
	}
	c.wantRoot(out.Id, want)
}

// wantRoot seals an array, and wants the root to be that of the pages that hold so
// many bytes.
func (c *cluster) wantRoot(array uint64, want []byte) {
	c.t.Helper()
	sealed, err := c.seals(context.Background(), c.nodes[0], holo.ArrayID(array))
	must(c.t, err)
	var pages []holo.Digest
	for page := range slices.Chunk(want, holo.PageSize) {
		pages = append(pages, digest.Of(page))
	}
	if root := digest.Root(pages).Hex(); sealed.Root != root {
		c.t.Errorf("sealed with root %s, want %s", sealed.Root, root)
	}
}

// 64 Mi elements lie on three nodes, and each looks at its own: 16 Mi in short runs.
func TestKernelOverManyElementsMovesHardlyAPage(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	count := 64 << 20
	if testing.Short() {
		count /= 4
	}
	n, data := c.nodes[0], noise(64, count)
	a, err := c.makes(t.Context(), n, &holov1.CreateArrayRequest{Name: "many", Type: "u8", Length: uint64(len(data)), Copies: 1})
	must(t, err)
	must(t, n.WriteRange(t.Context(), holo.ArrayID(a.Id), 0, data))
	q := question.WholeStats(holo.U8)
	j, err := c.submits(t.Context(), n, &holov1.SubmitRequest{Kernel: q.Kernel, Function: q.Function, Kind: "reduce", Inputs: []uint64{a.Id}, AccBytes: q.AccBytes, Params: q.Params})
	must(t, err)
	j = finished(t, n, j.Id)
	got, err := q.ReadStats(holo.U8, j.Result)
	must(t, err)
	var sum uint64
	for _, b := range data {
		sum += uint64(b)
	}
	if got.Count != uint64(len(data)) || got.Sum.String() != fmt.Sprint(sum) {
		t.Errorf("%d elements and the sum %s, want %d and %d", got.Count, got.Sum, len(data), sum)
	}
	if p := j.Progress; p.BytesProcessed != uint64(len(data)) || p.BytesMoved*20 > p.BytesProcessed || len(p.Nodes) != 3 {
		t.Errorf("%d of %d bytes moved, %d nodes did work", p.BytesMoved, p.BytesProcessed, len(p.Nodes))
	}
}

func TestModuleIsFetchedAgainWhenItsFileIsDamaged(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	ctx := context.Background()
	wasm := kernels.Get("basic")
	k, err := c.pushes(ctx, c.nodes[0], "basic", wasm)
	must(t, err)
	id, err := holo.ParseModuleID(k.Module)
	must(t, err)
	n := c.nodes[1]
	await(t, "the other node is given the module", func() bool {
		_, err := n.modules.read(id)
		if err != nil {
			c.nodes[0].offer(ctx, id) // who does not answer within 4 s is not waited for
		}
		return err == nil
	})
	must(t, writeJSON(n.modules.path(id), "not a module"))
	b, err := n.moduleBytes(ctx, id)
	must(t, err)
	if string(b) != string(wasm) || n.refusals.all()[reasonModuleHash] != 1 {
		t.Errorf("module of %d bytes, refusals %v", len(b), n.refusals.all())
	}
	onRecord(t, n, "module.hash_mismatch", reasonModuleHash)
	if _, err := n.moduleBytes(ctx, holo.ModuleID{1}); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a module that nobody has gives %v", err)
	}
}
