package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/lab"
)

// A node has so little memory that the ballast, half of which each page is in, lies
// on its disk; the disk is a file system of its own that can be filled.
const (
	memory     = "24MiB"
	spillLimit = "96MiB"
	diskMiB    = 104
	pageBytes  = 64 << 10
	ballast    = 1024 // pages, 64 MiB
)

func (n *node) disk() string { return filepath.Join(n.Dir, "disk") }

func (n *node) makeDisk() error {
	return lab.Script(fmt.Sprintf("mkdir -p %s && mount -t tmpfs -o size=%dm,mode=0700 disk %s", n.disk(), diskMiB, n.disk()))
}

func (n *node) dropDisk() error { return lab.Script("umount -l " + n.disk()) }

func (n *node) stuffing() string { return filepath.Join(n.disk(), "stuffing") }

// stuff fills the disk to the last byte; empty gives the room back.
func (n *node) stuff() error {
	f, err := os.Create(n.stuffing())
	if err != nil {
		return err
	}
	for buf := make([]byte, 1<<16); err == nil; {
		_, err = f.Write(buf)
	}
	if err = errors.Join(f.Close(), err); !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("fill the disk: %w", err)
	}
	return nil
}

func (n *node) empty() error { return os.Remove(n.stuffing()) }

// loader writes pages of the ballast one after the other by chance, so that disks
// are written all the time. It alone writes them, so a page is what was
// acknowledged last or what was tried since.
type loader struct {
	array        *holocompute.Array[uint8]
	acked, tried [ballast]uint64
	full         int // refused because memory and disk are full
}

func content(page int, version uint64) []byte {
	b := make([]byte, pageBytes)
	if version > 0 {
		rand.NewChaCha8([32]byte{byte(page), byte(page >> 8), byte(version), byte(version >> 8), byte(version >> 16)}).Read(b)
	}
	return b
}

func newLoader(ctx context.Context, h *holocompute.Cluster) (*loader, error) {
	a, err := holocompute.Create[uint8](ctx, h, "ballast", ballast*pageBytes, holocompute.ArrayOptions{Copies: 2, Extent: 4 * pageBytes})
	l := &loader{array: a}
	const at = 16 // pages, 1 MiB
	for i := 0; i < ballast && err == nil; i += at {
		var piece []byte
		for k := i; k < i+at; k++ {
			l.acked[k], l.tried[k] = 1, 1
			piece = append(piece, content(k, 1)...)
		}
		err = a.Write(ctx, uint64(i)*pageBytes, piece)
	}
	return l, err
}

// write gives a page its next content. Refused it stays as it was, or nobody knows.
func (l *loader) write(ctx context.Context, i int) (full bool, err error) {
	l.tried[i]++
	err = l.array.Write(ctx, uint64(i)*pageBytes, content(i, l.tried[i]))
	if err == nil {
		l.acked[i] = l.tried[i]
	}
	return holocompute.KindOf(err) == holocompute.Exhausted, err
}

func (u *users) load(ctx context.Context) {
	for ctx.Err() == nil {
		limited, cancel := context.WithTimeout(ctx, opLimit)
		full, err := u.loader.write(limited, rand.IntN(ballast))
		cancel()
		if full {
			u.loader.full++
		} else {
			u.mu.Lock()
			u.verdict(err)
			u.mu.Unlock()
		}
		time.Sleep(pause)
	}
}

// judge reads all pages once more.
func (l *loader) judge(ctx context.Context) error {
	got, written := make([]byte, pageBytes), uint64(0)
	for i := range ballast {
		if err := insist(func() error { return l.array.Read(ctx, uint64(i)*pageBytes, got) }); err != nil {
			return fmt.Errorf("the last look at page %d of the ballast: %w", i, err)
		}
		if !l.explains(i, got) {
			return fmt.Errorf("page %d of the ballast is neither what was acknowledged, %d, nor what was tried since, up to %d", i, l.acked[i], l.tried[i])
		}
		written += l.acked[i]
	}
	fmt.Printf("chaos: %d pages of ballast are as one of %d writes left them; %d writes were refused by full disks\n", ballast, written, l.full)
	return nil
}

func (l *loader) explains(i int, got []byte) bool {
	for v := l.acked[i]; v <= l.tried[i]; v++ {
		if string(content(i, v)) == string(got) {
			return true
		}
	}
	return false
}
