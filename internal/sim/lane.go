package sim

import (
	"fmt"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/lane"
	"github.com/holocompute/holocompute/internal/wire"
)

// Two clients append numbered records to a lane of each shard, and take them from
// there, also what somebody else has been handed and has not settled. In the end
// all that is left is taken, and the hand-outs that were committed must make up
// the whole of the lane, with each producer's records once and in order.

const (
	appendOp kind = 'p' // opens the producer, and appends a record
	takeOp   kind = 'q' // reads a lane, takes what is there, and commits

	laneArray   holo.ArrayID = arrays + 1
	laneClients              = 2
	laneOps                  = 30
)

// The steps of a takeOp; those of an appendOp are toOpen and toAppend.
const (
	toOpen = iota
	toAppend

	toLook   = 0
	toFetch  = 1
	toHand   = 2
	toCommit = 3
)

// largest is the longest record: a few fill a lane, which so goes round.
const largest = 20_000

// laneWork is what a client of lanes knows.
type laneWork struct {
	next    map[holo.ShardID]uint64 // the number of the producer's next record
	step    int
	asked   holo.OpID // the step that is under way
	seen    lane.State
	front   []byte     // what is at the head, as far as it was fetched
	runs    []lane.Run // what has to be fetched, a page each
	gets    uint64     // counts what was asked
	suspect uint64     // where nothing sound was, plus 1
	batch   []lane.Record
	end     uint64
	given   uint64 // number of the hand-out
	empty   bool   // the last look found nothing
}

// handout is a commit that may have taken effect.
type handout struct {
	shard     holo.ShardID
	head, end uint64
	records   []lane.Record
	certain   bool
}

func newLaneClient(w *world, i int) *client {
	c := newClient(w, i)
	c.left, c.lane = laneOps, &laneWork{next: map[holo.ShardID]uint64{}}
	return c
}

func (c *client) drawLane() operation {
	o := operation{id: c.opID(), shard: holo.MakeShardID(c.w.o.Copies, c.w.rng.Uint64N(uint64(c.w.o.Shards))), kind: appendOp}
	if c.w.oneIn(3) {
		o.kind = takeOp
	}
	return o
}

func (c *client) party() lane.Party { return lane.Party{Owner: [16]byte{1}, Number: uint64(c.addr)} }

// said is the record of a number: the same whenever it is appended.
func (c *client) said(s holo.ShardID, number uint64) []byte {
	text := fmt.Appendf(nil, "record %d of client %d for shard %d", number, c.addr, s)
	return append(text, make([]byte, (number*7919+uint64(c.addr)*31)%(largest-100))...)
}

func lanePage(s holo.ShardID) holo.PageIndex { return holo.PageIndex(s.Number() * lane.MinPages) }

// laneStep asks for the step that is next.
func (c *client) laneStep() *ask {
	o, l := c.op, c.lane
	l.asked = holo.OpID{Session: o.id.Session + 1000, Num: o.id.Num*64 + l.gets}
	a := &ask{op: l.asked, shard: o.shard, sent: c.now()}
	op := &lane.Op{Pages: lane.MinPages, Who: c.party()}
	switch {
	case o.kind == takeOp && l.step <= toFetch:
		page := lanePage(o.shard)
		if l.step == toFetch {
			page += holo.PageIndex(l.runs[0].Page)
		}
		a.read = &shard.ReadRequest{Shard: o.shard, Pages: []holo.PageID{{Array: laneArray, Index: page}}}
		return a
	case o.kind == takeOp && l.step == toHand:
		op.Kind, op.Seq, op.Number, op.Head, op.End, op.Count = lane.Take, o.id.Num, l.seen.Number, l.seen.Head, l.end, uint64(len(l.batch))
	case o.kind == takeOp:
		op.Kind, op.Number = lane.Commit, l.given
	case l.step == toOpen:
		op.Kind = lane.Open
	default:
		n := l.next[o.shard] + 1
		op.Kind, op.Seq, op.Records = lane.Append, n, [][]byte{c.said(o.shard, n)}
	}
	a.mutation = wire.Mutation{
		Op: l.asked, Kind: wire.MutateLane, Array: laneArray,
		Changes: []wire.Change{{Page: lanePage(o.shard), Kind: wire.PageDelta, Data: op.Encode()}},
	}
	shard.SignMutation(&a.mutation)
	return a
}

// laneReply takes an answer to the step that is under way.
func (c *client) laneReply(r *reply) {
	o, l := c.op, c.lane
	switch {
	case o == nil || r.op != l.asked:
	case r.err != nil:
		if r.hint >= 0 {
			c.guess[o.shard] = r.hint
		}
	case r.views != nil:
		c.laneSeen(&r.views[0])
	default:
		c.laneDone(lane.Unpack(r.old))
	}
}

func (c *client) laneNext() {
	l, o := c.lane, c.op
	if l.step++; o.kind != takeOp || l.step != toCommit {
		c.laneAsk()
		return
	}
	l.gets, l.asked = l.gets+1, holo.OpID{} // a late answer to the step before is none to this
	c.w.after(c.w.upTo(80*ms), func() {     // it works on what it was handed
		if c.op == o {
			c.w.send(c.addr, c.guess[o.shard], c.laneStep())
		}
	})
}

func (c *client) laneAsk() {
	c.lane.gets++
	c.w.send(c.addr, c.guess[c.op.shard], c.laneStep())
}

// laneSeen takes a page: the header first, and then those that the records at the
// front are in, each as it is by then. What somebody else has been handed it
// leaves alone, most of the time.
func (c *client) laneSeen(v *shard.View) {
	l := c.lane
	var page [holo.PageSize]byte
	v.Bytes(page[:])
	if l.step == toLook {
		c.laneHead(page[:])
		return
	}
	l.front = append(l.front, page[l.runs[0].Skip:][:l.runs[0].Bytes]...)
	if l.runs = l.runs[1:]; len(l.runs) > 0 {
		c.laneAsk()
		return
	}
	var err error
	switch l.batch, l.end, err = lane.Frames(l.front, l.seen.Head, 1+c.w.rng.IntN(2*largest)); {
	case err != nil && l.suspect == l.seen.Head+1:
		c.w.fail(err.Error())
	case err != nil: // the lane has gone on, or else it is lost
		l.suspect, l.step = l.seen.Head+1, toLook
		c.w.tally("lane went on")
		c.laneAsk()
	default:
		c.laneNext()
	}
}

// laneHead decides by the header what to read.
func (c *client) laneHead(page []byte) {
	l := c.lane
	s, err := lane.ParseState(page)
	if err != nil {
		c.w.fail(err.Error())
		return
	}
	if l.seen = s; s.Head == s.Tail || s.Phase == lane.HandedOut && !c.w.oneIn(3) && c.left > 0 {
		l.empty = s.Head == s.Tail
		c.laneEnd()
		return
	}
	if s.Phase == lane.HandedOut {
		c.w.tally("hand-out taken away")
	}
	l.front, l.runs = nil, nil
	for _, r := range lane.Runs(s.Head, min(s.Tail-s.Head, lane.FrameBytes+largest), lane.MinPages) {
		for at := 0; r.Bytes > 0; at++ {
			n := min(r.Bytes, holo.PageSize-r.Skip)
			l.runs = append(l.runs, lane.Run{Page: r.Page + at, Skip: r.Skip, Bytes: n})
			r.Bytes, r.Skip = r.Bytes-n, 0
		}
	}
	c.laneNext()
}

// laneDone takes the outcome of an operation on a lane.
func (c *client) laneDone(out lane.Outcome) {
	o, l := c.op, c.lane
	done := out.Word == lane.Done || out.Word == lane.Again
	switch {
	case o.kind == appendOp && l.step == toOpen, o.kind == takeOp && l.step == toHand && done:
		l.given = out.Value
		c.laneNext()
		return
	case o.kind == appendOp && done:
		l.next[o.shard]++
		c.w.tally("record appended")
	case o.kind == appendOp && out.Word != lane.Full:
		c.w.fail(fmt.Sprintf("record %d of client %d: outcome %v", l.next[o.shard]+1, c.addr, out))
	case o.kind == takeOp && l.step == toCommit && done:
		c.committed(true)
	}
	c.laneEnd()
}

func (c *client) committed(certain bool) {
	l := c.lane
	c.w.handouts = append(c.w.handouts, handout{c.op.shard, l.seen.Head, l.end, l.batch, certain})
	c.w.tally("hand-out committed")
}

// laneOver ends an operation of which the outcome is not known: a record that may
// be there is what the client appends next.
func (c *client) laneOver() {
	if c.op.kind == takeOp && c.lane.step == toCommit {
		c.committed(false)
	}
	c.w.tally("unknown")
	c.laneEnd()
}

func (c *client) laneEnd() {
	c.w.note("op "+string(c.op.kind), uint64(c.addr), c.op.id.Num, uint64(c.lane.step), c.lane.seen.Head, c.lane.end)
	c.op, c.lane.step, c.lane.gets, c.lane.suspect = nil, 0, 0, 0
	c.w.after(c.think+c.w.upTo(4*ms), c.next)
}

// lanes takes what is left of each lane, and judges all that was taken.
func (w *world) lanes() {
	last := w.clients[len(w.clients)-1]
	for s := range w.o.Shards {
		id := holo.MakeShardID(w.o.Copies, uint64(s))
		last.lane.empty = false
		for try := 0; try < 400 && !last.lane.empty && w.failure == ""; try++ {
			last.left = 0
			last.start(operation{id: last.opID(), shard: id, kind: takeOp})
			for i := 0; i < 400 && last.op != nil; i++ {
				w.run(5 * ms)
			}
		}
		if !last.lane.empty {
			w.fail(fmt.Sprintf("the lane of shard %d cannot be emptied after everything healed", id))
		}
		w.laneWhole(id, last.lane.seen.Tail)
	}
}

// laneWhole finds the hand-outs that make up a lane from its beginning to its
// end: all that were certainly committed, and some of which it is not known.
func (w *world) laneWhole(s holo.ShardID, tail uint64) {
	certain := 0
	for _, h := range w.handouts {
		if h.shard == s && h.certain {
			certain++
		}
	}
	var chain func(at uint64, left int, last map[uint64]uint64) bool
	chain = func(at uint64, left int, last map[uint64]uint64) bool {
		if at == tail {
			return left == 0 && w.allThere(s, last)
		}
		for _, h := range w.handouts {
			if h.shard != s || h.head != at {
				continue
			}
			rest := left
			if h.certain {
				rest--
			}
			if now, ok := w.follow(s, last, h.records); ok && chain(h.end, rest, now) {
				return true
			}
		}
		return false
	}
	if w.failure == "" && !chain(0, certain, map[uint64]uint64{}) {
		w.fail(fmt.Sprintf("lane of shard %d: its hand-outs lose, double or reorder records", s))
	}
}

// follow counts records on: each is what its producer appended next.
func (w *world) follow(s holo.ShardID, last map[uint64]uint64, records []lane.Record) (map[uint64]uint64, bool) {
	now := map[uint64]uint64{}
	for p, n := range last {
		now[p] = n
	}
	for _, r := range records {
		c := w.clients[int(address(r.Producer)-firstClient)]
		if now[r.Producer]++; r.Sequence != now[r.Producer] || string(r.Data) != string(c.said(s, r.Sequence)) {
			return nil, false
		}
	}
	return now, true
}

// allThere reports whether every record that was acknowledged is there, and at
// most one besides of which it was not known.
func (w *world) allThere(s holo.ShardID, last map[uint64]uint64) bool {
	for _, c := range w.clients {
		if c.lane == nil {
			continue
		}
		if n, told := last[uint64(c.addr)], c.lane.next[s]; n < told || n > told+1 {
			return false
		}
	}
	return true
}
