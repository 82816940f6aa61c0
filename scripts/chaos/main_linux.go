// Command chaos runs a cluster of five real nodes in network namespaces, breaks
// one thing after the other, and has clients use the cluster meanwhile. Usage:
//
//	chaos HOLO DURATION [SEED]
//
// What is broken: a node is killed and started again, stopped and let go on, cut
// off from all others, cut off in one direction, cut into a minority of two, loses
// a part of its packets, has its disk filled to the last byte, or gets a link of 10
// to 100 ms and 1 to 8 MiB/s; each time one thing, until every shard is whole
// again. All the time the clock of one node is slow by almost 1 % and that of
// another fast, and their wall clocks are 25 s off; and each node has so little
// memory that most of its pages lie on its disk. What is checked:
//
//	every answer about an element fits one order of all operations on it
//	each addition that was acknowledged was made once, and no other
//	a job over a sealed array gives the right sum or an error, never a wrong sum
//	a page on disks is what was acknowledged last, or was tried since
//	nothing is said to be lost
//	after each fault reads and writes work again, and all copies are back
//
// It prints how long each took. It needs root, ip, nft and Go, and is started in
// the root of the repository, whose clock it builds two wrong versions of; .ci/run
// starts it in a network namespace of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 || len(args) > 3 {
		return errors.New("usage: chaos HOLO DURATION [SEED]")
	}
	holo, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	length, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	seed := rand.Uint64()
	if len(args) == 3 {
		if seed, err = strconv.ParseUint(args[2], 10, 64); err != nil {
			return err
		}
	}
	fmt.Printf("chaos: %s, seed %d (the order of the faults; what meets them is up to the machine)\n", length, seed)
	return torment(holo, length, rand.New(rand.NewPCG(seed, 0)))
}

// torment makes the cluster, breaks and uses it, and checks what was said.
func torment(holo string, length time.Duration, rng *rand.Rand) (err error) {
	c, err := newCluster(holo)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close(err != nil)) }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	u, err := newUsers(ctx, c)
	if err != nil {
		return err
	}
	u.begin(ctx)
	broke := c.breakThings(time.Now().Add(length), rng, u)
	if err := errors.Join(broke, u.end()); err != nil {
		return err
	}
	return u.judge(ctx)
}
