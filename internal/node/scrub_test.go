package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"testing"

	"github.com/holocompute/holocompute/internal/core/pagecache"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/memory"
	"github.com/holocompute/holocompute/internal/storage"
)

// fast is a rate at which a round takes a moment.
const fast = 1 << 40

const recordSize = holo.PageSize + 16

// tamper changes a spill file as it lies on disk.
func tamper(t *testing.T, path string, change func(file []byte) []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return // tidied away since
	}
	must(t, err)
	b, err := io.ReadAll(f)
	must(t, err)
	b = change(b)
	_, err = f.WriteAt(b, 0)
	must(t, errors.Join(err, f.Truncate(int64(len(b))), f.Close()))
}

// stock is the pages that a node has copies of.
func (n *Node) stock(t *testing.T) (list []shard.PageChange) {
	t.Helper()
	must(t, n.turns.Do(context.Background(), func(holo.Time) {
		for _, id := range n.memory.Machine().Stocked() {
			list = append(list, n.memory.Machine().Stock(id)...)
		}
	}))
	return list
}

// sound waits until every page of a node has its bytes, and checks each copy on
// disk by reading it there.
func (n *Node) sound(t *testing.T) {
	t.Helper()
	await(t, "every damaged page's being replaced", func() bool {
		u, _ := n.held(t)
		return u.Damaged == 0
	})
	ctx, page := context.Background(), make([]byte, holo.PageSize)
	away := 0
	for _, p := range n.stock(t) {
		var v shard.View
		var frame pagecache.Page
		must(t, n.turns.Do(ctx, func(holo.Time) {
			v, _ = n.memory.Machine().Committed(p.Shard, p.Page, p.Version)
			frame, _, _ = n.memory.Frames().Has(p.Page)
		}))
		if !v.Away {
			continue
		}
		away++
		record := storage.Page{Ref: uint64(frame.Ref), ID: frame.ID, Version: frame.Version}
		if err := n.memory.Store().Read(record, page); err != nil || !digest.Check(page, v.Digest) {
			t.Errorf("page %v: its copy on disk is still damaged: %v", p.Page, err)
		}
	}
	if away == 0 {
		t.Error("no page lies on disk")
	}
}

// TestEveryTamperingWithADiskIsFoundAndHealed: nobody reads the pages but the
// scrubbing; afterwards every copy on the disk that was tampered with is good.
func TestEveryTamperingWithADiskIsFoundAndHealed(t *testing.T) {
	t.Parallel()
	c := found(&cluster{t: t, root: t.TempDir(), spill: 256 << 20, scrub: fast}, 2)
	n := c.nodes[0]
	a := c.create(n, "array", memory.LeastSpillMemory*3/2)
	id, data := holo.ArrayID(a.Id), noise(50, memory.LeastSpillMemory*3/2)
	writeAll(t, n, id, data)
	dir := c.dirs[0] + "-spill"
	_, paths := filesOf(t, dir, []byte("x"))
	yesterday := map[string][]byte{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		must(t, err)
		yesterday[p] = b
	}
	copy(data, noise(51, len(data)/2))
	writeAll(t, n, id, data[:len(data)/2])
	for _, how := range []struct {
		name   string
		change func(path string, file []byte) []byte
	}{
		{"flip one byte of each record", func(_ string, f []byte) []byte {
			for at := 77; at < len(f); at += recordSize {
				f[at] ^= 1
			}
			return f
		}},
		{"swap each two records", func(_ string, f []byte) []byte {
			for at := 0; at+2*recordSize <= len(f); at += 2 * recordSize {
				one := bytes.Clone(f[at : at+recordSize])
				copy(f[at:], f[at+recordSize:at+2*recordSize])
				copy(f[at+recordSize:], one)
			}
			return f
		}},
		{"put back yesterday's records", func(_ string, f []byte) []byte {
			for at := 0; at < len(f); at += recordSize {
				copy(f[at:min(at+recordSize, len(f))], yesterday[paths[0]])
			}
			return f
		}},
		{"truncate", func(_ string, f []byte) []byte { return f[:len(f)/2+100] }},
	} {
		before := n.memory.Found.State().Damaged
		_, now := filesOf(t, dir, []byte("x"))
		for _, p := range now {
			tamper(t, p, func(f []byte) []byte { return how.change(p, f) })
		}
		await(t, "the scrubbing's noticing that somebody did "+how.name, func() bool { return n.memory.Found.State().Damaged > before })
		rounds := n.memory.Found.State().Rounds
		await(t, "two more rounds", func() bool { return n.memory.Found.State().Rounds >= rounds+2 })
		n.sound(t)
		wantBytes(t, n, a.Id, 0, data)
		wantBytes(t, c.nodes[1], a.Id, 0, data)
	}
	await(t, "the records of it", func() bool {
		return len(recordsOf(t, n, "page.corrupt")) > 0 && len(recordsOf(t, n, "page.repaired")) > 0
	})
	_, now := filesOf(t, dir, []byte("x"))
	for _, p := range now {
		tamper(t, p, func(f []byte) []byte { return append(f, noise(52, recordSize)...) })
	}
	refused(t, n, storage.ReasonAppended, 0)
	onRecord(t, n, "refusals.counted", storage.ReasonAppended)
	n.sound(t) // what was appended is no record of any page
	wantBytes(t, n, a.Id, 0, data)
}

// rot changes a byte of each page in memory that has a digest.
func (n *Node) rot() (pages int) {
	for _, id := range n.memory.Machine().Stocked() {
		for _, p := range n.memory.Machine().Stock(id) {
			if v, ok := n.memory.Machine().Committed(id, p.Page, p.Version); ok && v.Hashed {
				v.Data[5] ^= 1
				pages++
			}
		}
	}
	return pages
}

// TestMemoryThatRotsIsFoundAndHealed: also without a disk, and also a copy that
// serves nobody.
func TestMemoryThatRotsIsFoundAndHealed(t *testing.T) {
	t.Parallel()
	c := found(&cluster{t: t, root: t.TempDir(), scrub: fast}, 2)
	ctx, data := context.Background(), noise(53, 1<<20)
	a := c.create(c.nodes[0], "array", 1<<20)
	must(t, c.nodes[0].WriteRange(ctx, holo.ArrayID(a.Id), 0, data))
	for _, n := range c.nodes {
		rotted := 0
		await(t, "the member's knowing what is committed", func() bool {
			must(t, n.turns.Do(ctx, func(holo.Time) { rotted = n.rot() }))
			return rotted > 0
		})
		await(t, "every rotted page's being replaced", func() bool {
			s := n.memory.Found.State()
			return s.Damaged >= uint64(rotted) && s.Healed >= s.Damaged
		})
		for _, r := range c.nodes {
			wantBytes(t, r, a.Id, 0, data)
		}
	}
}

// TestScrubbingFindsWhatNobodyReads: of one copy nothing can be repaired; it is
// told, counted, and never shown.
func TestScrubbingFindsWhatNobodyReads(t *testing.T) {
	t.Parallel()
	c := found(&cluster{t: t, root: t.TempDir(), spill: 256 << 20, scrub: fast}, 1)
	n := c.nodes[0]
	a := c.create(n, "alone", 2*memory.LeastSpillMemory)
	writeAll(t, n, holo.ArrayID(a.Id), noise(54, 2*memory.LeastSpillMemory))
	spoil(t, c.dirs[0]+"-spill")
	var u shard.Usage
	await(t, "the scrubbing's finding it", func() bool {
		u, _ = n.held(t)
		return u.Damaged > 2*memory.LeastSpillMemory/holo.PageSize/4
	})
	s := n.scrubbing()
	if s.Damaged == 0 || s.Repaired != 0 && s.Repaired == s.Damaged || s.LastFinding == "" || s.BytesRead == 0 {
		t.Errorf("the status says %v", s)
	}
	refused := 0
	for at := uint64(0); at < 2*memory.LeastSpillMemory; at += holo.PageSize {
		if err := n.ReadRange(context.Background(), holo.ArrayID(a.Id), at, make([]byte, 8)); err != nil {
			wantRefused(t, err, holo.Corrupt, pagecache.ReasonDamaged)
			refused++
		}
	}
	if refused < u.Damaged {
		t.Errorf("%d pages are damaged and %d are refused", u.Damaged, refused)
	}
}
