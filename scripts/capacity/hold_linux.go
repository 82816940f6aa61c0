package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/holocompute/holocompute"
)

// step is how much is written or read at a time.
const step = 4 * mib

func (c *cluster) create(ctx context.Context, name string, bytes uint64, copies int) error {
	_, err := holocompute.Create[uint8](ctx, c.nodes[0].Cluster, name, bytes, holocompute.ArrayOptions{Copies: copies})
	return err
}

// holds writes an array through the first node, reads it through the others, looks
// at the memory, and deletes it again.
func (c *cluster) holds(ctx context.Context, name string, bytes uint64, copies int) error {
	if err := c.weighEmpty(); err != nil {
		return err
	}
	if err := c.create(ctx, name, bytes, copies); err != nil {
		return err
	}
	want, err := c.write(ctx, name, bytes)
	if err != nil {
		return err
	}
	if err := c.weigh(name); err != nil {
		return err
	}
	for _, n := range c.nodes[1:] {
		if got, err := n.sum(ctx, name); err != nil || got != want {
			return fmt.Errorf("%s: %d bytes read through another node: SHA-256 %x, want %x: %v", name, bytes, got, want, err)
		}
	}
	if err := c.weigh(name + ", read"); err != nil {
		return err
	}
	a, err := holocompute.Open[uint8](ctx, c.nodes[0].Cluster, name)
	if err != nil {
		return err
	}
	return errors.Join(a.Delete(ctx), c.baseline(ctx))
}

func (c *cluster) write(ctx context.Context, name string, bytes uint64) (sum [32]byte, err error) {
	a, err := holocompute.Open[uint8](ctx, c.nodes[0].Cluster, name)
	if err != nil {
		return sum, err
	}
	c.stood = 0
	hash, chance, began := sha256.New(), rand.NewChaCha8([32]byte{byte(bytes >> 20)}), time.Now()
	for buf, first := make([]byte, step), uint64(0); first < bytes; first += step {
		chance.Read(buf)
		hash.Write(buf)
		since := time.Now()
		if err := a.Write(ctx, first, buf); err != nil {
			return sum, err
		}
		c.stood = max(c.stood, time.Since(since))
	}
	fmt.Printf("capacity: %s: %d MiB written in %.1f s, %d MiB in at most %.2f s\n", name, bytes/mib, time.Since(began).Seconds(), step/mib, c.stood.Seconds())
	return [32]byte(hash.Sum(nil)), nil
}

func (n *node) sum(ctx context.Context, name string) (sum [32]byte, err error) {
	a, err := holocompute.Open[uint8](ctx, n.Cluster, name)
	if err != nil {
		return sum, err
	}
	hash := sha256.New()
	for buf, first := make([]byte, step), uint64(0); first < a.Len(); first += step {
		if err := a.Read(ctx, first, buf); err != nil {
			return sum, err
		}
		hash.Write(buf)
	}
	return [32]byte(hash.Sum(nil)), nil
}

func (c *cluster) weighEmpty() (err error) {
	for _, n := range c.nodes {
		if n.bare == 0 && err == nil {
			n.bare, err = n.resident()
		}
	}
	return err
}

// weigh checks that no process has more memory than its node offers, and 15 %.
func (c *cluster) weigh(when string) error {
	var errs []error
	for i, n := range c.nodes {
		has, err := n.resident()
		if err != nil {
			return err
		}
		pages := has - min(n.bare, has)
		fmt.Printf("capacity: %s: node %d has %d MiB resident, %d MiB when empty: %.0f %% of its %d MiB\n",
			when, i+1, has/mib, n.bare/mib, float64(pages)*100/float64(c.memory), c.memory/mib)
		if pages > c.memory*115/100 {
			errs = append(errs, fmt.Errorf("%s: node %d takes %d MiB more than when it was empty, and offers %d MiB", when, i+1, pages/mib, c.memory/mib))
		}
	}
	return errors.Join(errs...)
}

// baseline waits until no node holds pages any more, in memory or on disk.
func (c *cluster) baseline(ctx context.Context) error {
	var last uint64
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		s, err := c.nodes[0].Status(ctx)
		if err != nil {
			return err
		}
		last = 0
		for _, n := range s.Nodes {
			last += n.ResidentBytes + n.SpilledBytes
		}
		if last == 0 {
			return nil
		}
	}
	return fmt.Errorf("everything is deleted, and %d bytes of pages are left after %s", last, patience)
}
