package node

import (
	"os"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/memory"
	"github.com/holocompute/holocompute/internal/storage"
)

// TestBytesAppendedToASpillFileAreCountedAndOnTheRecord (row T2-2): a record of
// before is put behind the last one, twice. Each time the file is cut back, and when
// it was for the second time the first is counted.
func TestBytesAppendedToASpillFileAreCountedAndOnTheRecord(t *testing.T) {
	t.Parallel()
	c := spillCluster(t, 1)
	n := c.nodes[0]
	a, data := c.create(n, "array", 2*memory.LeastSpillMemory), noise(55, 2*memory.LeastSpillMemory)
	writeAll(t, n, holo.ArrayID(a.Id), data)
	_, paths := filesOf(t, c.dirs[0]+"-spill", []byte("x"))
	for range 2 {
		before := sizeOf(t, paths[0])
		f, err := os.OpenFile(paths[0], os.O_RDWR|os.O_APPEND, 0)
		must(t, err)
		record := make([]byte, recordSize)
		_, err = f.ReadAt(record, 0)
		must(t, err)
		_, err = f.Write(record)
		must(t, err)
		must(t, f.Close())
		await(t, "the file's being cut back", func() bool { return sizeOf(t, paths[0]) == before })
	}
	if n.refusals.all()[storage.ReasonAppended] == 0 {
		t.Fatal("nobody counts it")
	}
	onRecord(t, n, "refusals.counted", storage.ReasonAppended)
	wantBytes(t, n, a.Id, 0, data)
}

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.Size()
}
