package shard

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// ReadRequest asks for pages of one shard.
type ReadRequest struct {
	Shard  holo.ShardID
	Pages  []holo.PageID
	Sealed bool        // the arrays are sealed: any copy will do
	Holder wire.Member // who wants to cache the pages under a read lease; zero: nobody
}

// Read is a read between BeginRead and FinishRead.
type Read struct {
	Pages []View
	Lease Lease // granted by FinishRead; For is 0 when none was

	shard      holo.ShardID
	activation uint64 // 0: of sealed arrays, valid for ever
	holder     wire.Member
}

// Lease is a read lease: the pages may be used from a cache for this long after
// the moment at which the request was sent, on the asker's clock.
type Lease struct {
	Epoch  holo.Epoch
	Number uint64
	For    holo.Duration
}

// BeginRead takes references to the committed pages. Nothing may be shown to
// anyone before FinishRead agrees.
func (m *Machine) BeginRead(_ holo.Time, req ReadRequest) (*Read, error) {
	if !req.Shard.Valid() {
		return nil, holo.Errorf(holo.Invalid, "read shard %d: there is no such shard", req.Shard)
	}
	r := m.replica(req.Shard)
	rd := &Read{shard: req.Shard, holder: req.Holder}
	if !r.immutable(req.Pages) {
		if req.Sealed && r.lead == nil && !r.config.Lost {
			return nil, holo.Refuse(holo.Unavailable, "not_sealed_here", "read shard %d: this node holds no sealed copy", r.shard)
		}
		if err := m.showing(r); err != nil {
			return nil, err
		}
		rd.activation = r.lead.activation
	}
	for _, id := range req.Pages {
		if err := m.readable(r, id); err != nil {
			return nil, err
		}
		rd.Pages = append(rd.Pages, r.table.get(id).view(id))
	}
	return rd, nil
}

// immutable reports whether all the pages are of arrays sealed in this copy.
// The mark is in the table, hence committed, hence so is every page below it:
// any copy that has it shows the array as it will be for ever.
func (r *replica) immutable(pages []holo.PageID) bool {
	return !slices.ContainsFunc(pages, func(id holo.PageID) bool { return r.table.marks[id.Array].State != wire.MarkSealed })
}

// readable refuses pages of deleted arrays, and those that a takeover with too
// few members holds back: their last write may or may not have been
// acknowledged, so neither value can be shown (I6).
func (m *Machine) readable(r *replica, id holo.PageID) error {
	if r.table.marks[id.Array].State == wire.MarkDropped {
		return holo.Refuse(holo.NotFound, "dropped", "read page %v: its array was deleted", id)
	}
	if r.lead == nil || !r.lead.active || r.commit >= r.lead.held {
		return nil
	}
	_, page := r.tail.pages[id]
	_, mark := r.tail.marks[id.Array]
	if page || mark {
		return holo.Refuse(holo.Unavailable, "recovering", "read page %v: its last write waits for a second copy", id)
	}
	return nil
}

// FinishRead decides whether what BeginRead took may be shown, and grants the
// read lease that was asked for. Time may have passed in between, so it is not
// enough that this node holds a lease now: it must still be the same
// activation. A lease that lapsed and was renewed would revive an old value.
func (m *Machine) FinishRead(now holo.Time, rd *Read) error {
	if rd.activation == 0 {
		return nil
	}
	r := m.replica(rd.shard)
	if err := m.showing(r); err != nil {
		return err
	}
	if r.lead.activation != rd.activation {
		return holo.Refuse(holo.Unavailable, "deposed", "read shard %d: this node was not its primary all the time", r.shard)
	}
	if !m.leased(now) {
		return noLease(r)
	}
	if rd.holder.Incarnation != 0 {
		m.grantLease(now, r, rd)
	}
	return nil
}

// Digests gives the pages of an array that is sealed in this copy, in order;
// those not listed are zero. The caller takes each View's Content digest, away
// from the machine's goroutine.
func (m *Machine) Digests(_ holo.Time, array holo.ArrayID, s holo.ShardID) ([]View, error) {
	r := m.replica(s)
	if r.table.marks[array].State != wire.MarkSealed {
		return nil, holo.Refuse(holo.Unavailable, "not_sealed_here", "digests of array %d in shard %d: this node holds no sealed copy", array, s)
	}
	return r.views(array), nil
}

func (r *replica) views(array holo.ArrayID) []View {
	var es []effect
	for id, s := range r.table.pages {
		if id.Array == array {
			es = append(es, effect{id, s})
		}
	}
	sortEffects(es)
	vs := make([]View, len(es))
	for i, e := range es {
		vs[i] = e.view(e.id)
	}
	return vs
}
