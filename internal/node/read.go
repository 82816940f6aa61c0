package node

import (
	"context"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// content is what a page is made of. Data is nil, a pattern, or all 64 KiB, and
// is never modified.
type content struct {
	kind   wire.PageKind
	data   []byte
	digest holo.Digest // of data, when hashed
	hashed bool
}

// copyTo writes the part of the page from an offset into dst.
func (c content) copyTo(dst []byte, offset int) {
	switch c.kind {
	case wire.PageData:
		copy(dst, c.data[offset:])
	case wire.PageFill:
		for i := range dst {
			dst[i] = c.data[(offset+i)%len(c.data)]
		}
	default:
		clear(dst)
	}
}

// sum is the digest of the page's 64 KiB.
func (c content) sum() holo.Digest {
	if c.kind == wire.PageZero {
		return digest.Zero
	}
	if c.kind == wire.PageData && c.hashed {
		return c.digest
	}
	if c.kind == wire.PageData {
		return digest.Of(c.data)
	}
	var whole [holo.PageSize]byte
	c.copyTo(whole[:], 0)
	return digest.Of(whole[:])
}

// readHere takes pages from this node's own replica. What is away is fetched
// afterwards, at the version that was found.
func (n *Node) readHere(ctx context.Context, req shard.ReadRequest) (*shard.Read, error) {
	read, away, err := n.lookHere(ctx, req, true)
	if err == nil {
		err = n.fetched(ctx, away)
	}
	if err != nil {
		return nil, err
	}
	return read, nil
}

// pagesOf asks for a run of pages.
func pagesOf(array holo.ArrayID, sealed bool, run wire.PageRun) shard.ReadRequest {
	req := shard.ReadRequest{Shard: run.Shard, Sealed: sealed, Pages: make([]holo.PageID, run.Count)}
	for i := range req.Pages {
		req.Pages[i] = holo.PageID{Array: array, Index: run.First + holo.PageIndex(i)}
	}
	return req
}

// lookHere takes references to pages, and begins to fetch what is away if it is
// to. Both moments, before and after the references are taken, must lie within
// one activation and its lease.
func (n *Node) lookHere(ctx context.Context, req shard.ReadRequest, fetch bool) (*shard.Read, *pageRead, error) {
	var read *shard.Read
	var away *pageRead
	var err error
	posted := n.loop.do(ctx, func(now holo.Time) {
		if read, err = n.loop.machine.BeginRead(now, req); err == nil {
			err = n.loop.machine.FinishRead(n.clock.now(), read)
		}
		if err != nil {
			return
		}
		if fetch {
			away, err = n.awaitPages(req.Shard, read.Pages)
		}
	})
	if posted != nil {
		return nil, nil, posted
	}
	return read, away, err
}

// awaitPages begins to fetch what is away, where nothing is damaged.
func (n *Node) awaitPages(s holo.ShardID, views []shard.View) (*pageRead, error) {
	for i := range views {
		if views[i].Damaged {
			return nil, n.loop.machine.Spoilt(s, views[i].Page)
		}
	}
	if n.loop.spill == nil {
		return nil, nil
	}
	return n.loop.spill.await(views)
}

// serveRead streams a run of pages, after the read lease if the asker wants one
// and it is granted. Each page is checked against its digest
// before it leaves, so that memory that rotted is noticed here.
func (n *Node) serveRead(ctx context.Context, r *request) error {
	m := r.msg.(*wire.RangeRead)
	req := pagesOf(m.Array, m.Sealed, m.Run)
	if m.Reader != 0 {
		req.Holder = wire.Member{Node: r.from, Incarnation: m.Reader}
	}
	read, err := n.readHere(ctx, req)
	if err != nil {
		return err
	}
	if l := read.Lease; l.For > 0 {
		if err := r.answer(&wire.ReadLease{Epoch: l.Epoch, Number: l.Number, For: l.For}); err != nil {
			return err
		}
	}
	for views := read.Pages; len(views) > 0; {
		same := alike(views)
		v := &views[0]
		if v.Kind != wire.PageZero && v.Hashed && !digest.Check(v.Data, v.Digest) {
			return holo.Refuse(holo.Corrupt, reasonDigest, "page %v: its bytes in memory are not what they were", v.Page)
		}
		f := &wire.PageFrame{First: v.Page.Index, Count: uint32(same), Version: v.Version, Kind: v.Kind, Data: v.Data, Digest: v.Sum()}
		if err := r.answer(f); err != nil {
			return err
		}
		views = views[same:]
	}
	return nil
}

// alike counts the pages at the front that one frame can stand for.
func alike(views []shard.View) int {
	k := 1
	for k < len(views) && views[0].Kind != wire.PageData && views[k].Kind == views[0].Kind && string(views[k].Data) == string(views[0].Data) {
		k++
	}
	return k
}

// readFrom asks a peer for a run of pages. What arrives is checked against the
// digest that came with it, and must be the very pages asked for.
func (n *Node) readFrom(ctx context.Context, peer holo.NodeID, req *wire.RangeRead) ([]content, *wire.ReadLease, error) {
	release, err := n.flows.take(ctx, peer, int64(req.Run.Count)*holo.PageSize)
	if err != nil {
		return nil, nil, err
	}
	defer release()
	pages := make([]content, 0, req.Run.Count)
	var lease *wire.ReadLease
	err = n.call(ctx, peer, transport.Data, req, func(m wire.Message) (bool, error) {
		if l, ok := m.(*wire.ReadLease); ok && lease == nil && len(pages) == 0 && req.Reader != 0 {
			lease = l
			return false, nil
		}
		f, ok := m.(*wire.PageFrame)
		if !ok {
			return true, n.unexpected(peer, m)
		}
		next := req.Run.First + holo.PageIndex(len(pages))
		if f.First != next || uint64(len(pages))+uint64(f.Count) > uint64(req.Run.Count) {
			return true, n.blame(peer, holo.Refuse(holo.Corrupt, reasonMalformed, "node %s answered with pages %d+%d instead of %d", peer, f.First, f.Count, next))
		}
		if f.Kind != wire.PageZero && !digest.Check(f.Data, f.Digest) {
			return true, n.blame(peer, holo.Refuse(holo.Corrupt, reasonDigest, "page %v from node %s does not have its digest", holo.PageID{Array: req.Array, Index: f.First}, peer))
		}
		for range f.Count {
			pages = append(pages, content{f.Kind, f.Data, f.Digest, f.Kind != wire.PageZero})
		}
		return len(pages) == int(req.Run.Count), nil
	})
	if err != nil {
		return nil, nil, err
	}
	return pages, lease, nil
}

// readRun reads a run of pages within one extent of an array, each as it is at
// some moment between call and return. moved says that they came from another
// node.
func (n *Node) readRun(ctx context.Context, a *wire.ArrayRecord, run wire.PageRun) (pages []content, moved bool, err error) {
	if a.LostIn(run.Shard) {
		return nil, false, holo.Refuse(holo.DataLost, reasonLost, "array %s: pages %d to %d are lost with every node that held them",
			a.Name, run.First, uint64(run.First)+uint64(run.Count)-1)
	}
	err = retry(ctx, opDeadline, &n.configs.changed, func(ctx context.Context) error {
		if a.State == wire.ArrayFrozen {
			pages, moved, err = n.readSealed(ctx, a, run)
		} else {
			pages, moved, err = n.readOpen(ctx, a, run)
		}
		return err
	})
	return pages, moved, err
}

// readOpen reads from the home, and from nobody else, but for what this node keeps
// under a lease of it.
func (n *Node) readOpen(ctx context.Context, a *wire.ArrayRecord, run wire.PageRun) ([]content, bool, error) {
	home, err := n.homeOf(ctx, a.ID, run.Shard)
	if err != nil {
		return nil, false, err
	}
	if home == n.self {
		pages, err := n.contentHere(ctx, a.ID, false, run)
		return pages, false, err
	}
	return n.cached(a.ID, run, func(rest wire.PageRun) ([]content, error) { return n.fetchOpen(ctx, home, a.ID, rest) })
}

func (n *Node) contentHere(ctx context.Context, array holo.ArrayID, sealed bool, run wire.PageRun) ([]content, error) {
	read, err := n.readHere(ctx, pagesOf(array, sealed, run))
	if err != nil {
		return nil, err
	}
	pages := make([]content, len(read.Pages))
	for i, v := range read.Pages {
		pages[i] = content{v.Kind, v.Data, v.Digest, v.Hashed}
	}
	return pages, nil
}

// refuseCorrupt counts and reports an answer that is not what it claims to be.
func (n *Node) refuseCorrupt(peer holo.NodeID, err error) {
	if holo.KindOf(err) == holo.Corrupt {
		n.refusals.addErr(err)
		n.log.Warn("corrupt answer refused", "peer", peer.String(), "error", err)
	}
}
