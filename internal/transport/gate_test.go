package transport

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
)

func udp(s string) *net.UDPAddr {
	a, err := net.ResolveUDPAddr("udp", s)
	if err != nil {
		panic(err)
	}
	return a
}

func TestBucketFillsWithTimeUpToItsBurst(t *testing.T) {
	start := time.Unix(1000, 0)
	steps := []struct {
		after time.Duration
		takes int // that succeed, then one that does not
	}{{0, 3}, {500 * time.Millisecond, 1}, {time.Hour, 3}, {1400 * time.Millisecond, 2}}
	b := bucket{tokens: 3}
	now := start
	for i, s := range steps {
		now = now.Add(s.after)
		for n := range s.takes {
			if !b.take(now, 2, 3) {
				t.Fatalf("step %d: take %d of %d fails", i, n+1, s.takes)
			}
		}
		if b.take(now, 2, 3) {
			t.Fatalf("step %d: one take too many", i)
		}
	}
	if b.take(now.Add(-time.Hour), 2, 3) {
		t.Error("a clock that goes back makes tokens")
	}
}

func TestNetworksAreToldApart(t *testing.T) {
	same := [][2]string{
		{"10.1.2.3:1", "10.1.2.250:9"}, {"[2001:db8:1:2::1]:1", "[2001:db8:1:2:3::9]:1"}, {"127.0.0.1:1", "[::ffff:127.0.0.9]:2"},
		{"[fe80::1%lo]:1", "[fe80::1]:1"},
	}
	for _, p := range same {
		if network(udp(p[0])) != network(udp(p[1])) {
			t.Errorf("%s and %s are not of one network", p[0], p[1])
		}
	}
	for _, p := range [][2]string{{"10.1.2.3:1", "10.1.3.3:1"}, {"[2001:db8:1::1]:1", "[2001:db8:2::1]:1"}} {
		if network(udp(p[0])) == network(udp(p[1])) {
			t.Errorf("%s and %s are of one network", p[0], p[1])
		}
	}
}

// Whoever forges a peer's addresses must not be able to use up what that peer,
// who can prove them, is allowed.
func TestForgedAddressesDoNotLockTheirOwnerOut(t *testing.T) {
	refused := newCounts()
	g := newGate(Limits{SourceRate: 0.001, SourceBurst: 5}, refused.add)
	victim := udp("10.0.0.1:4000")
	for range 1000 {
		g.mustProve(victim)
	}
	if !g.mustProve(victim) || refused.of(ReasonRetry) < 990 {
		t.Fatalf("forged addresses are believed: %v", refused.all())
	}
	for range 10 { // forged ones that were let through while there was room
		g.admit(t.Context(), &quic.ClientInfo{RemoteAddr: victim})
	}
	if _, err := g.admit(t.Context(), &quic.ClientInfo{RemoteAddr: victim, AddrVerified: true}); err != nil {
		t.Fatalf("the owner is refused: %v", err)
	}
}

func TestProvenSourceIsRefusedAboveItsRate(t *testing.T) {
	refused := newCounts()
	g := newGate(Limits{SourceRate: 0.001, SourceBurst: 5}, refused.add)
	enter := func(addr string) error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := g.admit(ctx, &quic.ClientInfo{RemoteAddr: udp(addr), AddrVerified: true})
		return err
	}
	for i := range 5 {
		if err := enter("10.0.0.1:1"); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	if err := enter("10.0.0.2:1"); holo.ReasonOf(err) != ReasonRateSource || refused.of(ReasonRateSource) != 1 {
		t.Errorf("sixth of its network: %v, %v", err, refused.all())
	}
	if err := enter("10.0.9.1:1"); err != nil {
		t.Errorf("another network: %v", err)
	}
}

func TestHalfOpenConnectionsAreBounded(t *testing.T) {
	g := newGate(Limits{HalfOpen: 8, SourceHalfOpen: 3}, func(string) {})
	var visits []*visit
	for i := range 100 {
		info := &quic.ClientInfo{RemoteAddr: udp(fmt.Sprintf("10.0.%d.1:1", i%10)), AddrVerified: true}
		if ctx, err := g.admit(t.Context(), info); err == nil {
			visits = append(visits, ctx.Value(visitKey{}).(*visit))
		}
		if i == 30 && len(visits) != 8 {
			t.Fatalf("%d connections in of 8", len(visits))
		}
	}
	if g.halfOpen() != 8 {
		t.Fatalf("%d half open", g.halfOpen())
	}
	one := newGate(Limits{HalfOpen: 8, SourceHalfOpen: 3}, func(string) {})
	for range 10 {
		one.enter(&quic.ClientInfo{RemoteAddr: udp("10.0.0.1:1"), AddrVerified: true})
	}
	if one.halfOpen() != 3 {
		t.Errorf("one network has %d of 8, want 3", one.halfOpen())
	}
	for _, v := range visits {
		v.trust(handshake.KindNode)
		v.leave() // an ended session does not give its place back twice
	}
	if g.halfOpen() != 0 || g.done.Load() != 8 || g.ended.Load() != 0 {
		t.Errorf("%d half open, %d done, %d ended", g.halfOpen(), g.done.Load(), g.ended.Load())
	}
}

func TestMemoryOfNetworksIsBounded(t *testing.T) {
	g := newGate(Limits{SourceRate: 1, SourceBurst: 40}, func(string) {})
	now := time.Now()
	for i := range 3 * maxSources {
		now = now.Add(time.Millisecond)
		g.source(now, g.mu.claimed, &net.UDPAddr{IP: net.IPv4(byte(i>>16), byte(i>>8), byte(i), 1), Port: 1})
	}
	if n := len(g.mu.claimed); n != maxSources {
		t.Fatalf("%d networks are remembered", n)
	}
	newcomer := udp("192.0.2.1:1")
	if g.source(now, g.mu.claimed, newcomer) != nil {
		t.Fatal("room for one more")
	}
	if !g.mustProve(newcomer) {
		t.Fatal("an address is believed when the table is full")
	}
	if _, reason := g.enter(&quic.ClientInfo{RemoteAddr: newcomer, AddrVerified: true}); reason != "" {
		t.Fatalf("forged addresses shut a proven one out: %s", reason)
	}
	if g.source(now.Add(time.Hour), g.mu.claimed, newcomer) == nil {
		t.Fatal("no room although all have been quiet for an hour")
	}
}

func TestFloodOfStrangersLeavesPeersAlone(t *testing.T) {
	const floods = 120
	limits := Limits{HalfOpen: 20, SourceHalfOpen: 12, SourceBurst: 1000, SourceRate: 1000, Burst: 1000, Rate: 1000}
	server := newSide(t, func(s *side) { s.config.Limits = limits })
	near, far := connect(t, newSide(t), server, Data)
	go echo(far)
	dial := strange(t, server)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var refused, open int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range floods {
		all.Go(func() {
			conn, err := dial(ctx)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				refused++
				return
			}
			open++ // and says nothing
			if n := server.Stats().HalfOpen; n > limits.SourceHalfOpen {
				t.Errorf("%d half open", n)
			}
			context.AfterFunc(ctx, func() { conn.CloseWithError(0, "") })
		})
		roundTrip(t, near, pattern(10<<10))
	}
	all.Wait()
	if refused < floods/2 || open > floods-refused {
		t.Errorf("%d of %d strangers were refused, %d open", refused, floods, open)
	}
	if server.refused.of(ReasonHalfOpen) == 0 || server.refused.of(ReasonRetry) == 0 {
		t.Errorf("refusals %v", server.refused.all())
	}
	roundTrip(t, near, pattern(1<<20))
	cancel()                                                                   // they go away
	for waiting := within(t); server.Stats().HalfOpen > 0; runtime.Gosched() { // a place is free a moment after its refusal was counted
		if waiting.Err() != nil {
			t.Fatalf("%d still half open; refusals %v", server.Stats().HalfOpen, server.refused.all())
		}
	}
	connect(t, newSide(t), server, Control)
}

func TestUnprovenAddressesAreSentAwayToProveThemselves(t *testing.T) {
	server := newSide(t, func(s *side) { s.config.Limits = Limits{Burst: 1, Rate: 0.001} })
	for range 3 { // more than the bucket holds: the last two go through a Retry
		connect(t, newSide(t), server, Control)
	}
	if n := server.refused.of(ReasonRetry); n < 2 {
		t.Errorf("%d retries, want 2 or more", n)
	}
}
