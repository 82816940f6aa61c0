package consensus

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// wires connects groups by pipes. Time in these tests is synctest's, so that
// elections take none.
type wires struct {
	mu      sync.Mutex
	arrived map[holo.NodeID]chan arrival
	cut     map[holo.NodeID]bool
	open    map[net.Conn][2]holo.NodeID
}

type arrival struct {
	conn net.Conn
	from holo.NodeID
}

func newWires() *wires {
	return &wires{arrived: map[holo.NodeID]chan arrival{}, cut: map[holo.NodeID]bool{}, open: map[net.Conn][2]holo.NodeID{}}
}

func (w *wires) door(id holo.NodeID) chan arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.arrived[id] == nil {
		w.arrived[id] = make(chan arrival, 64)
	}
	return w.arrived[id]
}

// isolate cuts a node off, or brings it back.
func (w *wires) isolate(id holo.NodeID, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut[id] = cut
	for conn, ends := range w.open {
		if cut && slices.Contains(ends[:], id) {
			conn.Close()
			delete(w.open, conn)
		}
	}
}

// end is a node's Streams.
type end struct {
	*wires
	self holo.NodeID
}

func (e end) Dial(ctx context.Context, peer holo.NodeID) (net.Conn, error) {
	door := e.door(peer)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cut[peer] || e.cut[e.self] {
		return nil, holo.Errorf(holo.Unavailable, "dial %s: cut off", peer)
	}
	near, far := net.Pipe()
	e.open[near] = [2]holo.NodeID{e.self, peer}
	e.open[far] = e.open[near]
	select {
	case door <- arrival{far, e.self}:
		return near, nil
	default:
		return nil, holo.Errorf(holo.Unavailable, "dial %s: not listening", peer)
	}
}

func (e end) Accept(ctx context.Context) (net.Conn, holo.NodeID, error) {
	select {
	case a := <-e.door(e.self):
		return a.conn, a.from, nil
	case <-ctx.Done():
		return nil, holo.NodeID{}, ctx.Err()
	}
}

// list is a state machine: the commands in their order.
type list struct {
	mu       sync.Mutex
	commands []string
	restored int
	changed  chan struct{}
}

func newList() *list { return &list{changed: make(chan struct{})} }

func (l *list) Apply(_ uint64, cmd []byte) any {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.commands = append(l.commands, string(cmd))
	close(l.changed)
	l.changed = make(chan struct{})
	return len(l.commands)
}

func (l *list) Snapshot() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return []byte(strings.Join(l.commands, "\n")), nil
}

func (l *list) Restore(b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.commands = strings.Split(string(b), "\n")
	l.restored++
	close(l.changed)
	l.changed = make(chan struct{})
	return nil
}

func (l *list) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.commands)
}

func (l *list) restores() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.restored
}

// wait returns when n commands are applied.
func (l *list) wait(t *testing.T, n int) []string {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if have := l.all(); len(have) >= n {
			return have
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%d commands applied of %d", len(l.all()), n)
		}
	}
}

// voter is a node under test.
type voter struct {
	*Group
	id      holo.NodeID
	dir     string
	state   *list
	wires   *wires
	mu      sync.Mutex
	refused map[string]int
}

func newVoter(t *testing.T, w *wires, number byte) *voter {
	t.Helper()
	v := &voter{id: holo.NodeID{number, 0xee}, dir: t.TempDir(), wires: w, refused: map[string]int{}}
	v.open(t)
	t.Cleanup(func() { v.Close() })
	return v
}

func (v *voter) open(t *testing.T) {
	t.Helper()
	v.state = newList()
	g, err := Open(Config{
		Self: v.id, Dir: v.dir, Streams: end{v.wires, v.id}, FSM: v.state, Logger: slog.New(slog.DiscardHandler), Refused: v.count,
	})
	if err != nil {
		t.Fatal(err)
	}
	v.Group = g
}

func (v *voter) count(reason string, _ holo.NodeID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.refused[reason]++
}

func (v *voter) refusals(reason string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.refused[reason]
}

func (v *voter) propose(t *testing.T, cmd string) {
	t.Helper()
	if _, err := v.Propose(t.Context(), []byte(cmd)); err != nil {
		t.Fatalf("propose %s: %v", cmd, err)
	}
}

// newCluster makes n voters, the first of which leads.
func newCluster(t *testing.T, n byte) (*wires, []*voter) {
	t.Helper()
	w := newWires()
	first := newVoter(t, w, 1)
	if err := first.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	leads(t, first)
	all := []*voter{first}
	for i := byte(2); i <= n; i++ {
		next := newVoter(t, w, i)
		next.Expect(first.id)
		if err := first.AddNonvoter(t.Context(), next.id); err != nil {
			t.Fatal(err)
		}
		if err := first.Promote(t.Context(), next.id); err != nil {
			t.Fatal(err)
		}
		all = append(all, next)
	}
	return w, all
}

// leads waits until one of the nodes leads and can read.
func leads(t *testing.T, among ...*voter) *voter {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		for _, v := range among {
			if v.IsLeader() && v.Read(t.Context()) == nil {
				return v
			}
		}
		<-time.After(10 * time.Millisecond) // virtual
	}
	t.Fatal("nobody leads")
	return nil
}
