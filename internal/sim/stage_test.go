package sim

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/holocompute/holocompute/internal/core/liveness"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/wire"
)

// stage is a cluster in which nothing happens by itself: a test says which
// message arrives when, who dies, and what the control plane decides. It is for
// schedules that chance finds once in many thousand seeds.
type stage struct {
	t      *testing.T
	now    holo.Time
	shard  holo.ShardID
	actors []*actor
	table  *placement.Table
	index  uint64
	keeper *liveness.Keeper
	mail   []letter
	last   uint64 // submit IDs
}

// letter is a message on its way.
type letter struct {
	from, to address
	msg      wire.Message
}

type actor struct {
	addr    address
	life    holo.Incarnation
	up      bool
	machine *shard.Machine
	holder  *liveness.Holder
	answers map[uint64]shard.Answer
}

// newStage makes a shard of two copies whose members are the first nodes; the
// first is its primary, and active.
func newStage(t *testing.T, nodes, members int) *stage {
	t.Helper()
	s := &stage{t: t, now: holo.Time(holo.Second), shard: holo.MakeShardID(2, 0), index: 1}
	rec := &wire.ShardTable{Version: 1}
	cfg := wire.ShardConfig{Shard: s.shard, Epoch: 1}
	for i := range nodes {
		a := &actor{addr: address(i)}
		s.actors = append(s.actors, a)
		s.boot(i)
		rec.Seats = append(rec.Seats, wire.Seat{Node: nodeID(a.addr), Incarnation: a.life, Alive: true, Life: 1})
		if i < members {
			cfg.Members = append(cfg.Members, s.member(i))
		}
	}
	cfg.Primary = cfg.Members[0].Node
	rec.Slots = []wire.ShardSlot{{Changed: 1, Config: cfg}}
	table, err := placement.FromRecord(rec)
	if err != nil {
		t.Fatal(err)
	}
	s.table = table
	for i := range nodes {
		s.push(i)
	}
	s.carry(anyone)
	s.grant(0)
	return s
}

// boot starts a process anew.
func (s *stage) boot(i int) {
	a := s.actors[i]
	a.life++
	if a.life == 1 {
		a.life = holo.Incarnation(10 * (i + 1))
	}
	a.up, a.answers = true, map[uint64]shard.Answer{}
	a.machine = shard.New(shard.Options{Self: s.member(i), Timing: shardTiming, Limits: smallLimits(&Options{})})
	a.holder = liveness.NewHolder(a.life, leaseTiming)
}

func (s *stage) crash(i int) { s.actors[i].up = false }

// restart is a crash and a start: the memory is gone.
func (s *stage) restart(i int) { s.boot(i) }

func (s *stage) member(i int) wire.Member {
	return wire.Member{Node: nodeID(address(i)), Incarnation: s.actors[i].life}
}

func (s *stage) config() wire.ShardConfig {
	c, _ := s.table.Get(s.shard)
	return c
}

// push tells a node the present configuration; grant gives it a lease as well.
func (s *stage) push(i int) { s.tell(i, s.config()) }

// inform tells all that run, as the control plane does.
func (s *stage) inform() {
	for i, a := range s.actors {
		if a.up {
			s.push(i)
		}
	}
}

func (s *stage) tell(i int, c wire.ShardConfig) {
	s.actors[i].machine.Configure(s.now, []wire.ShardConfig{c})
	s.drain(i)
}

func (s *stage) grant(i int) {
	s.actors[i].machine.Grant(s.now, s.now.Add(leaseTiming.TTL), []wire.ShardConfig{s.config()})
	s.drain(i)
}

// decide applies commands to the shard table, as Raft does.
func (s *stage) decide(cmds ...wire.Message) {
	s.t.Helper()
	c := &control{table: s.table}
	for _, cmd := range cmds {
		s.index++
		s.table.Begin(s.index)
		if err := c.transition(cmd); err != nil {
			s.t.Fatalf("%s: %v", commandName(cmd), err)
		}
	}
	cfg := s.config()
	if err := s.table.Check(&cfg); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) life(i int) uint64 {
	seat, _ := s.table.Seat(nodeID(address(i)))
	return seat.Life
}

// dead, alive, registered, learner and so on are the commands.
func (s *stage) dead(i int) wire.Message {
	inc, _ := s.table.Registered(nodeID(address(i)))
	return &wire.NodeDead{Node: nodeID(address(i)), Incarnation: inc, Life: s.life(i)}
}

func (s *stage) register(i int) wire.Message {
	return &wire.NodeRegister{Node: nodeID(address(i)), Incarnation: s.actors[i].life, Life: s.life(i)}
}

func (s *stage) learner(m wire.Member) wire.Message {
	c := s.config()
	return &wire.ShardLearner{Shard: s.shard, Epoch: c.Epoch, Gen: c.LearnerGen, Learner: m}
}

func (s *stage) transfer(from, to int) wire.Message {
	return &wire.ShardTransfer{Shard: s.shard, Epoch: s.config().Epoch, By: s.member(from), To: nodeID(address(to))}
}

// promote lets a learner learn, and commits its promotion.
func (s *stage) promote() {
	s.t.Helper()
	for range 10 {
		s.pass(shardTiming.Resend)
		s.carry(anyone)
		if ls := s.take(kindOf[*wire.ShardPromote]); len(ls) > 0 {
			s.decide(ls[0].msg)
			return
		}
	}
	s.t.Fatal("the learner was not proposed")
}

// drain moves what a machine wants sent into the mail.
func (s *stage) drain(i int) {
	a := s.actors[i]
	if !a.up {
		return
	}
	ready := a.machine.Ready(s.now)
	for _, e := range ready.Send {
		s.mail = append(s.mail, letter{a.addr, addressOf(e.To), e.Msg})
	}
	for _, p := range ready.Propose {
		s.mail = append(s.mail, letter{a.addr, leaderAddr, p})
	}
	for _, ans := range ready.Answers {
		a.answers[ans.ID] = ans
	}
}

// anyone matches every letter; to and from those of one process; and asks for
// all of several.
func anyone(letter) bool { return true }

func to(i int) func(letter) bool   { return func(l letter) bool { return l.to == address(i) } }
func from(i int) func(letter) bool { return func(l letter) bool { return l.from == address(i) } }

func kindOf[M wire.Message](l letter) bool {
	_, ok := l.msg.(M)
	return ok
}

func not(f func(letter) bool) func(letter) bool { return func(l letter) bool { return !f(l) } }

func and(fs ...func(letter) bool) func(letter) bool {
	return func(l letter) bool {
		for _, f := range fs {
			if !f(l) {
				return false
			}
		}
		return true
	}
}

// take removes the letters that match and returns them.
func (s *stage) take(match func(letter) bool) (taken []letter) {
	var rest []letter
	for _, l := range s.mail {
		if match(l) {
			taken = append(taken, l)
		} else {
			rest = append(rest, l)
		}
	}
	s.mail = rest
	return taken
}

// carry delivers the letters that match, and those that they cause, until none
// is left. Letters to the control plane stay, unless a keeper works.
func (s *stage) carry(match func(letter) bool) {
	for range 1000 {
		letters := s.take(and(match, func(l letter) bool { return l.to < firstClient || s.keeper != nil && l.to == leaderAddr }))
		if len(letters) == 0 {
			return
		}
		for _, l := range letters {
			s.deliver(l)
		}
	}
	s.t.Fatal("messages go round without end")
}

// deliver hands over one letter, which may be one that was kept back or one
// that was delivered before.
func (s *stage) deliver(l letter) {
	msg, err := wire.Decode(wire.Encode(l.msg))
	if err != nil {
		s.t.Fatal(err)
	}
	if l.to == leaderAddr {
		if hb, ok := msg.(*wire.Heartbeat); ok {
			s.keeper.Heartbeat(s.now, nodeID(l.from), hb)
			return
		}
		s.keeper.Request(s.now, nodeID(l.from), msg)
		return
	}
	if l.to >= firstClient || !s.actors[l.to].up {
		return
	}
	a := s.actors[l.to]
	switch msg := msg.(type) {
	case *wire.Grant:
		if until, ok := a.holder.Granted(s.now, msg); ok {
			a.machine.Grant(s.now, until, msg.Configs)
		}
	case *wire.ConfigPush:
		a.machine.Configure(s.now, msg.Configs)
	case *wire.ShrinkHint:
		a.machine.ShrinkHint(s.now, msg)
	case wire.ShardMessage:
		a.machine.Step(s.now, nodeID(l.from), msg)
	}
	s.drain(int(l.to))
}

// pass lets time go by, in ticks; nothing is delivered.
func (s *stage) pass(d holo.Duration) {
	for end := s.now.Add(d); s.now < end; {
		s.now = s.now.Add(min(tickEvery, end.Sub(s.now)))
		for i, a := range s.actors {
			if a.up {
				a.machine.Tick(s.now)
				s.drain(i)
			}
		}
	}
}

// live lets time go by with a keeper at work: heartbeats, grants and decisions
// flow, as do all messages that match.
func (s *stage) live(d holo.Duration, match func(letter) bool) {
	for end := s.now.Add(d); s.now < end; {
		s.pass(tickEvery)
		for _, a := range s.actors {
			if hb, due := a.holder.Due(s.now); due && a.up {
				s.mail = append(s.mail, letter{a.addr, leaderAddr, hb})
			}
		}
		s.carry(match)
		s.keep()
		s.carry(match)
	}
}

// keep is one turn of the keeper, whose proposals are committed at once.
func (s *stage) keep() {
	k := &keeper{table: s.table}
	s.keeper.Tick(s.now, k)
	r := s.keeper.Ready()
	if r.VerifyRound != 0 {
		s.keeper.Verified(s.now, r.VerifyRound)
	}
	for _, e := range r.Send {
		s.mail = append(s.mail, letter{leaderAddr, addressOf(e.To), e.Msg})
	}
	c := &control{table: s.table}
	for _, cmd := range r.Propose {
		s.index++
		s.table.Begin(s.index)
		_ = c.transition(cmd) // a refusal is the table's answer
	}
}

func (s *stage) elect() {
	s.keeper = liveness.NewKeeper(s.now, leaseTiming, rand.New(rand.NewPCG(1, 2)))
}

// page is the page that the stories are about.
var page = holo.PageID{Array: freeArray, Index: 0}

// write submits a value at a node and returns the ID of the answer to come.
func (s *stage) write(i int, value uint64) uint64 {
	s.last++
	mu := wire.Mutation{
		Op: holo.OpID{Session: 1, Num: value}, Kind: wire.MutateWrite, Array: page.Array,
		Changes: []wire.Change{{Page: page.Index, Kind: wire.PageFill, Data: binary.LittleEndian.AppendUint64(nil, value)}},
	}
	shard.SignMutation(&mu)
	s.actors[i].machine.Submit(s.now, s.last, s.shard, mu)
	s.drain(i)
	return s.last
}

// acked reports whether a write was acknowledged by the node.
func (s *stage) acked(i int, id uint64) bool {
	a, ok := s.actors[i].answers[id]
	return ok && a.Err == nil
}

// mustWrite writes, delivers everything, and expects the acknowledgement.
func (s *stage) mustWrite(i int, value uint64) {
	s.t.Helper()
	id := s.write(i, value)
	s.carry(anyone)
	if !s.acked(i, id) {
		s.t.Fatalf("node %d did not acknowledge a write: %+v", i, s.actors[i].answers[id])
	}
}

func (s *stage) begin(i int, holder wire.Member) (*shard.Read, error) {
	return s.actors[i].machine.BeginRead(s.now, shard.ReadRequest{Shard: s.shard, Pages: []holo.PageID{page}, Holder: holder})
}

// read reads the page at a node.
func (s *stage) read(i int, holder wire.Member) (uint64, *shard.Read, error) {
	rd, err := s.begin(i, holder)
	if err == nil {
		err = s.actors[i].machine.FinishRead(s.now, rd)
	}
	if err != nil {
		return 0, nil, err
	}
	return valueOf(&rd.Pages[0]), rd, nil
}

// mustRead expects a value.
func (s *stage) mustRead(i int, want uint64) {
	s.t.Helper()
	if got, _, err := s.read(i, wire.Member{}); err != nil || got != want {
		s.t.Fatalf("node %d reads %d, %v; want %d", i, got, err, want)
	}
}

func (s *stage) status(i int) shard.Status { return s.actors[i].machine.Status(s.shard) }

func (s *stage) state(i int) shard.State { return s.status(i).State }
