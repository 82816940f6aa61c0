package shard

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// grant is a read lease in the order of granting. It may have been released or
// replaced since.
type grant struct {
	lease
	replica *replica
	page    holo.PageID
}

// grants is the book of all read leases of a process. It bounds them: each lease
// in a replica has its grant here.
type grants struct {
	list     []grant // oldest first
	recalled int     // of them, from the front, whose holders were asked to drop their copies
}

func (g *grants) add(one grant) { g.list = append(g.list, one) }

// runs reports whether the lease is still there and not over.
func (g *grant) runs(now holo.Time) bool {
	for _, l := range g.replica.leases[g.page] {
		if l.holder == g.holder {
			return l.number == g.number && now < l.until
		}
	}
	return false
}

// expire forgets the oldest leases as long as they are over: none blocks a
// later one for more than the longest lease.
func (m *Machine) expire(now holo.Time) {
	g := &m.granted
	for len(g.list) > 0 && !g.list[0].runs(now) {
		g.list[0].replica.live(now, g.list[0].page)
		g.list[0] = grant{}
		g.list = g.list[1:]
		g.recalled = max(0, g.recalled-1)
	}
}

// roomFor reports whether so many more leases may be granted. From three
// quarters of what is allowed the oldest are withdrawn, twice as many as are
// wanted; they count until their holders say that the copies are gone, or they
// are over. A lease is never just forgotten.
func (m *Machine) roomFor(now holo.Time, pages int) bool {
	m.expire(now)
	g := &m.granted
	if len(g.list)+pages > m.limits.Leases*3/4 {
		m.recallOldest(now, 2*pages)
	}
	return len(g.list)+pages <= m.limits.Leases
}

func (m *Machine) recallOldest(now holo.Time, count int) {
	g := &m.granted
	var out recall
	for ; count > 0 && g.recalled < len(g.list); g.recalled++ {
		if one := &g.list[g.recalled]; one.runs(now) {
			out.add(m, one.replica, one.holder, one.page, one.number)
			count--
		}
	}
	out.send(m)
}

// recall collects pages to withdraw: one message for each shard and holder,
// however many pages.
type recall struct {
	to   []wire.Member
	list []*wire.Inval
}

func (c *recall) add(m *Machine, r *replica, to wire.Member, id holo.PageID, upTo uint64) {
	for i, msg := range c.list {
		if c.to[i] == to && msg.Shard == r.shard && len(msg.Pages) < wire.MaxInval {
			msg.Pages, msg.UpTo = append(msg.Pages, id), max(msg.UpTo, upTo)
			return
		}
	}
	c.to = append(c.to, to)
	c.list = append(c.list, &wire.Inval{ShardHead: m.head(r, to), UpTo: upTo, Pages: []holo.PageID{id}})
}

func (c *recall) send(m *Machine) {
	for i, msg := range c.list {
		m.send(c.to[i], msg)
	}
}
