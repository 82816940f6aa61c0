package main

import (
	"runtime"
	"sync"
	"syscall"
	"time"
)

// turns has nodes run one after the other, each with its workers and all processors
// to itself, as if it were a machine of its own that is as fast as its part of a
// round is long. It owns the nodes' processes until end, which has all run again.
type turns struct {
	nodes  []*node
	parts  []time.Duration // of a round, for each node; what is left is burned
	had    []time.Duration // by each node, as the clock says
	since  time.Time
	stop   chan struct{}
	rounds sync.WaitGroup
}

// round is short beside a task and a lease, and long beside a signal.
const round = 24 * time.Millisecond

func takeTurns(nodes []*node, parts ...time.Duration) *turns {
	t := &turns{nodes: nodes, parts: parts, had: make([]time.Duration, len(nodes)), since: time.Now(), stop: make(chan struct{})}
	for _, n := range nodes {
		signalTree(n, syscall.SIGSTOP)
	}
	t.rounds.Go(func() {
		for t.one() {
		}
		for _, n := range t.nodes {
			signalTree(n, syscall.SIGCONT)
		}
	})
	return t
}

// one round; false when there is to be no other.
func (t *turns) one() bool {
	began := time.Now()
	for i, n := range t.nodes {
		if t.ahead(i) {
			continue
		}
		signalTree(n, syscall.SIGCONT)
		from := time.Now()
		time.Sleep(t.parts[i])
		signalTree(n, syscall.SIGSTOP)
		t.had[i] += time.Since(from)
	}
	burn(began.Add(round))
	select {
	case <-t.stop:
		return false
	default:
		return true
	}
}

// ahead reports whether a node has had its part: no clock is exact to a turn.
func (t *turns) ahead(i int) bool {
	return t.had[i].Seconds() > time.Since(t.since).Seconds()*t.parts[i].Seconds()/round.Seconds()
}

// burn keeps all processors busy: what is nobody's turn is as much in the way of
// other work on this machine as a node's, or the nodes would run faster after it.
func burn(until time.Time) {
	var all sync.WaitGroup
	for range runtime.NumCPU() {
		all.Go(func() {
			for time.Now().Before(until) {
			}
		})
	}
	all.Wait()
}

// end lets all nodes run, and says what part of the time each had.
func (t *turns) end() (speeds []float64) {
	close(t.stop)
	t.rounds.Wait()
	for _, had := range t.had {
		speeds = append(speeds, had.Seconds()/time.Since(t.since).Seconds())
	}
	return speeds
}

// signalTree signals a node and its workers, which are in sessions of their own. A
// worker may have ended, and one that begins meanwhile is met in the next turn.
func signalTree(n *node, s syscall.Signal) {
	pid := n.agent.Process.Pid
	_ = syscall.Kill(pid, s)
	for _, worker := range children(pid) {
		_ = syscall.Kill(worker, s)
	}
}
