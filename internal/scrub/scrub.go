// Package scrub reads what a node keeps again and again, so that damage is found
// while another copy can still replace it, and keeps the book of what was found.
//
// Its one idea: a fixed rate. A round goes over all pages once, and takes as long
// as they are many; what is damaged is found within one round. It knows nothing
// of replicas or disks: a Source lists pages and checks one, and what becomes of a
// damaged page is up to core/shard.
package scrub

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

const (
	// DefaultRate goes over 1 GiB in about four minutes.
	DefaultRate = 4 << 20
	// LeastRate is a page each second.
	LeastRate = holo.PageSize
	// stride is what is read between two pauses, so that a pause is longer than a
	// timer is exact.
	stride = 8 * holo.PageSize
)

// Page is one version of a page that a node keeps.
type Page struct {
	Shard   holo.ShardID
	ID      holo.PageID
	Version holo.Version
}

// Source is what is read.
type Source interface {
	// Shards lists those that have pages here.
	Shards(context.Context) ([]holo.ShardID, error)
	// Pages lists the pages of one of them.
	Pages(context.Context, holo.ShardID) ([]Page, error)
	// Check reads a page wherever it lies, and says how many bytes that took.
	Check(context.Context, Page) (bytes int, err error)
}

// Run goes over the source at a rate in bytes per second, at least LeastRate,
// until ctx is done.
func Run(ctx context.Context, s Source, rate uint64, b *Book) {
	p := &pace{rate: rate}
	for began := time.Now(); round(ctx, s, p, b); began = time.Now() {
		if p.pause(ctx, stride) != nil { // and an empty node is looked at now and then
			return
		}
		b.round(time.Since(began))
	}
}

// round reports whether it came to its end.
func round(ctx context.Context, s Source, p *pace, b *Book) bool {
	shards, err := s.Shards(ctx)
	for _, id := range shards {
		pages, listed := s.Pages(ctx, id)
		if listed != nil {
			return false
		}
		for _, page := range pages {
			n, err := s.Check(ctx, page)
			if err != nil || p.read(ctx, n) != nil {
				return false
			}
			b.read(n)
		}
	}
	return err == nil
}

// pace keeps to a rate.
type pace struct {
	rate uint64
	owed int // bytes read and not waited for
}

func (p *pace) read(ctx context.Context, n int) error {
	if p.owed += n; p.owed < stride {
		return ctx.Err()
	}
	n, p.owed = p.owed, 0
	return p.pause(ctx, n)
}

func (p *pace) pause(ctx context.Context, n int) error {
	t := time.NewTimer(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
