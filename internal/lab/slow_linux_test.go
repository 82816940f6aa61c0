package lab

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wire is two ends between which frames keep their borders.
func wire(t *testing.T) (near, far *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	near, far = os.NewFile(uintptr(fds[0]), "near"), os.NewFile(uintptr(fds[1]), "far")
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// A slow link gives each frame whole and in order, and none before its delay is over
// and those before it have had their share of the bandwidth.
func TestSlowLinkIsSlow(t *testing.T) {
	const frames, size, delay, bandwidth = 10, 2000, 30 * time.Millisecond, 200_000
	in, from := wire(t)
	to, out := wire(t)
	queue := make(chan frame, queued)
	go receive(from, queue, delay)
	go forward(to, queue, bandwidth)
	began := time.Now()
	for i := range frames {
		sent := make([]byte, size)
		sent[0] = byte(i)
		if _, err := in.Write(sent); err != nil {
			t.Fatal(err)
		}
	}
	for i := range frames {
		got := make([]byte, 2*size)
		n, err := out.Read(got)
		if err != nil || n != size || got[0] != byte(i) {
			t.Fatalf("frame %d: %d bytes of frame %d: %v", i, n, got[0], err)
		}
		if least := delay + time.Duration(i)*size*time.Second/bandwidth; time.Since(began) < least {
			t.Errorf("frame %d came after %s, want %s at least", i, time.Since(began), least)
		}
	}
}

// What a slow link has no place for is lost, and the rest goes on.
func TestSlowLinkThatIsFullLosesFrames(t *testing.T) {
	in, from := wire(t)
	queue := make(chan frame, 3)
	for i := range 10 {
		if _, err := in.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	in.Close()
	receive(from, queue, 0) // returns, though nobody takes what it queued
	kept := 0
	for f := range queue {
		if f.data[0] != byte(kept) {
			t.Errorf("frame %d is kept in the place of %d", f.data[0], kept)
		}
		kept++
	}
	if kept != cap(queue) {
		t.Errorf("%d frames are kept, want %d", kept, cap(queue))
	}
}
