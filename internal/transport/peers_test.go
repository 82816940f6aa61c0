package transport

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// member is a side with a pool that knows the others by a shared book.
type member struct {
	*side
	*Peers
	book *book
	got  chan wire.Message // what came on streams of messages
}

type book struct {
	mu   sync.Mutex
	addr map[holo.NodeID]string
}

func (b *book) set(id holo.NodeID, addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if addr == "" {
		delete(b.addr, id)
		return
	}
	b.addr[id] = addr
}

func (b *book) find(id holo.NodeID) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	addr, ok := b.addr[id]
	return addr, ok
}

func newBook() *book { return &book{addr: map[holo.NodeID]string{}} }

func newMember(t *testing.T, b *book, change ...func(*side)) *member {
	t.Helper()
	m := &member{side: newSide(t, change...), book: b, got: make(chan wire.Message, 4096)}
	m.pool(t)
	return m
}

func (m *member) pool(t *testing.T) {
	m.Peers = NewPeers(m.Transport, PeersConfig{Book: m.book.find, Local: m.local, Handler: m.handle})
	m.book.set(m.id, m.addr())
	served := make(chan struct{})
	peers := m.Peers
	go func() {
		defer close(served)
		peers.Serve(t.Context(), func(s *Session) { s.Close("not a node") })
	}()
	t.Cleanup(func() { peers.Close(); <-served })
}

func (m *member) handle(_ *Session, st *Stream) {
	defer st.Close()
	for {
		msg, err := st.ReadMessage()
		if err != nil {
			return
		}
		m.got <- msg
		if beat, ok := msg.(*wire.Heartbeat); ok && beat.Incarnation == wantsAnswer && st.WriteMessage(msg) != nil {
			return
		}
	}
}

const wantsAnswer = 7

// ask sends a request on a stream of its own and wants the answer.
func (m *member) ask(ctx context.Context, to holo.NodeID, number uint64) error {
	st, err := m.Open(ctx, to, Data)
	if err != nil {
		return err
	}
	defer st.Close()
	if err := st.WriteMessage(&wire.Heartbeat{Incarnation: wantsAnswer, LastGrant: number}); err != nil {
		return err
	}
	answer, err := st.ReadMessage()
	if err != nil {
		return err
	}
	if beat, ok := answer.(*wire.Heartbeat); !ok || beat.LastGrant != number {
		return errors.New("another answer")
	}
	return nil
}

func TestManyCallersShareOneDial(t *testing.T) {
	b := newBook()
	a, z := newMember(t, b), newMember(t, b)
	var all sync.WaitGroup
	for i := range uint64(50) {
		all.Go(func() {
			if err := a.ask(within(t), z.id, i); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := a.Peers.Stats(); got.Dials != 1 || got.Failed != 0 {
		t.Errorf("%d dials, %d failed", got.Dials, got.Failed)
	}
}

func TestClassesHaveTheirOwnConnections(t *testing.T) {
	b := newBook()
	a, z := newMember(t, b), newMember(t, b)
	control := must(a.Open(within(t), z.id, Control))(t)
	data := must(a.Open(within(t), z.id, Data))(t)
	if control.Session() == data.Session() || control.Session().Class() != Control || data.Session().Class() != Data {
		t.Errorf("classes %s and %s", control.Session().Class(), data.Session().Class())
	}
	if n := len(a.Sessions(z.id)); n != 2 {
		t.Errorf("%d sessions", n)
	}
}

func TestBothMayConnectAtOnce(t *testing.T) {
	for range 10 {
		b := newBook()
		a, z := newMember(t, b), newMember(t, b)
		var all sync.WaitGroup
		for i := range uint64(10) {
			all.Go(func() {
				if err := a.ask(within(t), z.id, i); err != nil {
					t.Errorf("a: %v", err)
				}
			})
			all.Go(func() {
				if err := z.ask(within(t), a.id, i); err != nil {
					t.Errorf("z: %v", err)
				}
			})
		}
		all.Wait()
		if n, m := a.Peers.Stats().Dials, z.Peers.Stats().Dials; n > 1 || m > 1 {
			t.Fatalf("%d and %d dials", n, m)
		}
	}
}

// An evicted node may have been admitted a moment before, in a handshake that
// ends a moment after.
func TestHandshakeThatBeganBeforeTheEvictionMakesNoSession(t *testing.T) {
	b := newBook()
	a, evicted := newMember(t, b), newSide(t)
	other := newSide(t)
	near, far := connect(t, evicted, other, Control) // a session of the evicted, not yet in a's pool
	far.transport = a.Transport
	a.Peers.Drop(evicted.id)
	a.Add(far)
	<-near.Done()
	if n := len(a.Sessions(evicted.id)); n != 0 {
		t.Errorf("%d sessions with the evicted node", n)
	}
	if err := a.Peers.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSendKeepsTheOrder(t *testing.T) {
	b := newBook()
	a, z := newMember(t, b), newMember(t, b)
	const n = 500
	for i := range uint64(n) {
		a.Send(z.id, Control, &wire.Heartbeat{LastGrant: i})
	}
	ctx := within(t)
	for i := range uint64(n) {
		select {
		case m := <-z.got:
			if m.(*wire.Heartbeat).LastGrant != i {
				t.Fatalf("message %d came for %d", m.(*wire.Heartbeat).LastGrant, i)
			}
		case <-ctx.Done():
			t.Fatalf("message %d did not come; %+v", i, a.Peers.Stats())
		}
	}
	if got := a.Peers.Stats(); got.Dropped != 0 || got.Dials != 1 {
		t.Errorf("%+v", got)
	}
}

func TestSendDropsWhatDoesNotFit(t *testing.T) {
	b := newBook()
	a := newMember(t, b)
	var hole holo.NodeID
	hole[0] = 9
	b.set(hole, a.addr()) // answers as somebody else
	for range 3 * queueLength {
		a.Send(hole, Data, &wire.Heartbeat{})
	}
	a.Send(hole, classes, &wire.Heartbeat{})
	a.Peers.Close()
	if got := a.Peers.Stats(); got.Sent != 0 || got.Dropped < queueLength {
		t.Errorf("%+v", got)
	}
}

func TestFailedDialsBackOffUntilThePeerMoves(t *testing.T) {
	b := newBook()
	a, z, other := newMember(t, b), newMember(t, b), newMember(t, b)
	b.set(z.id, other.addr()) // somebody else answers there
	ctx := within(t)
	if _, err := a.Open(ctx, z.id, Control); holo.ReasonOf(err) != ReasonWrongPeer && holo.ReasonOf(err) != ReasonBackOff {
		t.Fatalf("first: %v", err)
	}
	for range 100 {
		_, err := a.Open(ctx, z.id, Control)
		if err == nil || holo.KindOf(err) != holo.Unavailable {
			t.Fatalf("again: %v", err)
		}
	}
	if got := a.Peers.Stats(); got.Dials > 10 {
		t.Errorf("%d dials for 101 calls", got.Dials)
	}
	b.set(z.id, z.addr())
	must(a.Open(ctx, z.id, Control))(t)
	b.set(other.id, "")
	if _, err := a.Open(ctx, other.id, Control); holo.ReasonOf(err) != ReasonNoAddress {
		t.Errorf("without an address: %v", err)
	}
}

func TestRestartedPeerIsFoundAtOnce(t *testing.T) {
	b := newBook()
	a, z := newMember(t, b), newMember(t, b)
	ctx := within(t)
	if err := a.ask(ctx, z.id, 1); err != nil {
		t.Fatal(err)
	}
	stale := must(a.Open(ctx, z.id, Control))(t).Session() // of another class, too
	// z dies without a word: its socket is gone before its sessions could say so.
	z.ends[0].socket.conn.Close()
	z.Peers.Close()
	z.Transport.Close()
	z.start(t)
	z.pool(t)
	if err := z.ask(ctx, a.id, 2); err != nil { // the new process connects first
		t.Fatal(err)
	}
	<-stale.Done()
	if idle, ok := errors.AsType[*quic.IdleTimeoutError](context.Cause(stale.conn.Context())); ok {
		t.Errorf("the session with the dead process was kept until %v", idle)
	}
	if err := a.ask(ctx, z.id, 3); err != nil {
		t.Fatal(err)
	}
	for _, s := range a.Sessions(z.id) {
		if s.instance != z.instance {
			t.Error("a session with the dead process is left")
		}
	}
}

func TestOldSessionServesUntilItsSuccessorIsThere(t *testing.T) {
	b := newBook()
	a := newMember(t, b)
	late := newSide(t) // whose sessions nobody's Serve takes
	b.set(late.id, late.addr())
	old := must(a.Dial(within(t), late.addr(), a.local(), Data, late.id))(t)
	far := must(late.Accept(within(t)))(t)
	old.since = old.since.Add(-sessionLife - 1)
	a.Add(old)
	go echo(far)
	st := must(a.Open(within(t), late.id, Data))(t)
	if st.Session() != old {
		t.Fatal("the old session does not serve")
	}
	next := must(late.Accept(within(t)))(t) // dialled meanwhile
	go echo(next)
	for fresh := false; !fresh; {
		again := must(a.Open(within(t), late.id, Data))(t)
		fresh = again.Session() != old
		again.Close()
	}
	must(st.Write([]byte("still here")))(t)
	st.CloseWrite()
	if got := must(io.ReadAll(st))(t); string(got) != "still here" {
		t.Errorf("a stream of the old session reads %q", got)
	}
}

func TestRefreshedSessionServesToItsEndAndIsDroppedWithTheOthers(t *testing.T) {
	b := newBook()
	a, late := newMember(t, b), newSide(t) // whose sessions nobody's Serve takes
	b.set(late.id, late.addr())
	old := must(a.Dial(within(t), late.addr(), a.local(), Data, late.id))(t)
	go echo(must(late.Accept(within(t)))(t))
	a.Add(old)
	st := must(a.Open(within(t), late.id, Data))(t)
	a.Refresh(func(s *Session) bool { return s == old })
	go echo(must(late.Accept(within(t)))(t)) // dialled without anybody's asking
	for fresh := false; !fresh; {
		again := must(a.Open(within(t), late.id, Data))(t)
		fresh = again.Session() != old
		again.Close()
	}
	must(st.Write([]byte("still here")))(t)
	st.CloseWrite()
	if got := must(io.ReadAll(st))(t); string(got) != "still here" || isDone(old) {
		t.Errorf("a stream of the old session reads %q; the session is over: %v", got, isDone(old))
	}
	a.Drop(late.id)
	select {
	case <-old.Done():
	case <-within(t).Done():
		t.Error("the old session outlives the eviction of its peer")
	}
}

func TestDropEndsSessionsAndTheirStreams(t *testing.T) {
	b := newBook()
	a, z := newMember(t, b), newMember(t, b)
	ctx := within(t)
	st := must(a.Open(ctx, z.id, Data))(t)
	if err := st.WriteMessage(&wire.Heartbeat{}); err != nil {
		t.Fatal(err)
	}
	<-z.got
	b.set(z.id, "")
	a.Peers.Drop(z.id)
	if _, err := st.Read(make([]byte, 1)); holo.KindOf(err) != holo.Unavailable {
		t.Errorf("read: %v", err)
	}
	if _, err := a.Open(ctx, z.id, Data); holo.ReasonOf(err) != ReasonNoAddress {
		t.Errorf("open: %v", err)
	}
	if len(a.Sessions(z.id)) != 0 {
		t.Error("sessions are left")
	}
}

func TestOtherKindsOfSessionDoNotJoinThePool(t *testing.T) {
	guests := make(chan *Session, 1)
	server := newSide(t)
	server.Transport.Close()
	accept := server.config.Local
	server.config.Local = func() handshake.Local {
		l := accept()
		l.Accept = []handshake.Kind{handshake.KindNode, handshake.KindJoin}
		return l
	}
	server.start(t)
	p := NewPeers(server.Transport, PeersConfig{Book: newBook().find, Local: server.local, Handler: func(*Session, *Stream) { t.Error("served as a peer") }})
	defer p.Close()
	go p.Serve(t.Context(), func(s *Session) { guests <- s })
	newcomer := newSide(t)
	l := newcomer.local()
	l.Kind = handshake.KindJoin
	near := must(newcomer.Dial(within(t), server.addr(), l, Control, holo.NodeID{}))(t)
	guest := <-guests
	if guest.Kind() != handshake.KindJoin || guest.Peer() != newcomer.id || len(p.Sessions(newcomer.id)) != 0 {
		t.Errorf("kind %s, peer %s", guest.Kind(), guest.Peer())
	}
	go echo(guest)
	roundTrip(t, near, []byte("let me in"))
}

func TestPoolClosesWithItsHandlers(t *testing.T) {
	b := newBook()
	a, z := newMember(t, b), newMember(t, b)
	ctx := within(t)
	for range 10 { // handlers that wait for more
		st := must(a.Open(ctx, z.id, Data))(t)
		if err := st.WriteMessage(&wire.Heartbeat{}); err != nil {
			t.Fatal(err)
		}
		<-z.got
	}
	z.Peers.Close() // returns when they have ended
	if _, err := z.Open(ctx, a.id, Data); holo.ReasonOf(err) != ReasonClosed {
		t.Errorf("open: %v", err)
	}
	z.Send(a.id, Data, &wire.Heartbeat{})
	if z.Peers.Stats().Dropped != 1 {
		t.Errorf("%+v", z.Peers.Stats())
	}
	if st, err := a.Open(ctx, z.id, Data); err == nil {
		if _, err := io.Copy(io.Discard, st); err == nil {
			t.Error("a closed pool serves")
		}
	}
}

// TestStreamsOutliveKeysAndSessions (threat-model row TS-5): requests on streams
// of their own, and one stream that lasts all the while, lose nothing to new keys
// and new sessions. As it stands neither comes due here; test/threat runs this
// with keys of a few records and sessions of a moment.
func TestStreamsOutliveKeysAndSessions(t *testing.T) {
	const rounds, askers = 2000, 4
	b := newBook()
	a, far := newMember(t, b), newMember(t, b)
	ctx, begun := within(t), time.Now()
	long := must(a.Open(ctx, far.id, Data))(t)
	defer long.Close()
	done, cancel := context.WithCancel(ctx)
	var load sync.WaitGroup
	for asker := range uint64(askers) {
		load.Go(func() {
			for n := asker; done.Err() == nil; n += askers {
				if err := a.ask(ctx, far.id, n); err != nil {
					t.Errorf("request %d: %v", n, err)
					return
				}
			}
		})
	}
	go func() { // what the far side's handler notes is not looked at
		for range far.got {
		}
	}()
	for n := range uint64(rounds) {
		if err := long.WriteMessage(&wire.Heartbeat{Incarnation: wantsAnswer, LastGrant: n}); err != nil {
			t.Fatal(err)
		}
		if beat, ok := must(long.ReadMessage())(t).(*wire.Heartbeat); !ok || beat.LastGrant != n {
			t.Fatalf("round %d is answered by %v", n, beat)
		}
	}
	cancel()
	load.Wait()
	made := a.Transport.Stats().HandshakesDone
	if made < 3 && time.Since(begun) > 10*sessionLife {
		t.Errorf("%d sessions in ten of their lives", made)
	}
	t.Logf("%d sessions in %s", made, time.Since(begun))
}

// A machine that stood still comes back with sessions that its peers have given
// up, and whose ends it never heard of. The first word on one of them is answered
// with what ends it, and not with silence until the idle time is over once more.
func TestSessionThatThePeerForgotEndsAtTheFirstWord(t *testing.T) {
	for range 3 { // on a machine that is very busy the idle time may come first
		err := endOfForgotten(t)
		if errors.As(err, new(*quic.StatelessResetError)) {
			return
		}
		if !errors.As(err, new(*quic.IdleTimeoutError)) {
			t.Fatalf("the session ended with: %v", err)
		}
	}
	t.Error("the peer never said that it does not know the session")
}

// endOfForgotten makes a session, has the far end close it unheard, and tells how
// the near end comes to know.
func endOfForgotten(t *testing.T) error {
	var gone atomic.Bool
	goodbyes := map[string]bool{} // the filter runs under a lock
	a, z := newSide(t), newSide(t)
	p := newProxy(t, z.addr(), func(up bool, b []byte) []byte {
		if !up && gone.Load() && len(b) != resetSize {
			goodbyes[string(b)] = true
		}
		if goodbyes[string(b)] {
			return nil
		}
		return b
	})
	near, far := connect(t, a, z, Control, p.addr())
	gone.Store(true)
	far.Close("forgotten")
	st := must(near.Open(within(t)))(t)
	defer st.Close()
	st.WriteMessage(&wire.Heartbeat{})
	<-near.Done()
	return context.Cause(near.conn.Context())
}

// resetSize is the length of quic-go's stateless resets (RFC 9000, 10.3).
const resetSize = 42
