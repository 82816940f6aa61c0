package node

import (
	"context"
	"testing"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/jobs"
	"github.com/holocompute/holocompute/internal/placement"
)

// A commit says whether the task had committed before, at the output's home and
// from afar.
func TestCommitOfATaskSaysWhetherItIsTheFirst(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	a := c.create(c.nodes[0], "out", 1<<20)
	page := noise(4, holo.PageSize)
	commit := func(n *Node, task holo.TaskID) bool {
		t.Helper()
		again, err := taskSide{n}.CommitTask(context.Background(), &jobs.TaskCommit{
			Job: 1, Epoch: 1, Task: task, Array: holo.ArrayID(a.Id), Shard: placement.ShardOf(holo.Class(a.Copies), a.Affinity, 0),
			Pages: [][]byte{page}, Sums: []holo.Digest{digest.Of(page)},
		})
		must(t, err)
		return again
	}
	for first, n := range c.nodes {
		task := holo.TaskID(first)
		if commit(n, task) {
			t.Errorf("the first commit of task %d is told to be none", task)
		}
		for _, other := range c.nodes {
			if !commit(other, task) {
				t.Errorf("the next commit of task %d, of node %s, is told to be the first", task, other.self)
			}
		}
	}
}
