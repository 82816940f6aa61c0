package node

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/kernels"
)

// The node that founded the cluster, and is its Raft leader and the home of pages,
// dies for good: the others take jobs, let another node in, read and write, and
// keep the record of it.
func TestClusterGoesOnWithoutItsFirstNode(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	const count = 1 << 18
	id, sum := c.integers("numbers", count)
	must1(c.pushes(t.Context(), c.nodes[0], "basic", kernels.Get("basic")))(t)
	c.kill(0)

	second := c.nodes[1]
	await(t, "its death is noticed", func() (dead bool) {
		second.catalog.read(func(cat *catalog.Catalog) {
			dead = slices.ContainsFunc(cat.Nodes(), func(r wire.NodeRecord) bool { return !r.Alive })
		})
		return dead && second.holdsLease()
	})
	c.addDir()
	must1(Join(t.Context(), JoinConfig{Dir: c.dirs[3], ConfigDir: c.configDir(3), Invite: c.invite(time.Hour).Text(), NodeName: "n3", MemoryBytes: 64 << 20}))(t)
	c.start(3)
	c.settle()
	stats := &holov1.SubmitRequest{Kernel: "basic", Function: "stats", Kind: "reduce", Inputs: []uint64{id}, AccBytes: statsBytes}
	for _, n := range c.live() {
		j := must1(c.submits(t.Context(), n, stats))(t)
		wantStats(t, finished(t, n, j.Id), count, sum)
	}
	a := c.create(second, "after", 1<<20)
	data := noise(12, 1<<20)
	must(t, second.WriteRange(t.Context(), holo.ArrayID(a.Id), 0, data))
	for _, n := range c.live() {
		wantBytes(t, n, a.Id, 0, data)
	}
	await(t, "the admission is on the record", func() bool {
		return slices.ContainsFunc(recordsOf(t, second, "member.admitted"), func(r *wire.AuditRecord) bool { return strings.Contains(r.Resource, c.nodes[3].self.Hex()) })
	})
	c.verifyAudit(1)
}
