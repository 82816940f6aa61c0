package node

import (
	"context"
	"fmt"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/jobs"
	"github.com/holocompute/holocompute/internal/wire"
)

// The catalogue deletes the results of jobs; here their pages go, and it is
// recorded.

// written are the arrays that a job wrote which did not come to be done, as far
// as they are known: the leader sees to the others.
func (n *Node) written(ctx context.Context, j *jobs.Job) (list []*wire.ArrayRecord) {
	if j.State == jobs.Done {
		return nil
	}
	for _, s := range append([]jobs.Spec{j.Spec}, j.Spec.Then...) {
		if a, err := n.memory.Array(ctx, s.Output); s.Output != 0 && err == nil {
			list = append(list, a)
		}
	}
	return list
}

// tidyResults drops the pages of those arrays that were deleted with the end of
// a job: that the catalogue does not know them any more shows it.
func (n *Node) tidyResults(ctx context.Context, rec *wire.JobRecord, written []*wire.ArrayRecord) {
	if rec.Keep == 0 {
		return
	}
	for _, a := range written {
		_, err := queryOne[*wire.ArrayRecord](ctx, n, wire.CatalogQuery{What: wire.QueryArrayByID, Number: uint64(a.ID)})
		if holo.KindOf(err) == holo.NotFound && err != nil {
			n.dropResult(ctx, a, fmt.Sprintf("array #%d %s, the result of job %d, which was %s", uint64(a.ID), a.Name, uint64(rec.ID), rec.End.Phase))
		}
	}
}

// dropResult records why an array was deleted, and has its pages dropped. Where a
// shard cannot drop them now, the leader sees to it later.
func (n *Node) dropResult(ctx context.Context, a *wire.ArrayRecord, why string) {
	if err := n.audit.Report(n.ownEvent("array.expired", why)); err != nil {
		n.log.Error("expiry not recorded", "array", uint64(a.ID), "error", err)
	}
	n.memory.Forget(a.ID)
	if err := n.purge(ctx, a); err != nil {
		n.log.Warn("deleted result is not dropped everywhere yet", "array", uint64(a.ID), "error", err)
	}
}

// expire is the leader's: it deletes the results whose time is over.
func (n *Node) expire(ctx context.Context) {
	var over []holo.ArrayID
	n.catalog.read(func(c *catalog.Catalog) { over = c.Expired(unixNow()) })
	for _, id := range over {
		r, err := proposeFor[*wire.ArrayRecord](ctx, n, &wire.ArrayExpire{Array: id})
		if err != nil {
			n.log.Info("result not expired", "array", uint64(id), "error", err)
			continue
		}
		n.dropResult(ctx, r, fmt.Sprintf("array #%d %s, the result of job %d, whose time is over", uint64(id), r.Name, uint64(r.Result)))
	}
}
