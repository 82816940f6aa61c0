// Command capacity fills a cluster of three real nodes on this machine up to what
// it promises and beyond, and looks at the memory of their processes; or it kills
// one that is full. Usage:
//
//	capacity HOLO [failover|join|slow]
//
// It has three nodes of 256 MiB without a disk, then three of 64 MiB with one:
//
//	320 MiB of two copies are written through one node and read alike through the others
//	512 MiB of two copies are refused before anything is written, with the arithmetic
//	512 MiB of one copy are written and read alike
//	four times the memory of a node is written to each, and read alike; writing never
//	stands still for 2 s, in the best of three attempts
//	each time the memory of each process is within 15 % of what its node offers,
//	apart from what the same process took when it was empty
//	when the array is deleted, pages in memory and on disk are down to what they were
//
// With failover it has three nodes that hold 1 GiB each, and clients that read and
// write all the time at two of them. It kills one with SIGKILL, once one that does
// not lead the catalogue and once the one that does:
//
//	no read fails, and no write that was acknowledged is lost
//	what the dead node was home of is read again within 5 s, or 12 s where it led
//	every page has two copies again within 10 s, or 17 s
//
// The times are those of a machine that does nothing else. It measures how much of
// the processors others took meanwhile, says so, and has more patience by as much.
// Where only the time is missed it kills once more, three times at most.
//
// With join a fourth node joins three while jobs run one after the other:
//
//	of the jobs while it is given its share the 95th percentile is at most 20 % above that
//	of the jobs beside it before and after
//	no more is moved than the cap allows; the node has its share, every shard all its
//	copies, each job the same result, and the array the same bytes
//
// The 20 % are those of nodes that have two processors each: they are stretched by
// what the nodes share here, as the times above are, and there are three attempts.
//
// With slow two nodes run a job, then three, then three of which one is held to a
// fifth of the processor time of the others, which control groups hold too:
//
//	in the best of three attempts the job takes at most 1.4 times the ideal of nodes that
//	have so much time, where all help each other at no cost, and no longer than on the two
//	nodes alone
//
// The content is pseudo-random, of a seed that it prints, and compared by SHA-256.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const mib = 1 << 20

// mayStand is how long writing may stand still while pages go to disk.
const mayStand = 2 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "capacity:", err)
		os.Exit(1)
	}
	fmt.Println("capacity: all held")
}

func run(args []string) error {
	modes := map[string]func(holo string) error{"": fill, "failover": failover, "join": join, "slow": slow}
	if len(args) == 1 {
		args = append(args, "")
	}
	if len(args) != 2 || modes[args[1]] == nil {
		return errors.New("usage: capacity HOLO [failover|join|slow]")
	}
	holo, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	return modes[args[1]](holo)
}

func fill(holo string) error {
	return errors.Join(with(holo, 256*mib, 0, inMemory), best(func() (slow, err error) {
		err = with(holo, 64*mib, 512*mib, func(ctx context.Context, c *cluster) error {
			defer func() { slow = c.stoodStill() }()
			return onDisk(ctx, c)
		})
		return slow, err
	}))
}

// with makes a cluster, has do use it, and ends it.
func with(holo string, memory, spill uint64, do func(context.Context, *cluster) error) error {
	return withNodes(holo, size, memory, spill, do)
}

func withNodes(holo string, nodes int, memory, spill uint64, do func(context.Context, *cluster) error) (err error) {
	c, err := newCluster(holo, nodes, memory, spill)
	if err == nil {
		err = do(context.Background(), c)
	}
	return errors.Join(err, c.close())
}

func inMemory(ctx context.Context, c *cluster) error {
	if err := c.holds(ctx, "two", 320*mib, 2); err != nil {
		return err
	}
	err := c.create(ctx, "refused", 512*mib, 2)
	if err == nil || !strings.Contains(err.Error(), "1024 MiB; 0 MiB of 768 MiB are taken") {
		return fmt.Errorf("512 MiB of two copies on three nodes of 256 MiB: want the arithmetic, got %v", err)
	}
	fmt.Println("capacity: refused:", err)
	return c.holds(ctx, "one", 512*mib, 1)
}

// stoodStill is slow where no write came back for longer than it may.
func (c *cluster) stoodStill() error {
	if c.stood <= mayStand {
		return nil
	}
	return fmt.Errorf("writing stood still for %.1f s, at most %.0f s", c.stood.Seconds(), mayStand.Seconds())
}

func onDisk(ctx context.Context, c *cluster) error {
	return c.holds(ctx, "spilled", 3*4*64*mib/2, 2)
}
