package memory

import (
	"context"
	"slices"
	"sync"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// maxDigests bounds the digests that are kept: 32 MiB, those of 64 GiB of
// pages. The cache starts anew when it is full.
const maxDigests = 1 << 20

// seals keeps the digests of sealed arrays' pages, each list proven by the
// root in the catalogue.
type seals struct {
	mu struct {
		sync.Mutex
		of    map[holo.ArrayID][]holo.Digest
		count int
	}
}

func newSeals() *seals {
	s := &seals{}
	s.mu.of = map[holo.ArrayID][]holo.Digest{}
	return s
}

func (s *seals) get(id holo.ArrayID) ([]holo.Digest, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.mu.of[id]
	return d, ok
}

func (s *seals) put(id holo.ArrayID, list []holo.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.count+len(list) > maxDigests {
		clear(s.mu.of)
		s.mu.count = 0
	}
	if _, known := s.mu.of[id]; !known {
		s.mu.of[id] = list
		s.mu.count += len(list)
	}
}

// Proven keeps the digests of a sealed array's pages, of which the caller knows
// that they have its root.
func (n *Node) Proven(id holo.ArrayID, list []holo.Digest) { n.seals.put(id, list) }

// readSealed reads pages of a sealed array from any member of their shard, this
// node first and then the home. What another node answers must have the
// digests that the array was sealed with; where it has not, it is counted and
// the next member is asked.
func (n *Node) readSealed(ctx context.Context, a *wire.ArrayRecord, run wire.PageRun) ([]Content, bool, error) {
	if _, err := n.HomeOf(ctx, a.ID, run.Shard); err != nil {
		return nil, false, err
	}
	c, _ := n.Configs.Get(run.Shard)
	if c.Has(n.self) {
		if pages, err := n.contentHere(ctx, a.ID, true, run); err == nil {
			return pages, false, nil
		}
	}
	return n.cached(a.ID, run, func(rest wire.PageRun) ([]Content, error) { return n.fetchSealed(ctx, a, &c, rest) })
}

// fetchSealed asks the other members, one after the other, and keeps what has its
// digests and is likely to be read again.
func (n *Node) fetchSealed(ctx context.Context, a *wire.ArrayRecord, c *wire.ShardConfig, run wire.PageRun) ([]Content, error) {
	want, err := n.digests(ctx, a)
	if err != nil {
		return nil, err
	}
	last := holo.Refuse(holo.Unavailable, ReasonNoHome, "shard %d: no member answers", run.Shard)
	for _, peer := range others(c, n.self) {
		pages, err := n.readSealedFrom(ctx, peer, a, run)
		if err == nil {
			err = checkSealed(a, run, pages, want, peer)
		}
		if err == nil {
			if n.cache.asks(a.ID, run) {
				n.cache.putSealed(n.now(), a.ID, run, pages)
			}
			return pages, nil
		}
		n.links.Corrupt(peer, err)
		last = holo.Refuse(holo.Unavailable, holo.ReasonOf(err), "read sealed array %s: %w", a.Name, err)
	}
	return nil, last
}

func (n *Node) readSealedFrom(ctx context.Context, peer holo.NodeID, a *wire.ArrayRecord, run wire.PageRun) ([]Content, error) {
	ctx, stop := n.whileMember(ctx, run.Shard, peer)
	defer stop()
	pages, _, err := n.readFrom(ctx, peer, &wire.RangeRead{Array: a.ID, Sealed: true, Run: run})
	return pages, err
}

// checkSealed compares pages with the digests that they were sealed with.
func checkSealed(a *wire.ArrayRecord, run wire.PageRun, pages []Content, want []holo.Digest, peer holo.NodeID) error {
	for i, p := range pages {
		page := uint64(run.First) + uint64(i)
		if page >= uint64(len(want)) || p.sum() != want[page] {
			return holo.Refuse(holo.Corrupt, ReasonDigest, "page %v from node %s is not what was sealed", holo.PageID{Array: a.ID, Index: holo.PageIndex(page)}, peer)
		}
	}
	return nil
}

// others are the members of a shard but one, the primary first.
func others(c *wire.ShardConfig, self holo.NodeID) []holo.NodeID {
	var ids []holo.NodeID
	for _, m := range c.Members {
		switch {
		case m.Node == self:
		case m.Node == c.Primary:
			ids = slices.Insert(ids, 0, m.Node)
		default:
			ids = append(ids, m.Node)
		}
	}
	return ids
}

// digests gives the digests of a sealed array's pages, proven by its root. If
// the members' lists do not add up to the root, one of them lies or is broken:
// each is left out in turn.
func (n *Node) digests(ctx context.Context, a *wire.ArrayRecord) ([]holo.Digest, error) {
	if list, ok := n.seals.get(a.ID); ok {
		return list, nil
	}
	var last error
	for _, without := range append([]holo.NodeID{{}}, n.links.Members()...) {
		list, err := n.CollectDigests(ctx, a, without)
		switch {
		case err != nil && !without.IsZero() && !wait.Again(err):
			continue
		case err != nil:
			last = err // a member that is not ready yet may settle it later
		case digest.Root(list) == a.Root:
			n.seals.put(a.ID, list)
			return list, nil
		default:
			wrong := holo.Refuse(holo.Corrupt, ReasonDigest, "sealed array %s: the digests that its members give are not what was sealed", a.Name)
			n.refused(ReasonDigest)
			if !wait.Again(last) {
				last = wrong
			}
		}
	}
	return nil, last
}

// CollectDigests asks, extent by extent, a member for the digests of its pages,
// but never the node that is left out.
func (n *Node) CollectDigests(ctx context.Context, a *wire.ArrayRecord, without holo.NodeID) ([]holo.Digest, error) {
	list := make([]holo.Digest, a.Shape.Pages())
	err := wait.Parallel(ctx, int(a.Shape.Extents()), extentsAtOnce, func(ctx context.Context, i int) error {
		run := RunOf(a, uint64(i))
		part, err := n.digestsOf(ctx, a, run, without)
		if err == nil {
			copy(list[run.First:], part)
		}
		return err
	})
	return list, err
}

func (n *Node) digestsOf(ctx context.Context, a *wire.ArrayRecord, run wire.PageRun, without holo.NodeID) ([]holo.Digest, error) {
	if _, err := n.HomeOf(ctx, a.ID, run.Shard); err != nil {
		return nil, err
	}
	c, _ := n.Configs.Get(run.Shard)
	if c.Has(n.self) && without != n.self {
		if list, err := n.digestsHere(ctx, a.ID, run); err == nil {
			return list, nil
		}
	}
	last := holo.Refuse(holo.Unavailable, ReasonNoHome, "shard %d: no member gives digests", run.Shard)
	for _, peer := range others(&c, n.self) {
		if peer == without {
			continue
		}
		m, err := n.askMember(ctx, peer, run.Shard, &wire.DigestRead{Array: a.ID, Run: run})
		if err != nil {
			last = err
			continue
		}
		if l, ok := m.(*wire.DigestList); ok && len(l.Digests) == int(run.Count) {
			return l.Digests, nil
		}
		last = n.links.Unexpected(peer, m)
	}
	return nil, last
}

func (n *Node) askMember(ctx context.Context, peer holo.NodeID, s holo.ShardID, req wire.Message) (wire.Message, error) {
	ctx, stop := n.whileMember(ctx, s, peer)
	defer stop()
	return n.links.Ask(ctx, peer, transport.Data, req)
}

// digestsHere computes the digests of pages in this node's own sealed copy. Those
// of pages that are away are known.
func (n *Node) digestsHere(ctx context.Context, array holo.ArrayID, run wire.PageRun) ([]holo.Digest, error) {
	read, _, err := n.lookHere(ctx, pagesOf(array, true, run), false)
	if err != nil {
		return nil, err
	}
	list := make([]holo.Digest, len(read.Pages))
	for i := range read.Pages {
		list[i] = read.Pages[i].Content()
	}
	return list, nil
}

// ServeDigests answers a DigestRead.
func (n *Node) ServeDigests(ctx context.Context, r *Request) error {
	m := r.Msg.(*wire.DigestRead)
	list, err := n.digestsHere(ctx, m.Array, m.Run)
	if err != nil {
		return err
	}
	return r.Answer(&wire.DigestList{Digests: list})
}

// RunOf is the run of pages of one extent.
func RunOf(a *wire.ArrayRecord, extent uint64) wire.PageRun {
	per := a.Shape.ExtentPages()
	first := extent * per
	return wire.PageRun{
		Shard: placement.ShardOf(a.Class, a.Affinity, extent),
		First: holo.PageIndex(first),
		Count: uint32(min(per, a.Shape.Pages()-first)),
	}
}
