package jobs_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
)

func bytesOf(v any) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		panic(err)
	}
	return b
}

// killMidJob kills, once, another node that has a task committed and one
// running.
func (c *cluster) killMidJob() (each func(*holov1.JobProgress), victim *string) {
	victim = new(string)
	return func(p *holov1.JobProgress) {
		for _, n := range p.Nodes {
			if *victim == "" && n.Node != c.Self().Hex() && n.Committed > 0 && n.Running > 0 {
				*victim = n.Node
				c.kill(n.Node)
			}
		}
	}, victim
}

// The same float sum, to the bit, on clusters of one, two and three nodes, and
// from three of which one is killed while it works.
func TestSumsOnRealNodesAreBitEqual(t *testing.T) {
	const extent, n = holo.PageSize / 4, 90*holo.PageSize/4 + 333
	rng := rand.New(rand.NewPCG(9, 9))
	v := make([]float32, n)
	for i := range v {
		v[i] = float32((rng.Float64() - 0.5) * math.Exp2(float64(rng.IntN(30))))
	}
	var first []byte
	for size := 1; size <= 3; size++ {
		c := newCluster(t, size)
		c.push("basic")
		id := c.array("v", "f32", 4, extent, bytesOf(v))
		m := &holov1.SubmitRequest{Kernel: "basic", Function: "stats", Kind: "reduce", Inputs: []uint64{id}, AccBytes: 120}
		j := c.run(m, nil)
		p := j.Progress
		if first == nil {
			first = j.Result
		}
		if !bytes.Equal(j.Result, first) || binary.LittleEndian.Uint64(j.Result) != n {
			t.Errorf("%d nodes: %x, want %x", size, j.Result, first)
		}
		if p.BytesProcessed != 4*n || p.Committed != p.Tasks || len(p.Nodes) != size {
			t.Errorf("%d nodes: %v", size, p)
		}
		if sent := uint64(p.Committed-c.committed(p)) * 120; p.BytesMoved != sent {
			t.Errorf("%d nodes: %d bytes moved, want %d: the partial results of other nodes", size, p.BytesMoved, sent)
		}
		if size < 3 {
			continue
		}
		each, victim := c.killMidJob()
		again := c.run(m, each)
		if *victim == "" || again.Progress.Retried == 0 || !bytes.Equal(again.Result, first) {
			t.Errorf("killed %q: result %x, want %x, progress %v", *victim, again.Result, first, again.Progress)
		}
	}
}

// committed is how many tasks this process's own node committed.
func (c *cluster) committed(p *holov1.JobProgress) uint32 {
	for _, n := range p.Nodes {
		if n.Node == c.Self().Hex() {
			return n.Committed
		}
	}
	return 0
}

// Each task adds one to its own page, in place, and a node is killed while it
// works. Every page counts exactly one.
func TestMapOnRealNodesCountsOnceThroughAKill(t *testing.T) {
	const extent, n = holo.PageSize / 8, 200 * holo.PageSize / 8
	counter, ones := make([]int64, n), make([]int64, n)
	for i := range counter {
		counter[i], ones[i] = int64(i), 1
	}
	c := newCluster(t, 3)
	c.push("basic")
	to, one := c.array("counter", "i64", 8, extent, bytesOf(counter)), c.array("ones", "i64", 8, extent, bytesOf(ones))
	each, victim := c.killMidJob()
	j := c.run(&holov1.SubmitRequest{Kernel: "basic", Function: "add", Kind: "map", Inputs: []uint64{to, one}, Output: to}, each)
	if *victim == "" || j.Progress.Retried == 0 || j.Progress.Committed != 200 {
		t.Errorf("killed %q, progress %v", *victim, j.Progress)
	}
	for i := range counter {
		counter[i]++
	}
	if !bytes.Equal(c.content(to, 8*n), bytesOf(counter)) {
		t.Error("a page was not counted up exactly once")
	}
	c.wantRetriesRecorded(j)
}

// wantRetriesRecorded wants the coordinator's audit log to say that tasks of the job
// were tried again, since a node was lost or did not answer.
func (c *cluster) wantRetriesRecorded(j *holov1.Job) {
	c.Helper()
	for c.ctx.Err() == nil {
		page, err := c.ReadAudit(c.ctx, door.Caller{}, &holov1.ReadAuditRequest{Event: "task.retried", Limit: 100, WaitMs: 1000})
		if err != nil {
			c.Fatal(err)
		}
		for _, r := range page.Records {
			if r.Count > 0 && strings.HasPrefix(r.Resource, fmt.Sprintf("job %d: ", j.Id)) {
				return
			}
		}
	}
	c.Error("no record says that tasks were tried again")
}
