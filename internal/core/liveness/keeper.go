package liveness

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/wire"
)

// Keeper is the Raft leader's side, made anew for each leadership and thrown
// away with it. The driver calls Heartbeat, Request and Verified as they
// happen, then Tick, and then takes what Ready holds; Tick at least every
// 10 ms. It owns no lock: one goroutine calls it.
type Keeper struct {
	timing   Timing
	rng      *rand.Rand
	since    holo.Time // no death is declared before since + Patience
	lastTick holo.Time
	nodes    map[holo.NodeID]*record
	requests []request

	waiting  []beat    // heartbeats that wait for a round
	first    holo.Time // when the oldest of waiting came
	round    uint64    // the last round asked for
	inRound  []beat    // what that round will release
	roundAt  holo.Time
	verified bool

	base   uint64 // grants are numbered base+1, base+2, ...
	grants uint64 // numbers used
	pushed uint64 // catalogue index whose configurations were pushed

	drops     map[holo.ShardID]drop
	wanted    map[holo.ShardID]holo.NodeID // the member to drop once it is replaced
	learners  map[holo.ShardID]stay
	homes     map[holo.ShardID]holo.NodeID // the primary when all copies were there last
	moves     map[holo.ShardID]move        // copies on their way to where there is less
	leads     map[holo.ShardID]move        // and leads
	paced     holo.Time                    // when the next copy may begin to move
	uneven    [holo.MaxClass + 1]uneven
	settledBy holo.Time // who was heard first by then is taken for one that stays
	proposed  map[proposal]holo.Time
	chosen    map[holo.ShardID]choice // learners that were proposed
	hinted    map[holo.ShardID]holo.Time
	repaired  holo.Time
	cramped   Cramped
	out       KeeperReady
}

// KeeperReady is what the driver is to do.
type KeeperReady struct {
	VerifyRound uint64          // start one VerifyLeader and report Verified; 0: none
	Send        []wire.Envelope // one-way; loss is survived
	Propose     []wire.Message  // to Raft, in this order; failures need no report
}

// record is what the keeper heard from a node.
type record struct {
	lives      []life
	doomed     bool // the end of doomedLife was proposed
	doomedLife uint64
	condemned  holo.Time // until then it is not heard and gets no lease
}

// life is one incarnation of a node, in the order in which they appeared.
type life struct {
	incarnation holo.Incarnation
	since       holo.Time // when it was heard first
	heard       holo.Time
	echo        uint64 // highest number of my grants that came back
}

// maxLives bounds the incarnations remembered per node; the longest silent is
// forgotten first.
const maxLives = 4

type beat struct {
	from holo.NodeID
	hb   wire.Heartbeat
}

type request struct {
	from holo.NodeID
	msg  wire.Message
}

// maxRequests bounds the requests between two ticks: one of each kind for each
// shard. Who is dropped asks again.
const maxRequests = 3 * holo.MaxClass * holo.ShardCount

// NewKeeper begins a leadership. Numbers of grants start at random, so that an
// echo of another keeper's grants is never taken for one of this keeper's.
func NewKeeper(now holo.Time, timing Timing, rng *rand.Rand) *Keeper {
	return &Keeper{
		timing: timing, rng: rng, since: now, lastTick: now, settledBy: math.MinInt64, repaired: now.Add(-timing.Resend), paced: now, base: rng.Uint64() >> 1,
		nodes: map[holo.NodeID]*record{}, drops: map[holo.ShardID]drop{}, wanted: map[holo.ShardID]holo.NodeID{},
		learners: map[holo.ShardID]stay{}, homes: map[holo.ShardID]holo.NodeID{}, moves: map[holo.ShardID]move{}, leads: map[holo.ShardID]move{}, proposed: map[proposal]holo.Time{}, chosen: map[holo.ShardID]choice{}, hinted: map[holo.ShardID]holo.Time{},
	}
}

// Heartbeat takes a node's heartbeat. The driver vouches that it came from the
// node over its own session.
func (k *Keeper) Heartbeat(now holo.Time, from holo.NodeID, hb *wire.Heartbeat) {
	r := k.record(from)
	if now < r.condemned {
		return
	}
	l := r.life(hb.Incarnation)
	if l.heard == 0 {
		l.since = now
	}
	l.heard = max(l.heard, now)
	if hb.LastGrant > k.base && hb.LastGrant <= k.base+k.grants {
		l.echo = max(l.echo, hb.LastGrant)
	}
	k.wait(now, beat{from, *hb})
}

// wait queues a heartbeat for the next round: the newest of each incarnation.
func (k *Keeper) wait(now holo.Time, b beat) {
	i := slices.IndexFunc(k.waiting, func(o beat) bool { return o.from == b.from && o.hb.Incarnation == b.hb.Incarnation })
	if i >= 0 {
		if b.hb.Sent >= k.waiting[i].hb.Sent {
			k.waiting[i] = b
		}
		return
	}
	if len(k.waiting) == 0 {
		k.first = now
	}
	if len(k.waiting) < maxLives*wire.MaxNodes {
		k.waiting = append(k.waiting, b)
	}
}

// Condemn lets a node's lease run out, because it is about to be evicted: from
// now on it is not heard, so that it counts as dead a lease later, and its
// shards have other homes before it is gone. When no eviction follows, it is
// heard again after four leases.
func (k *Keeper) Condemn(now holo.Time, node holo.NodeID) {
	if r := k.record(node); now >= r.condemned {
		r.condemned = now.Add(4 * k.timing.TTL)
	}
}

// Request takes a primary's ShardShrink, ShardPromote or ShardTransfer.
func (k *Keeper) Request(_ holo.Time, from holo.NodeID, msg wire.Message) {
	if len(k.requests) < maxRequests {
		k.requests = append(k.requests, request{from, msg})
	}
}

// Verified says that Raft confirmed the leadership in a round that began after
// Ready asked for it. The grants go out with the next Tick. A round that fails
// needs no report: the leadership is over.
func (k *Keeper) Verified(_ holo.Time, round uint64) {
	k.verified = k.verified || round == k.round && len(k.inRound) > 0
}

// Tick does what the time and the catalogue ask for.
func (k *Keeper) Tick(now holo.Time, view View) {
	if now.Sub(k.lastTick) > k.timing.TTL/2 {
		k.since = now // this process stood still: what it did not hear means nothing
	}
	k.lastTick = now
	k.forget(now, view)
	k.checkLives(now, view.Shards())
	k.release(view)
	k.startRound(now)
	k.serve(now, view)
	k.executeDrops(now, view.Shards())
	if now.Sub(k.repaired) >= k.timing.Resend {
		k.repaired = now
		k.repair(now, view)
	}
	k.push(view)
}

// Ready hands over what is to be done and empties it.
func (k *Keeper) Ready() KeeperReady {
	r := k.out
	k.out = KeeperReady{}
	return r
}

// Heard is when the node's registered incarnation was last heard from by this
// keeper; false when never.
func (k *Keeper) Heard(node holo.NodeID, inc holo.Incarnation) (holo.Time, bool) {
	if r := k.nodes[node]; r != nil {
		for _, l := range r.lives {
			if l.incarnation == inc {
				return l.heard, true
			}
		}
	}
	return 0, false
}

// forget drops what concerns evicted nodes, and proposals old enough to be
// made again.
func (k *Keeper) forget(now holo.Time, view View) {
	maps.DeleteFunc(k.nodes, func(id holo.NodeID, _ *record) bool {
		_, seated := view.Shards().Seat(id)
		return !seated
	})
	maps.DeleteFunc(k.proposed, func(_ proposal, at holo.Time) bool { return now.Sub(at) >= k.timing.Beat })
	maps.DeleteFunc(k.chosen, func(_ holo.ShardID, c choice) bool { return now.Sub(c.at) >= k.timing.TTL })
}

func (k *Keeper) record(node holo.NodeID) *record {
	r := k.nodes[node]
	if r == nil {
		r = &record{condemned: math.MinInt64}
		k.nodes[node] = r
	}
	return r
}

func (r *record) life(inc holo.Incarnation) *life {
	for i := range r.lives {
		if r.lives[i].incarnation == inc {
			return &r.lives[i]
		}
	}
	if len(r.lives) == maxLives {
		oldest := 0
		for i := range r.lives {
			if r.lives[i].heard < r.lives[oldest].heard {
				oldest = i
			}
		}
		r.lives = slices.Delete(r.lives, oldest, oldest+1)
	}
	r.lives = append(r.lives, life{incarnation: inc})
	return &r.lives[len(r.lives)-1]
}

// proposal names a command, so that it is not proposed at every tick. Epoch,
// generation and life tell one situation from the next.
type proposal struct {
	kind  wire.Type
	shard holo.ShardID
	node  holo.NodeID
	epoch holo.Epoch
	gen   uint64
}

// propose asks for a command unless it was asked for within the last beat. All
// commands are compare-and-set, so one too many does no harm.
func (k *Keeper) propose(now holo.Time, p proposal, msg wire.Message) {
	p.kind = msg.Type()
	if _, again := k.proposed[p]; again {
		return
	}
	k.proposed[p] = now
	k.out.Propose = append(k.out.Propose, msg)
}

func (k *Keeper) send(to holo.NodeID, msg wire.Message) {
	k.out.Send = append(k.out.Send, wire.Envelope{To: to, Msg: msg})
}

// push tells all living nodes the configurations that changed. A configuration
// is a committed fact and needs no lease; the next grant would tell it too,
// but up to a beat later.
func (k *Keeper) push(view View) {
	version := view.Version()
	if k.pushed == version {
		return
	}
	changed := view.Shards().ChangedSince(k.pushed)
	k.pushed = version
	if len(changed) == 0 {
		return
	}
	for _, s := range view.Shards().Seats() {
		if s.Alive {
			k.send(s.Node, &wire.ConfigPush{Configs: changed})
		}
	}
}

// candidates are the living nodes that may take on more.
func (k *Keeper) candidates(now holo.Time, t *placement.Table) []holo.NodeID {
	var ids []holo.NodeID
	for _, s := range t.Seats() {
		if s.Alive && !s.Draining && !k.doomed(&s) && !k.suspect(now, &s) {
			ids = append(ids, s.Node)
		}
	}
	return ids
}

// suspect reports whether a node is neither alive for certain nor dead: it missed
// two heartbeats, and its lease runs. It keeps what it has and is given no more.
func (k *Keeper) suspect(now holo.Time, s *wire.Seat) bool {
	heard, ok := k.Heard(s.Node, s.Incarnation)
	return !ok || now.Sub(heard) > 2*k.timing.Beat
}
