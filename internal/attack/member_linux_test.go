package attack

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/wire"
)

// traitor makes messages of every type with wrong contents. It knows what a
// member can know: who the others are and the numbers of their lives, the
// arrays, the shards, the epochs.
type traitor struct {
	chance *rand.Rand
	nodes  []holo.NodeID
	lives  []holo.Incarnation
	shards []holo.ShardID
}

// values of particular types that get a message past the first look.
func (m *traitor) known(v reflect.Value) bool {
	pick := func(n int) int { return m.chance.IntN(n) }
	switch v.Interface().(type) {
	case holo.NodeID:
		v.Set(reflect.ValueOf(m.nodes[pick(len(m.nodes))]))
	case holo.Incarnation:
		v.Set(reflect.ValueOf(m.lives[pick(len(m.lives))]))
	case holo.ShardID:
		v.Set(reflect.ValueOf(m.shards[pick(len(m.shards))]))
	case holo.ArrayID:
		v.Set(reflect.ValueOf(holo.ArrayID(1 + pick(3))))
	case holo.Epoch:
		v.Set(reflect.ValueOf([]holo.Epoch{1, 2, 3, 1 << 40, math.MaxUint64}[pick(5)]))
	default:
		return false
	}
	return true
}

// fill sets the fields of a message, small numbers mostly: they are in range.
func (m *traitor) fill(v reflect.Value) {
	if !v.CanSet() || m.known(v) {
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(m.chance.IntN(2) == 0)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(m.number() & (math.MaxUint64 >> (64 - v.Type().Bits())))
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Int:
		v.SetInt(int64(m.number() & (math.MaxInt64 >> (64 - v.Type().Bits()))))
	case reflect.String:
		v.SetString([]string{"", "open", "precious", "n0", "\x00\xff\n", "127.0.0.1:1"}[m.chance.IntN(6)])
	case reflect.Array:
		for i := range v.Len() {
			m.fill(v.Index(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), m.chance.IntN(4), 4))
		for i := range v.Len() {
			m.fill(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			m.fill(v.Field(i))
		}
	}
}

func (m *traitor) number() uint64 {
	if m.chance.IntN(4) == 0 {
		return m.chance.Uint64() >> m.chance.IntN(64)
	}
	return uint64(m.chance.IntN(5))
}

// encoded is a message with made-up contents, sometimes bent afterwards: cut,
// with a huge count, with changed bytes. Nil where it cannot be encoded at all.
func (m *traitor) encoded(of wire.Message) (b []byte) {
	defer func() {
		if recover() != nil {
			b = nil
		}
	}()
	if m.chance.IntN(8) > 0 {
		m.fill(reflect.ValueOf(of).Elem())
	}
	b = wire.Encode(of)
	switch m.chance.IntN(6) {
	case 0:
		b = b[:2+m.chance.IntN(len(b)-1)]
	case 1:
		if len(b) > 6 {
			binary.LittleEndian.PutUint32(b[2+m.chance.IntN(len(b)-5):], math.MaxUint32-uint32(m.chance.IntN(2)))
		}
	case 2:
		b[m.chance.IntN(len(b))] ^= 1 << m.chance.IntN(8)
	}
	return b
}

// newTraitor looks around as a member does.
func (l *live) newTraitor(ctx context.Context, p *peer, seed uint64) *traitor {
	l.t.Helper()
	s, err := l.sdk.Status(ctx)
	must(l.t, err)
	m := &traitor{chance: rand.New(rand.NewPCG(seed, 7)), shards: []holo.ShardID{holo.MakeShardID(1, 3), holo.MakeShardID(2, 200)}}
	for _, n := range s.Nodes {
		id, err := holo.ParseNodeID(n.ID)
		must(l.t, err)
		m.nodes, m.lives = append(m.nodes, id), append(m.lives, holo.Incarnation(n.Incarnation))
	}
	for extent := range uint64(2) {
		m.shards = append(m.shards, l.shard("precious", extent), l.shard("open", extent))
	}
	if _, err := p.ask(ctx, &wire.UsageRead{}); err != nil {
		l.t.Fatal("control: ", err)
	}
	return m
}

// shard is where an extent of an array lies.
func (l *live) shard(array string, extent uint64) holo.ShardID {
	l.t.Helper()
	a, err := l.sdk.OpenRaw(l.t.Context(), array)
	must(l.t, err)
	return placement.ShardOf(1, a.Info().Affinity, extent)
}

// TestMemberThatSendsEverythingWronglyChangesNothing (threat-model row TB-1): an
// admitted node sends every message that there is, with contents that no honest
// node would give them, first on a stream and inside of a catalogue request.
func TestMemberThatSendsEverythingWronglyChangesNothing(t *testing.T) {
	const each = 40
	l := startLive(t, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	p, err := dialAs(t, ctx, l.target.Address, l.local(), bugs{})
	must(t, err)
	m := l.newTraitor(ctx, p, 1)
	memory, files := l.cost()
	sent := map[wire.Type]int{}
	send := func(of wire.Message) {
		for n := range each {
			b := m.encoded(reflect.New(reflect.TypeOf(of).Elem()).Interface().(wire.Message))
			if b == nil {
				continue
			}
			l.throw(ctx, p, b)
			l.throw(ctx, p, wire.Encode(&wire.ControlRequest{Request: wire.RequestID{byte(n), byte(of.Type())}, Body: b}))
			sent[of.Type()]++
		}
	}
	was := l.state()
	l.counts("a member that sends everything wrongly", "malformed", 100, func() {
		for _, of := range wire.Registered() {
			send(of)
		}
	})
	// Its own heartbeats may have registered it, and evidence that is none goes
	// through Raft before it is refused: commands were applied, to no effect.
	if now := l.state(); now.held != was.held {
		t.Errorf("state %s, was %s", now, was)
	}
	for _, of := range wire.Registered() {
		if sent[of.Type()] == 0 {
			t.Errorf("message %#04x (%T) was never sent", uint16(of.Type()), of)
		}
	}
	if _, err := p.ask(ctx, &wire.UsageRead{}); err != nil {
		t.Errorf("its own session: %v", err) // none of this is a crime of the link
	}
	l.blamed("malformed")
	l.costsLittle(memory, files)
	t.Logf("%d types sent; refusals %v", len(sent), l.all())
}

// blamed wants the first node's signed record to name the member whose keys were
// stolen, and nobody else, and its status to say so.
func (l *live) blamed(reason string) {
	l.t.Helper()
	l.recorded("the traitor", "member.blamed", reason)
	traitor := l.thief.static.Node()
	for r, err := range l.sdk.Audit(l.t.Context(), holocompute.AuditQuery{Event: "member.blamed"}) {
		must(l.t, err)
		if r.Actor != traitor.Hex() || r.ActorKind != "node" || r.Count == 0 {
			l.t.Errorf("record %+v blames another than %s", r, traitor)
		}
	}
	l.await("the status names it", func(s *holocompute.Status) bool {
		return slices.ContainsFunc(s.Warnings, func(w string) bool { return strings.HasPrefix(w, "Node "+liveName+" sent what no node") })
	})
}

func (l *live) all() map[string]uint64 {
	counts, err := l.target.Refusals(l.t.Context())
	must(l.t, err)
	return counts
}

// throw sends a message on a stream of its own and reads no answer.
func (l *live) throw(ctx context.Context, p *peer, message []byte) {
	l.t.Helper()
	c, err := p.open(ctx)
	must(l.t, err)
	if err := c.write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(message))), message...)); err != nil {
		l.t.Log(err) // the node has closed the stream already
	}
	c.CancelRead(0)
}

// TestMemberCannotWriteWhatIsSealed (threat-model row TB-1): well-formed
// mutations of a sealed array, by a member that holds nothing of it, and a seat
// in its shard that nobody gave it.
func TestMemberCannotWriteWhatIsSealed(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1)
	ctx := t.Context()
	p, err := dialAs(t, ctx, l.target.Address, l.local(), bugs{})
	must(t, err)
	m := l.newTraitor(ctx, p, 2)
	a, err := l.sdk.OpenRaw(ctx, "precious")
	must(t, err)
	was := l.state()
	target := slices.Index(m.nodes, l.target.Node)
	for extent := range uint64(2) {
		s := l.shard("precious", extent)
		page := wire.Change{Page: holo.PageIndex(extent), Kind: wire.PageData, Data: make([]byte, holo.PageSize)}
		page.Data[5] = 1
		mu := wire.Mutation{Op: holo.OpID{Session: 9, Num: extent + 1}, Kind: wire.MutateWrite, Array: holo.ArrayID(a.ID()), Changes: []wire.Change{page}}
		shard.SignMutation(&mu)
		if answer, err := p.ask(ctx, &wire.Mutate{Shard: s, Mutation: mu}); err != nil || !isFailure(answer) {
			t.Errorf("a write to a sealed array: %v, %v", answer, err)
		}
		l.usurp(ctx, p, s, m.lives[target], mu)
		l.usurp(ctx, p, l.shard("open", extent), m.lives[target], mu)
	}
	if _, err := p.ask(ctx, &wire.UsageRead{}); err != nil {
		t.Fatal(err)
	}
	l.unchanged("after it", was)
	must(t, openWrite(l, ctx)) // the shards still have their primary
}

// usurp tells a shard's primary that it has a successor.
func (l *live) usurp(ctx context.Context, p *peer, s holo.ShardID, primary holo.Incarnation, mu wire.Mutation) {
	head := wire.ShardHead{Shard: s, Epoch: 99, From: 7, To: primary}
	for _, msg := range []wire.Message{
		&wire.Seal{ShardHead: head}, &wire.Recon{ShardHead: head, Transfer: wire.Transfer{}}, &wire.Repl{ShardHead: head, Entries: []wire.Entry{{Seq: 1, Epoch: 99, Applied: true, Mutation: mu}}},
		&wire.Snap{ShardHead: head, Gen: 99},
	} {
		l.throw(ctx, p, wire.Encode(msg))
	}
}

func isFailure(m wire.Message) bool { _, ok := m.(*wire.Failure); return ok }

// openWrite writes what is there already.
func openWrite(l *live, ctx context.Context) error {
	a, err := l.sdk.OpenRaw(ctx, "open")
	if err == nil {
		err = a.WriteBytes(ctx, 0, l.data)
	}
	return err
}
