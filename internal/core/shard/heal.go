package shard

import (
	"cmp"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	// healsAtOnce is how many damaged pages of a shard are asked for at once:
	// 256 KiB, so a disk that is damaged as a whole heals behind other work.
	healsAtOnce = 4
	// giveQueue bounds the pages that others ask for and that are fetched from
	// this node's disk first.
	giveQueue = 2 * healsAtOnce
	// healPause is how many Resends pass before holders that all said no are
	// asked again.
	healPause = 40
)

// heal is the search for sound bytes of a damaged page. The digest of the page
// stayed in memory, so whatever has it is the page, whoever sends it: a holder
// that lies, or whose copy is damaged too, costs time and nothing else.
type heal struct {
	id      holo.PageID
	version holo.Version
	epoch   holo.Epoch    // of the configuration whose holders are asked
	refused []holo.NodeID // have no sound copy
	asked   wire.Member   // last; zero: nobody yet
	at      holo.Time     // when
}

// Damaged says that the bytes of a page are not those of its digest, in memory
// or on disk. Whoever keeps book of it is told that it is gone. It is asked for
// where there are other holders of the shard, and comes back as a new page.
func (m *Machine) Damaged(s holo.ShardID, id holo.PageID, v holo.Version) {
	p, ok := m.page(s, id, v)
	if !ok || p.damaged || !p.hashed {
		return
	}
	r := m.replicas[s]
	if !p.away {
		r.table.away += holo.PageSize
	}
	p.data, p.away, p.damaged = nil, true, true
	r.table.tell(id, p, true)
	r.heals = append(r.heals, &heal{id: id, version: v})
	m.pageEvent(PageDamaged, r, m.self.Node, id)
}

// Spoilt is why a page that was found damaged cannot be read or changed in part.
// Where it is sound by now, or another holder may have it, trying again helps.
func (m *Machine) Spoilt(s holo.ShardID, id holo.PageID) error {
	r := m.replica(s)
	helps := !r.table.get(id).damaged
	for _, h := range r.heals {
		helps = helps || h.id == id && r.needs(h) && len(r.unasked(m.self, h)) > 0
	}
	if helps {
		return holo.Refuse(holo.Unavailable, "page_healing", "use page %v: its copy on this node is damaged, and is being replaced from another", id)
	}
	return holo.Refuse(holo.Corrupt, "page_damaged", "use page %v: its copy on this node is not what was written, and no other is known", id)
}

// needs reports whether a page is still damaged.
func (r *replica) needs(h *heal) bool {
	p := r.table.get(h.id)
	return p.version == h.version && p.damaged
}

// damaged counts the pages that are.
func (r *replica) damaged() (n int) {
	for _, h := range r.heals {
		if r.needs(h) {
			n++
		}
	}
	return n
}

// holders are the other nodes that have, or may have, every acknowledged write
// of the shard, members first.
func (r *replica) holders(self wire.Member) []wire.Member {
	c := &r.config
	list := slices.Concat(c.Members, c.Suspended)
	if c.Learner.Incarnation != 0 {
		list = append(list, c.Learner)
	}
	return slices.DeleteFunc(list, func(h wire.Member) bool { return h.Node == self.Node })
}

// unasked are the holders that have not said that they cannot help.
func (r *replica) unasked(self wire.Member, h *heal) []wire.Member {
	list := r.holders(self)
	if h.epoch != r.config.Epoch {
		return list
	}
	return slices.DeleteFunc(list, func(o wire.Member) bool { return slices.Contains(h.refused, o.Node) })
}

// tickHeals asks for damaged pages, the oldest first.
func (m *Machine) tickHeals(now holo.Time, r *replica) {
	if len(r.heals) == 0 {
		return
	}
	r.heals = slices.DeleteFunc(r.heals, func(h *heal) bool { return !r.needs(h) })
	under := 0
	for _, h := range r.heals {
		if under == healsAtOnce {
			return
		}
		if m.seek(now, r, h) {
			under++
		}
	}
}

// seek asks the next holder for a page when it is time. It reports whether an
// answer may come.
func (m *Machine) seek(now holo.Time, r *replica, h *heal) bool {
	if h.epoch != r.config.Epoch {
		h.epoch, h.refused, h.asked, h.at = r.config.Epoch, nil, wire.Member{}, 0
	}
	to := r.unasked(m.self, h)
	if len(to) == 0 {
		if now.Sub(h.at) >= healPause*m.timing.Resend {
			h.refused, h.asked, h.at = nil, wire.Member{}, 0
		}
		return false
	}
	if h.at != 0 && now.Sub(h.at) < m.timing.Resend {
		return true
	}
	next := (slices.Index(to, h.asked) + 1) % len(to) // who is silent is not asked twice in a row
	h.asked, h.at = to[next], now
	ask := &wire.PageAsk{ShardHead: m.head(r, h.asked), Page: h.id, Version: h.version}
	ask.Epoch = r.config.Epoch
	m.send(h.asked, ask)
	return true
}

// give is a page that another holder asked for.
type give struct {
	to  wire.Member
	ask *wire.PageAsk
}

// onPageAsk answers with the page at exactly that version, or that there is
// none. Only who holds the shard, or is being given it, may have its pages.
func (m *Machine) onPageAsk(r *replica, who wire.Member, msg *wire.PageAsk) {
	c := &r.config
	if member, ok := c.Member(who.Node); msg.Epoch != c.Epoch || (!ok || member != who) && c.Learner != who {
		m.event(IgnoredMessage, r, who.Node)
		return
	}
	g := give{who, msg}
	if !m.give(r, g) && len(r.gives) < giveQueue {
		r.gives = append(r.gives, g)
	}
}

// give answers, or reports that the page is away and was asked for.
func (m *Machine) give(r *replica, g give) bool {
	e, has := r.find(g.ask.Page, g.ask.Version)
	if has && m.absent(r, []effect{e}) {
		return false
	}
	out := &wire.PageGive{ShardHead: m.head(r, g.to), Page: g.ask.Page, Version: g.ask.Version, Commit: r.commit, Has: has}
	if out.Epoch = g.ask.Epoch; has {
		out.Data, out.Digest = e.data, e.sum()
	}
	m.send(g.to, out)
	return true
}

// find is a sound page at a version, committed or not: what one holder has
// committed another may not know to be.
func (r *replica) find(id holo.PageID, v holo.Version) (effect, bool) {
	list := []effect{{id, r.table.get(id)}}
	for _, it := range r.tail.items {
		list = append(list, it.effects...)
	}
	for _, e := range list {
		if e.id == id && e.version == v {
			return e, e.kind == wire.PageData && !e.damaged
		}
	}
	return effect{}, false
}

// giveAll answers those whose pages were fetched.
func (m *Machine) giveAll(r *replica) {
	r.gives = slices.DeleteFunc(r.gives, func(g give) bool { return m.give(r, g) })
}

// onPageGive takes the bytes of a damaged page if they have the digest that
// stayed here, and goes on with what waited for them.
func (m *Machine) onPageGive(now holo.Time, r *replica, who wire.Member, msg *wire.PageGive) {
	i := slices.IndexFunc(r.heals, func(h *heal) bool { return h.id == msg.Page && h.version == msg.Version })
	if i < 0 || r.heals[i].asked != who || msg.Epoch != r.heals[i].epoch {
		return
	}
	h := r.heals[i]
	p, ok := m.page(r.shard, h.id, h.version)
	if !ok || !p.damaged {
		return
	}
	if !msg.Has || msg.Digest != p.digest {
		h.refused, h.at = append(h.refused, who.Node), now.Add(-m.timing.Resend)
		m.outrun(r, msg.Commit)
		return
	}
	m.Back(r.shard, h.id, h.version, slices.Clone(msg.Data))
	m.pageEvent(PageHealed, r, who.Node, h.id)
	m.goOn(now, r)
}

func (m *Machine) pageEvent(k EventKind, r *replica, node holo.NodeID, id holo.PageID) {
	m.event(k, r, node)
	m.out.Events[len(m.out.Events)-1].Page = id
}

// outrun commits what another holder has committed. The damaged page may be one
// that nobody has any more, because all others went on to the next; the next lies
// in this tail and waits for members that are not there. A primary's history has
// everything committed (I5), so the watermark is all that has to be believed, as
// in a SealAck.
func (m *Machine) outrun(r *replica, commit holo.Seq) {
	if r.lead == nil || !r.lead.active || commit > r.seq {
		return
	}
	for _, it := range r.commitTo(commit) {
		m.committed(it)
	}
	m.trim(r)
}

// Stocked lists the shards that have pages of 64 KiB here.
func (m *Machine) Stocked() (list []holo.ShardID) {
	for _, r := range m.replicas {
		if r != nil && len(r.table.pages) > 0 {
			list = append(list, r.shard)
		}
	}
	return list
}

// Stock lists the committed pages of 64 KiB of a shard, in order.
func (m *Machine) Stock(s holo.ShardID) (list []PageChange) {
	r := m.replicas[s]
	if r == nil {
		return nil
	}
	for id, p := range r.table.pages {
		if p.kind == wire.PageData {
			list = append(list, PageChange{Shard: s, Page: id, Version: p.version})
		}
	}
	slices.SortFunc(list, func(a, b PageChange) int {
		return cmp.Or(cmp.Compare(a.Page.Array, b.Page.Array), cmp.Compare(a.Page.Index, b.Page.Index))
	})
	return list
}
