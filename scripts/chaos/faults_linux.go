package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"
)

// fault breaks something and mends it again.
type fault struct {
	name string
	do   func(c *cluster, rng *rand.Rand, hold func(least, most time.Duration)) error
}

// faults, each with its own measure of how long.
var faults = []fault{
	{"kill", func(c *cluster, rng *rand.Rand, hold func(least, most time.Duration)) error {
		n := c.any(rng)
		if err := n.kill(); err != nil {
			return err
		}
		hold(0, 8*time.Second)
		return n.start()
	}},
	{"stop", func(c *cluster, rng *rand.Rand, hold func(least, most time.Duration)) error {
		n := c.any(rng)
		if err := n.agent.Process.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		hold(100*time.Millisecond, 10*time.Second)
		return n.agent.Process.Signal(syscall.SIGCONT)
	}},
	{"cut one off", func(c *cluster, rng *rand.Rand, hold func(least, most time.Duration)) error {
		return c.cut(rng.Perm(size)[:1], true, hold)
	}},
	{"cut one off in one direction", func(c *cluster, rng *rand.Rand, hold func(least, most time.Duration)) error {
		return c.cut(rng.Perm(size)[:1], false, hold)
	}},
	{"cut two from three", func(c *cluster, rng *rand.Rand, hold func(least, most time.Duration)) error {
		return c.cut(rng.Perm(size)[:2], true, hold)
	}},
	{"lose packets", func(c *cluster, rng *rand.Rand, hold func(least, most time.Duration)) error {
		n, percent := c.any(rng), 1+rng.IntN(30)
		if err := n.rules(fmt.Sprintf("meta l4proto udp numgen random mod 100 < %d", percent)); err != nil {
			return err
		}
		hold(5*time.Second, 10*time.Second)
		return n.rules()
	}},
	{"fill a disk", func(c *cluster, rng *rand.Rand, hold func(least, most time.Duration)) error {
		n := c.any(rng)
		if err := n.stuff(); err != nil {
			return err
		}
		hold(2*time.Second, 8*time.Second)
		return n.empty()
	}},
	{"slow one's link", func(c *cluster, rng *rand.Rand, hold func(least, most time.Duration)) error {
		delay, rate := time.Duration(10+rng.IntN(90))*time.Millisecond, 1<<20<<rng.IntN(4)
		end, err := c.lab.Slow(c.any(rng).Machine, delay, rate)
		if err != nil {
			return err
		}
		hold(5*time.Second, 10*time.Second)
		return end()
	}},
}

func (c *cluster) any(rng *rand.Rand) *node { return c.nodes[rng.IntN(size)] }

// cut separates some nodes from the others, or has them only not hear the others,
// who hear them.
func (c *cluster) cut(some []int, both bool, hold func(least, most time.Duration)) error {
	var here, there []string
	for i, n := range c.nodes {
		if contains(some, i) {
			here = append(here, n.IP)
		} else {
			there = append(there, n.IP)
		}
	}
	for i, n := range c.nodes {
		from := there
		if !contains(some, i) {
			if from = here; !both {
				continue
			}
		}
		if err := n.rules("ip saddr { " + strings.Join(from, ", ") + " }"); err != nil {
			return err
		}
	}
	hold(time.Second, 10*time.Second)
	for _, n := range c.nodes {
		if err := n.rules(); err != nil {
			return err
		}
	}
	return nil
}

func contains(list []int, i int) bool {
	for _, e := range list {
		if e == i {
			return true
		}
	}
	return false
}

// breakThings breaks one thing after the other, each of them in turn and in an
// order by chance, and waits each time until everything is whole again.
func (c *cluster) breakThings(until time.Time, rng *rand.Rand, u *users) error {
	for round := 1; time.Now().Before(until); round++ {
		for _, i := range rng.Perm(len(faults)) {
			if time.Now().After(until) && round > 1 {
				return nil
			}
			if err := c.breakOne(faults[i], rng, u); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *cluster) breakOne(f fault, rng *rand.Rand, u *users) error {
	u.read.Take()
	u.written.Take()
	var held time.Duration
	hold := func(least, most time.Duration) {
		held = least + time.Duration(rng.Int64N(int64(most-least)))
		select {
		case <-time.After(held):
		case <-u.failed:
		}
	}
	if err := f.do(c, rng, hold); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	mended := time.Now()
	if err := c.healed("after " + f.name); err != nil {
		return err
	}
	fmt.Printf("chaos: %-28s %4.1f s   no read for %4.1f s, no write for %4.1f s   whole %4.1f s after it\n",
		f.name, held.Seconds(), u.read.Take().Seconds(), u.written.Take().Seconds(), time.Since(mended).Seconds())
	return u.trouble()
}
