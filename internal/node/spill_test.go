package node

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/pagecache"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/memory"
	"github.com/holocompute/holocompute/internal/storage"
)

// spillCluster is n nodes of 16 MiB of page memory and 256 MiB of spill each,
// all of which the catalogue knows.
func spillCluster(t *testing.T, n int) *cluster {
	t.Helper()
	return spillClusterThatLogs(t, n, nil)
}

func spillClusterThatLogs(t *testing.T, n int, log *slog.Logger) *cluster {
	t.Helper()
	c := found(&cluster{t: t, root: t.TempDir(), spill: 256 << 20, log: log}, n)
	await(t, "the catalogue's knowing of the spill folders", func() (all bool) {
		c.nodes[0].catalog.read(func(cat *catalog.Catalog) {
			r := cat.Room()
			memory, spill := c.nodes[0].memory.Capacity()
			all = r.Spill == uint64(n)*spill && r.Memory == uint64(n)*memory
		})
		return all
	})
	return c
}

// lines counts the lines of a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// count is how often the log says something so far.
func (l *lines) count(what string) int { return strings.Count(l.text(), what) }

// held is what a node's replicas and its cache count.
func (n *Node) held(t *testing.T) (u shard.Usage, cache pagecache.Usage) {
	t.Helper()
	must(t, n.turns.Do(context.Background(), func(holo.Time) { u, cache = n.memory.Machine().Usage(), n.memory.Frames().Usage() }))
	if max := n.memory.Frames().Limits().Memory + holo.MaxExtentPages; cache.Resident > max {
		t.Errorf("%d pages in memory, of %d at most", cache.Resident, max)
	}
	return u, cache
}

// writeAll writes in pieces of an extent each.
func writeAll(t *testing.T, n *Node, id holo.ArrayID, data []byte) {
	t.Helper()
	for at := 0; at < len(data); at += 1 << 20 {
		must(t, n.WriteRange(context.Background(), id, uint64(at), data[at:min(at+1<<20, len(data))]))
		n.held(t)
	}
}

// TestFourTimesTheMemoryIsWrittenAndReadBack: more than the memory lies on
// disk, every byte comes back, parts of pages that are away can be changed and
// added to, and what is deleted leaves the disk.
func TestFourTimesTheMemoryIsWrittenAndReadBack(t *testing.T) {
	t.Parallel()
	c := spillCluster(t, 1)
	n, ctx := c.nodes[0], context.Background()
	a := c.create(n, "large", 4*memory.LeastSpillMemory)
	id, data := holo.ArrayID(a.Id), noise(41, 4*memory.LeastSpillMemory)
	writeAll(t, n, id, data)
	u, cache := n.held(t)
	if u.Bytes != len(data) || u.Away < 3*memory.LeastSpillMemory || cache.Spilled*holo.PageSize < u.Away {
		t.Errorf("%d bytes, %d of them away; the cache: %+v", u.Bytes, u.Away, cache)
	}
	if found, _ := filesOf(t, c.dirs[0]+"-spill", data[:64]); found {
		t.Error("the array's bytes lie on disk as they are")
	}
	wantBytes(t, n, a.Id, 0, data)
	for at := 8; at < len(data); at += 5*holo.PageSize + 16 {
		must(t, n.WriteRange(ctx, id, uint64(at), []byte("changed!")))
		copy(data[at:], "changed!")
	}
	wantBytes(t, n, a.Id, 0, data)
	_, err := c.deletes(ctx, n, id)
	must(t, err)
	await(t, "an empty spill folder", func() bool {
		u, cache := n.held(t)
		store := n.memory.Store().Usage()
		return u.Bytes == 0 && u.Away == 0 && cache.Pages == 0 && cache.Resident == 0 && cache.Spilled == 0 && store.Pages == 0 && store.Files <= 1
	})
}

// filesOf looks for bytes in the files of a folder and lists the spill files.
func filesOf(t *testing.T, dir string, want []byte) (found bool, paths []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.spill"))
	must(t, err)
	if len(paths) == 0 {
		t.Fatal("no file in the spill folder")
	}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		must(t, err)
		found = found || bytes.Contains(b, want)
	}
	return found, paths
}

// TestPagesThatAreAwayAreCopiedSealedAndSurvive: two copies of twice one node's
// memory on three nodes; the array is sealed over pages on disk; one
// node dies, its shards are copied from the disks of the others, and all is there.
func TestPagesThatAreAwayAreCopiedSealedAndSurvive(t *testing.T) {
	t.Parallel()
	c := spillCluster(t, 3)
	n := c.nodes[0]
	open, sealed := c.create(n, "open", memory.LeastSpillMemory), c.create(n, "sealed", memory.LeastSpillMemory)
	one, two := noise(42, memory.LeastSpillMemory), noise(43, memory.LeastSpillMemory)
	writeAll(t, n, holo.ArrayID(open.Id), one)
	writeAll(t, n, holo.ArrayID(sealed.Id), two)
	_, err := c.seals(context.Background(), n, holo.ArrayID(sealed.Id))
	must(t, err)
	for i, n := range c.nodes {
		if u, _ := n.held(t); u.Away == 0 {
			t.Errorf("node %d has nothing on disk: %+v", i, u)
		}
		wantBytes(t, n, sealed.Id, 0, two)
	}
	c.kill(2)
	wantBytes(t, n, open.Id, 0, one)
	await(t, "two copies of every shard again", func() bool {
		for _, cfg := range n.memory.Configs.All() {
			if len(cfg.Members) < 2 || cfg.Has(c.killed) {
				return false
			}
		}
		return true
	})
	for at := 16; at < len(one); at += 7 * holo.PageSize {
		must(t, c.nodes[1].WriteRange(context.Background(), holo.ArrayID(open.Id), uint64(at), []byte("after it")))
		copy(one[at:], "after it")
	}
	wantBytes(t, c.nodes[1], open.Id, 0, one)
	wantBytes(t, c.nodes[1], sealed.Id, 0, two)
}

// TestDiskThatTakesNothingRefusesAndRecovers: where the next file is to be lies
// another's. Writers are told, what is there stays readable and changeable, and
// when the way is free writing goes on.
func TestDiskThatTakesNothingRefusesAndRecovers(t *testing.T) {
	t.Parallel()
	log := &lines{}
	c := spillClusterThatLogs(t, 1, slog.New(slog.NewTextHandler(log, nil)))
	n, ctx := c.nodes[0], context.Background()
	must(t, os.WriteFile(filepath.Join(c.dirs[0]+"-spill", "00000001.spill"), nil, 0o600))
	a := c.create(n, "large", 2*memory.LeastSpillMemory)
	id, data := holo.ArrayID(a.Id), noise(44, 2*memory.LeastSpillMemory)
	written := 0
	var err error
	for ; written < len(data) && err == nil; written += 1 << 20 {
		err = n.WriteRange(ctx, id, uint64(written), data[written:written+1<<20])
	}
	wantRefused(t, err, holo.Exhausted, storage.ReasonFull)
	written -= 1 << 20
	if written < memory.LeastSpillMemory/2 {
		t.Errorf("only %d bytes fit into memory", written)
	}
	wantBytes(t, n, a.Id, 0, data[:written])
	must(t, n.WriteRange(ctx, id, 8, []byte("changed!")))
	copy(data[8:], "changed!")
	wantBytes(t, n, a.Id, 0, data[:written])
	const more = 500 // who goes on asking is told each time, and the log is not
	for range more {
		err = n.WriteRange(ctx, id, uint64(written), data[written:written+1<<20])
		if holo.KindOf(err) != holo.Exhausted && holo.ReasonOf(err) != pagecache.ReasonBusy {
			t.Fatalf("while the disk takes nothing: %v", err)
		}
	}
	if n := log.count("\n"); n >= 100 || log.count("takes no pages") == 0 {
		t.Errorf("%d refusals, and the log has %d lines:\n%s", more, n, log.text())
	}
	must(t, os.Remove(filepath.Join(c.dirs[0]+"-spill", "00000001.spill")))
	await(t, "finding out without a write that the disk takes pages again", func() bool { return log.count("takes pages again") > 0 })
	await(t, "writing to go on", func() bool {
		return n.WriteRange(ctx, id, uint64(written), data[written:written+1<<20]) == nil
	})
	writeAll(t, n, id, data)
	wantBytes(t, n, a.Id, 0, data)
}

// TestMemberWhoseDiskTakesNothingStaysWithinItsMemory: with two copies the other
// node goes on as long as both can, writers are told, and what was acknowledged is there.
func TestMemberWhoseDiskTakesNothingStaysWithinItsMemory(t *testing.T) {
	t.Parallel()
	c := spillCluster(t, 2)
	ctx := context.Background()
	block := filepath.Join(c.dirs[1]+"-spill", "00000001.spill")
	must(t, os.WriteFile(block, nil, 0o600))
	a := c.create(c.nodes[0], "large", 2*memory.LeastSpillMemory)
	id, data := holo.ArrayID(a.Id), noise(48, 2*memory.LeastSpillMemory)
	done := map[int]bool{}
	for at := 0; at < len(data); at += 1 << 20 {
		err := c.nodes[0].WriteRange(ctx, id, uint64(at), data[at:at+1<<20])
		if done[at] = err == nil; err != nil {
			break
		}
		c.nodes[0].held(t)
		c.nodes[1].held(t)
	}
	if len(done) == len(data)>>20 {
		t.Error("everything was written, and one node had no room for it")
	}
	must(t, os.Remove(block))
	await(t, "writing to go on", func() bool {
		for at := 0; at < len(data); at += 1 << 20 {
			if !done[at] && c.nodes[0].WriteRange(ctx, id, uint64(at), data[at:at+1<<20]) != nil {
				return false
			}
			done[at] = true
		}
		return true
	})
	wantBytes(t, c.nodes[1], a.Id, 0, data)
	wantBytes(t, c.nodes[0], a.Id, 0, data)
}

// spoil changes every record in a node's spill folder.
func spoil(t *testing.T, dir string) {
	t.Helper()
	_, paths := filesOf(t, dir, []byte("x"))
	for _, p := range paths {
		b, err := os.ReadFile(p)
		must(t, err)
		for i := 100; i < len(b); i += 1000 {
			b[i] ^= 1
		}
		must(t, os.WriteFile(p, b, 0o600))
	}
}

// TestDamagedPageOnDiskIsRefused: with one copy the reader is told, and never gets
// wrong bytes.
func TestDamagedPageOnDiskIsRefused(t *testing.T) {
	t.Parallel()
	one := spillCluster(t, 1)
	n := one.nodes[0]
	a := one.create(n, "alone", 2*memory.LeastSpillMemory)
	data := noise(45, 2*memory.LeastSpillMemory)
	writeAll(t, n, holo.ArrayID(a.Id), data)
	spoil(t, one.dirs[0]+"-spill")
	refused := 0
	for at := 0; at < len(data); at += holo.PageSize {
		got := make([]byte, holo.PageSize)
		switch err := n.ReadRange(context.Background(), holo.ArrayID(a.Id), uint64(at), got); {
		case err != nil:
			wantRefused(t, err, holo.Corrupt, pagecache.ReasonDamaged)
			refused++
		case !bytes.Equal(got, data[at:at+holo.PageSize]):
			t.Fatalf("other bytes than were written at %d, without an error", at)
		}
	}
	if refused < len(data)/holo.PageSize/4 {
		t.Errorf("only %d pages were refused", refused)
	}
	if n.refusals.all()[pagecache.ReasonDamaged] == 0 {
		t.Error("nothing is counted")
	}

}

// Of a sealed array any other copy is read; of one that is not, the shard moves to
// the other copy.
func TestDamagedPagesOnDiskAreReadFromTheOtherCopy(t *testing.T) {
	t.Parallel()
	c := spillCluster(t, 2)
	n := c.nodes[0]
	open, sealed := c.create(n, "open", memory.LeastSpillMemory), c.create(n, "sealed", memory.LeastSpillMemory)
	one, two := noise(46, memory.LeastSpillMemory), noise(47, memory.LeastSpillMemory)
	writeAll(t, n, holo.ArrayID(open.Id), one)
	writeAll(t, n, holo.ArrayID(sealed.Id), two)
	_, err := c.seals(context.Background(), n, holo.ArrayID(sealed.Id))
	must(t, err)
	spoil(t, c.dirs[0]+"-spill")
	for _, n := range c.nodes {
		wantBytes(t, n, sealed.Id, 0, two)
		wantBytes(t, n, open.Id, 0, one)
	}
	if c.nodes[0].refusals.all()[pagecache.ReasonDamaged] == 0 {
		t.Error("no damaged page was met")
	}
}
