package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// What a node holds when one of three is killed, and what it offers: the two that
// are left hold half as much again.
const (
	perNode  = 1024 * mib
	offered  = 2048 * mib
	filled   = perNode * size / 2 // of the array, of which there are two copies
	loadFor  = 2 * time.Second    // before it is measured, and then before the kill
	longest  = 2 * time.Minute    // for the copies to be back
	lookEach = 50 * time.Millisecond
)

// bars are what the time since the kill may be, of nodes that have a machine each,
// of ownProcessors that seal ownSealing bytes a second. Where the victim leads the
// catalogue another has to be elected first, which may take 7 s.
type bars struct{ reads, copies time.Duration }

const (
	ownProcessors = 2
	ownSealing    = 2500 * mib
)

// here are the bars on this machine. Reads wait for a lease to run out, and count
// by what others leave of the processors; copying is work, for which those who are
// left have fewer processors here, with their clients, or slower ones, than on
// machines of their own.
func (b bars) here(left int, all, nodes float64) bars {
	have := nodes * float64(runtime.NumCPU()) * min(1, sealing()/ownSealing)
	crowd := max(1, float64(ownProcessors*left)/have)
	reads := time.Duration(float64(b.reads) / all)
	return bars{reads, reads + time.Duration(float64(b.copies-b.reads)*crowd)}
}

// kill is one way to lose a node.
type kill struct {
	what   string
	leader bool // of the catalogue
	bars   bars
}

// attempts are made where only the time was missed: what a node can do is the best of
// them. All that is about data must hold in each.
const attempts = 3

// failover kills a node that is primary of a third of all shards, once one that
// leads the catalogue and once one that does not.
func failover(holo string) error {
	return errors.Join(
		kill{"a member", false, bars{5 * time.Second, 10 * time.Second}}.best(holo),
		kill{"the leader", true, bars{12 * time.Second, 17 * time.Second}}.best(holo),
	)
}

func (k kill) best(holo string) error {
	return best(func() (slow, err error) {
		err = with(holo, offered, 0, func(ctx context.Context, c *cluster) (err error) {
			slow, err = c.failover(ctx, k)
			return err
		})
		return slow, err
	})
}

// best makes attempts until one is not slow.
func best(attempt func() (slow, err error)) error {
	for try := 1; ; try++ {
		slow, err := attempt()
		if err != nil || slow == nil || try == attempts {
			return errors.Join(err, slow)
		}
		fmt.Printf("capacity: %v: attempt %d of %d\n", slow, try, attempts)
	}
}

// failover is slow where the time was missed and all else held.
func (c *cluster) failover(ctx context.Context, k kill) (slow, err error) {
	if err := c.create(ctx, "full", filled, 2); err != nil {
		return nil, err
	}
	sum, err := c.write(ctx, "full", filled)
	if err != nil {
		return nil, err
	}
	victim, err := c.victim(ctx, k.leader)
	if err != nil {
		return nil, err
	}
	l, err := newLoad(ctx, c.but(victim))
	if err != nil {
		return nil, err
	}
	l.begin(ctx)
	err = c.cost(l)
	if err == nil {
		slow, err = c.lose(ctx, k, victim, l)
	}
	if err := errors.Join(err, l.end()); err != nil {
		return nil, err
	}
	return slow, errors.Join(l.judge(ctx), intact(ctx, l.clients[0], sum))
}

// cost lets the load run for a while and says what of the processors it takes.
func (c *cluster) cost(l *load) error {
	time.Sleep(loadFor)
	m, before, began := watchNodes(c.nodes), l.operations(), time.Now()
	time.Sleep(loadFor)
	spent, err := m.spent()
	if n := l.operations() - before; err == nil && n > 0 {
		fmt.Printf("capacity: %.0f operations a second, %.2f ms of the nodes' processor time each\n",
			float64(n)/time.Since(began).Seconds(), spent.Seconds()*1e3/float64(n))
	}
	return err
}

// victim is a node that leads the catalogue or one that does not.
func (c *cluster) victim(ctx context.Context, leader bool) (*node, error) {
	for _, n := range c.nodes {
		s, err := n.Status(ctx)
		if err != nil {
			return nil, err
		}
		if (s.Leader == s.Node) == leader {
			fmt.Printf("capacity: each node holds about %d MiB of pages\n", s.Nodes[0].ResidentBytes/mib)
			return n, nil
		}
	}
	return nil, errors.New("no node to kill")
}

func (c *cluster) but(victim *node) (left []*node) {
	for _, n := range c.nodes {
		if n != victim {
			left = append(left, n)
		}
	}
	return left
}

// lose kills the node and measures how long what it was home of is not read, and
// not written, and when every page has two copies again.
func (c *cluster) lose(ctx context.Context, k kill, victim *node, l *load) (slow, err error) {
	machine, nodes := watchMachine(c.but(victim)), watchNodes(c.but(victim))
	l.read.Reset(slots)
	l.written.Reset(slots)
	killed := time.Now()
	if err := victim.agent.Process.Kill(); err != nil {
		return nil, err
	}
	victim.agent.Wait()
	noticed, whole, err := c.whole(ctx, l)
	if err != nil {
		return nil, err
	}
	all, ours := machine.share()
	left, theirs := nodes.share()
	if err := errors.Join(ours, theirs); err != nil {
		return nil, err
	}
	read, written, copies := l.read.Take(), l.written.Take(), whole.Sub(killed)
	here := k.bars.here(len(l.clients), all, left)
	fmt.Printf("capacity: %s killed: no read for %.1f s (bar %.1f), no write for %.1f s; known after %.1f s, all copies back after %.1f s (bar %.1f)\n",
		k.what, read.Seconds(), here.reads.Seconds(), written.Seconds(), noticed.Sub(killed).Seconds(), copies.Seconds(), here.copies.Seconds())
	fmt.Printf("capacity: %.0f %% of %d processors, which seal %.0f MiB/s each, were left to the nodes, %.0f %% with their clients; where each node has %d of %d MiB/s the bars are %.0f s and %.0f s\n",
		left*100, runtime.NumCPU(), sealing()/mib, all*100, ownProcessors, ownSealing/mib, k.bars.reads.Seconds(), k.bars.copies.Seconds())
	if read > here.reads || copies > here.copies {
		slow = fmt.Errorf("%s killed: no read for %.1f s (bar %.1f), copies back after %.1f s (bar %.1f): too slow",
			k.what, read.Seconds(), here.reads.Seconds(), copies.Seconds(), here.copies.Seconds())
	}
	return slow, nil
}

// whole waits until the node is known to be dead, and then until every shard has
// its copies.
func (c *cluster) whole(ctx context.Context, l *load) (noticed, whole time.Time, err error) {
	for deadline := time.Now().Add(longest); time.Now().Before(deadline); time.Sleep(lookEach) {
		s, err := l.clients[0].Status(ctx)
		if err != nil {
			continue // who led is dead: it is asked again
		}
		full := s.Shards.Full == s.Shards.Total
		if noticed.IsZero() && !full {
			noticed = time.Now()
		}
		if !noticed.IsZero() && full {
			return noticed, time.Now(), nil
		}
	}
	return noticed, whole, fmt.Errorf("not every shard has its copies after %s", longest)
}

// intact compares all that was written before.
func intact(ctx context.Context, n *node, want [32]byte) error {
	got, err := n.sum(ctx, "full")
	if err != nil || got != want {
		return fmt.Errorf("%d bytes read after the death: SHA-256 %x, want %x: %v", uint64(filled), got, want, err)
	}
	fmt.Printf("capacity: %d MiB are as they were written\n", filled/mib)
	return nil
}
