// Command capture reads everything that crosses the loopback interface while a
// demo runs, and searches it for a text that the demo was told to put into
// array names, array data and kernel arguments. It first proves that it would
// find the text: it sends it once in the clear. Usage: capture HOLO
//
// It needs the right to open a raw socket; .ci/run starts it in a network
// namespace of its own, so that nothing else is on the interface.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

const (
	receiveBuffer = 256 << 20 // a demo's whole traffic fits, so a slow reader drops nothing
	snapLength    = 128 << 10 // loopback frames are at most 64 KiB and their heads
	quiet         = 500 * time.Millisecond
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: capture HOLO")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "capture:", err)
		os.Exit(1)
	}
}

func run(holo string) error {
	mark := fmt.Sprintf("CANARY-%016x", time.Now().UnixNano())
	tap, err := listen()
	if err != nil {
		return fmt.Errorf("open a raw socket on lo: %w", err)
	}
	if err := tap.proveItFinds(mark); err != nil {
		return err
	}
	moved, err := demo(holo, mark, tap)
	if err != nil {
		return err
	}
	if err := tap.drain(mark); err != nil {
		return err
	}
	fmt.Printf("capture: %d bytes in %d frames, %d dropped; %d page bytes moved; the text was seen %d times\n",
		tap.bytes, tap.frames, tap.dropped(), moved, tap.hits)
	switch {
	case tap.hits != 0:
		return fmt.Errorf("the text crossed the wire in the clear %d times", tap.hits)
	case moved == 0 || tap.bytes < moved:
		return fmt.Errorf("captured %d bytes although %d page bytes moved: the capture missed something", tap.bytes, moved)
	}
	return nil
}

// demo runs the demo while the tap is being read.
func demo(holo, mark string, tap *tap) (moved int64, err error) {
	var out bytes.Buffer
	cmd := exec.Command(holo, "demo", "-o", "json", "--mark", mark)
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for done := false; !done; {
		select {
		case err = <-ended:
			done = true
		default:
			if _, err := tap.read(mark); err != nil {
				return 0, err
			}
		}
	}
	if err != nil {
		return 0, fmt.Errorf("holo demo: %w", err)
	}
	var report struct {
		BytesMoved int64  `json:"bytes_moved"`
		Mark       string `json:"mark"`
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		return 0, fmt.Errorf("its report: %w", err)
	}
	if report.Mark != mark {
		return 0, fmt.Errorf("the demo did not place the text %s", mark)
	}
	return report.BytesMoved, nil
}

// tap is a raw socket on the loopback interface, and what it has seen.
type tap struct {
	fd     int
	buf    []byte
	bytes  int64
	frames int64
	hits   int64
	drops  uint32
}

func listen() (*tap, error) {
	all := int(uint16(unix.ETH_P_ALL)>>8 | uint16(unix.ETH_P_ALL)<<8&0xff00)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	if err != nil {
		return nil, err
	}
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: lo.Index}); err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer); err != nil {
		return nil, err
	}
	tv := unix.NsecToTimeval(int64(quiet))
	return &tap{fd: fd, buf: make([]byte, snapLength)}, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)
}

// read takes one frame; more is false when none came for a while.
func (t *tap) read(mark string) (more bool, err error) {
	n, from, err := unix.Recvfrom(t.fd, t.buf, 0)
	switch err {
	case nil:
	case unix.EAGAIN, unix.EINTR:
		return false, nil
	default:
		return false, err
	}
	if at, ok := from.(*unix.SockaddrLinklayer); ok && at.Pkttype == unix.PACKET_OUTGOING {
		return true, nil // the loopback shows each frame twice: count it as it arrives
	}
	t.bytes += int64(n)
	t.frames++
	t.hits += int64(bytes.Count(t.buf[:n], []byte(mark)))
	return true, nil
}

func (t *tap) drain(mark string) error {
	for {
		more, err := t.read(mark)
		if err != nil || !more {
			return err
		}
	}
}

// proveItFinds sends the text once in the clear and looks for it.
func (t *tap) proveItFinds(mark string) error {
	sink, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	defer sink.Close()
	if _, err := sink.WriteToUDP([]byte("in the clear: "+mark), sink.LocalAddr().(*net.UDPAddr)); err != nil {
		return err
	}
	if err := t.drain(mark); err != nil {
		return err
	}
	if t.hits == 0 {
		return fmt.Errorf("the capture did not find the text that was sent in the clear")
	}
	t.bytes, t.frames, t.hits = 0, 0, 0
	return nil
}

func (t *tap) dropped() uint32 {
	if stats, err := unix.GetsockoptTpacketStats(t.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		t.drops += stats.Drops
	}
	return t.drops
}
