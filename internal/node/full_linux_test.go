package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/holocompute/holocompute/internal/core/pagecache"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/memory"
	"github.com/holocompute/holocompute/internal/storage"
)

// onSmallDisk is set in the process that may mount a disk of its own.
const onSmallDisk = "HOLO_TEST_SMALL_DISK"

// TestSpillDiskThatIsReallyFull fills a file system of 64 MiB, in a process that
// sees it alone.
func TestSpillDiskThatIsReallyFull(t *testing.T) {
	if os.Getenv(onSmallDisk) != "" {
		fillSmallDisk(t)
		return
	}
	t.Parallel()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self, "-test.run", "^TestSpillDiskThatIsReallyFull$", "-test.v")
	cmd.Env = append(os.Environ(), onSmallDisk+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, os.ErrPermission) {
		t.Log("this system gives nobody a mount namespace: TestDiskThatTakesNothingRefusesAndRecovers stands in")
		return
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func fillSmallDisk(t *testing.T) {
	root, log := t.TempDir(), &lines{}
	disk := filepath.Join(root, "node0-spill")
	must(t, os.Mkdir(disk, 0o700))
	must(t, unix.Mount("none", disk, "tmpfs", 0, "size=64m,mode=0700"))
	t.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) }) // after the node is closed
	c := found(&cluster{t: t, root: root, spill: 256 << 20, log: slog.New(slog.NewTextHandler(log, nil))}, 1)
	ballast := filepath.Join(disk, "ballast")
	must(t, os.WriteFile(ballast, make([]byte, 40<<20), 0o600))
	n, ctx := c.nodes[0], context.Background()
	a := c.create(n, "large", 56<<20)
	id, data := holo.ArrayID(a.Id), noise(60, 56<<20)
	written := 0
	var err error
	for ; written < len(data); written += 1 << 20 {
		if err = n.WriteRange(ctx, id, uint64(written), data[written:written+1<<20]); err != nil {
			break
		}
	}
	wantRefused(t, err, holo.Exhausted, storage.ReasonFull)
	if written < memory.LeastSpillMemory {
		t.Errorf("only %d bytes were written: nothing went to the disk", written)
	}
	for range 500 { // who goes on asking is told each time, and the log is not
		err = n.WriteRange(ctx, id, uint64(written), data[written:written+1<<20])
		if holo.KindOf(err) != holo.Exhausted && holo.ReasonOf(err) != pagecache.ReasonBusy {
			t.Fatalf("while the disk is full: %v", err)
		}
	}
	wantBytes(t, n, a.Id, 0, data[:written])
	if n := log.count("\n"); n >= 100 || log.count("takes no pages") == 0 {
		t.Errorf("the log has %d lines:\n%s", n, log.text())
	}
	must(t, os.Remove(ballast))
	await(t, "writing to go on", func() bool {
		return n.WriteRange(ctx, id, uint64(written), data[written:written+1<<20]) == nil
	})
	writeAll(t, n, id, data)
	wantBytes(t, n, a.Id, 0, data)
}
