package lab

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// frameSize is the most that one read gives: a segment that the kernel has not
	// cut yet, and the header that says so.
	frameSize = 1<<16 + 128
	// queued bounds what a slow link holds, each way; what is more is lost, as on
	// any link.
	queued = 1024
)

// Slow puts a delay and a bandwidth between a machine and the bridge, each way,
// until end. What is on its way then is lost. It takes the place of netem where the
// kernel has none: frames are read from the machine's port and written to one of
// their own, with what the kernel left to a network card to do.
func (l *Lab) Slow(m *Machine, delay time.Duration, bytesPerSecond int) (end func() error, err error) {
	port, own := "v"+m.Name, "s"+m.Name
	if err := Script("ip link add " + own + " type veth peer name b" + own + " && ip link set b" + own + " master br0 up && ip link set " + own + " promisc on up && ip link set " + port + " nomaster promisc on"); err != nil {
		return nil, err
	}
	undo := func() error {
		return Script("ip link del " + own + "; ip link set " + port + " promisc off master br0")
	}
	a, err := openPort(port)
	if err != nil {
		return nil, errors.Join(err, undo())
	}
	b, err := openPort(own)
	if err != nil {
		return nil, errors.Join(err, a.Close(), undo())
	}
	var work sync.WaitGroup
	for _, way := range [][2]*os.File{{a, b}, {b, a}} {
		frames := make(chan frame, queued) // closed by the reader
		work.Go(func() { receive(way[0], frames, delay) })
		work.Go(func() { forward(way[1], frames, bytesPerSecond) })
	}
	return func() error {
		err := errors.Join(a.Close(), b.Close())
		work.Wait()
		return errors.Join(err, undo())
	}, nil
}

// openPort gives all frames that come in at an interface, and sends any.
func openPort(name string) (*os.File, error) {
	dev, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: dev.Index}),
	)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), name), nil
}

type frame struct {
	due  time.Time
	data []byte
}

func receive(from *os.File, frames chan<- frame, delay time.Duration) {
	defer close(frames)
	for buf := make([]byte, frameSize); ; {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		select {
		case frames <- frame{time.Now().Add(delay), append([]byte{}, buf[:n]...)}:
		default: // the link is full
		}
	}
}

// forward writes each frame when it is due, and no more than the bandwidth. One
// that the other side does not take is lost.
func forward(to *os.File, frames <-chan frame, bytesPerSecond int) {
	var free time.Time
	for f := range frames {
		if f.due.Before(free) {
			f.due = free
		}
		time.Sleep(time.Until(f.due))
		free = time.Now().Add(time.Duration(len(f.data)) * time.Second / time.Duration(bytesPerSecond))
		_, _ = to.Write(f.data)
	}
}
