package memory

import (
	"context"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// Content is what a page is made of. Data is nil, a pattern, or all 64 KiB, and
// is never modified.
type Content struct {
	Kind   wire.PageKind
	Data   []byte
	Digest holo.Digest // of data, when hashed
	Hashed bool
}

// copyTo writes the part of the page from an offset into dst.
func (c Content) copyTo(dst []byte, offset int) {
	switch c.Kind {
	case wire.PageData:
		copy(dst, c.Data[offset:])
	case wire.PageFill:
		for i := range dst {
			dst[i] = c.Data[(offset+i)%len(c.Data)]
		}
	default:
		clear(dst)
	}
}

// sum is the digest of the page's 64 KiB.
func (c Content) sum() holo.Digest {
	if c.Kind == wire.PageZero {
		return digest.Zero
	}
	if c.Kind == wire.PageData && c.Hashed {
		return c.Digest
	}
	if c.Kind == wire.PageData {
		return digest.Of(c.Data)
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
	posted := n.turns.Do(ctx, func(now holo.Time) {
		if read, err = n.machine.BeginRead(now, req); err == nil {
			err = n.machine.FinishRead(n.now(), read)
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
			return nil, n.machine.Spoilt(s, views[i].Page)
		}
	}
	if n.spill == nil {
		return nil, nil
	}
	return n.spill.await(views)
}

// ServeRead streams a run of pages, after the read lease if the asker wants one
// and it is granted. Each page is checked against its digest
// before it leaves, so that memory that rotted is noticed here.
func (n *Node) ServeRead(ctx context.Context, r *Request) error {
	m := r.Msg.(*wire.RangeRead)
	req := pagesOf(m.Array, m.Sealed, m.Run)
	if m.Reader != 0 {
		req.Holder = wire.Member{Node: r.From, Incarnation: m.Reader}
	}
	read, err := n.readHere(ctx, req)
	if err != nil {
		return err
	}
	if l := read.Lease; l.For > 0 {
		if err := r.Answer(&wire.ReadLease{Epoch: l.Epoch, Number: l.Number, For: l.For}); err != nil {
			return err
		}
	}
	for views := read.Pages; len(views) > 0; {
		same := alike(views)
		v := &views[0]
		if v.Kind != wire.PageZero && v.Hashed && !digest.Check(v.Data, v.Digest) {
			return holo.Refuse(holo.Corrupt, ReasonDigest, "page %v: its bytes in memory are not what they were", v.Page)
		}
		f := &wire.PageFrame{First: v.Page.Index, Count: uint32(same), Version: v.Version, Kind: v.Kind, Data: v.Data, Digest: v.Sum()}
		if err := r.Answer(f); err != nil {
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
func (n *Node) readFrom(ctx context.Context, peer holo.NodeID, req *wire.RangeRead) ([]Content, *wire.ReadLease, error) {
	release, err := n.flows.take(ctx, peer, int64(req.Run.Count)*holo.PageSize)
	if err != nil {
		return nil, nil, err
	}
	defer release()
	pages := make([]Content, 0, req.Run.Count)
	var lease *wire.ReadLease
	err = n.links.Call(ctx, peer, transport.Data, req, func(m wire.Message) (bool, error) {
		if l, ok := m.(*wire.ReadLease); ok && lease == nil && len(pages) == 0 && req.Reader != 0 {
			lease = l
			return false, nil
		}
		f, ok := m.(*wire.PageFrame)
		if !ok {
			return true, n.links.Unexpected(peer, m)
		}
		next := req.Run.First + holo.PageIndex(len(pages))
		if f.First != next || uint64(len(pages))+uint64(f.Count) > uint64(req.Run.Count) {
			return true, n.links.Blame(peer, holo.Refuse(holo.Corrupt, ReasonMalformed, "node %s answered with pages %d+%d instead of %d", peer, f.First, f.Count, next))
		}
		if f.Kind != wire.PageZero && !digest.Check(f.Data, f.Digest) {
			return true, n.links.Blame(peer, holo.Refuse(holo.Corrupt, ReasonDigest, "page %v from node %s does not have its digest", holo.PageID{Array: req.Array, Index: f.First}, peer))
		}
		for range f.Count {
			pages = append(pages, Content{f.Kind, f.Data, f.Digest, f.Kind != wire.PageZero})
		}
		return len(pages) == int(req.Run.Count), nil
	})
	if err != nil {
		return nil, nil, err
	}
	return pages, lease, nil
}

// ReadRun reads a run of pages within one extent of an array, each as it is at
// some moment between call and return. moved says that they came from another
// node.
func (n *Node) ReadRun(ctx context.Context, a *wire.ArrayRecord, run wire.PageRun) (pages []Content, moved bool, err error) {
	if a.LostIn(run.Shard) {
		return nil, false, holo.Refuse(holo.DataLost, ReasonLost, "array %s: pages %d to %d are lost with every node that held them",
			a.Name, run.First, uint64(run.First)+uint64(run.Count)-1)
	}
	err = wait.Retry(ctx, opDeadline, &n.Configs.Changed, func(ctx context.Context) error {
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
func (n *Node) readOpen(ctx context.Context, a *wire.ArrayRecord, run wire.PageRun) ([]Content, bool, error) {
	home, err := n.HomeOf(ctx, a.ID, run.Shard)
	if err != nil {
		return nil, false, err
	}
	if home == n.self {
		pages, err := n.contentHere(ctx, a.ID, false, run)
		return pages, false, err
	}
	return n.cached(a.ID, run, func(rest wire.PageRun) ([]Content, error) { return n.fetchOpen(ctx, home, a.ID, rest) })
}

func (n *Node) contentHere(ctx context.Context, array holo.ArrayID, sealed bool, run wire.PageRun) ([]Content, error) {
	read, err := n.readHere(ctx, pagesOf(array, sealed, run))
	if err != nil {
		return nil, err
	}
	pages := make([]Content, len(read.Pages))
	for i, v := range read.Pages {
		pages[i] = Content{v.Kind, v.Data, v.Digest, v.Hashed}
	}
	return pages, nil
}
