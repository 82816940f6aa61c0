package memory

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	// reviewEvery is how often it is asked whether the sealed arrays whose pages
	// are kept are still there: they are right for ever, and who holds none of an
	// array's shards is not told that it was deleted.
	reviewEvery = 4 * time.Second
	// reviewWithin bounds the questions of one round. What is not answered is
	// asked in the next.
	reviewWithin = 3 * time.Second
)

// Review lets go of kept pages of sealed arrays that were deleted, until ctx is
// done.
func (n *Node) Review(ctx context.Context) {
	ticker := time.NewTicker(reviewEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			n.reviewOnce(ctx)
		}
	}
}

func (n *Node) reviewOnce(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reviewWithin)
	defer cancel()
	for _, id := range n.cache.sealed() {
		rec, err := n.links.Record(ctx, wire.CatalogQuery{What: wire.QueryArrayByID, Number: uint64(id)})
		if holo.KindOf(err) == holo.NotFound || err == nil && rec.State == wire.ArrayDeleted {
			n.cache.forget(id)
		}
	}
}
