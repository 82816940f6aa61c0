package attack

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/kernels"
)

// anyVersion is what every QUIC server answers, whoever asks: a first packet of
// a version that nobody speaks.
func anyVersion() []byte {
	b := make([]byte, 1200)
	copy(b, []byte{0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 7, 6, 5, 4, 3, 2, 1})
	return b
}

// bound is a socket of an address of this machine.
func bound(t *testing.T, ip net.IP) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: ip})
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// heard reads what has come, and waits for it if it is wanted.
func heard(t *testing.T, c *net.UDPConn, wanted bool) int {
	t.Helper()
	deadline := time.Now()
	if wanted {
		deadline = deadline.Add(patience)
	}
	must(t, c.SetReadDeadline(deadline))
	n, _ := c.Read(make([]byte, 1500)) // an error is silence
	return n
}

// TestAddressOutsideOfTheListIsOnTheRecord (row DEP-3): datagrams from outside of
// --allow at a live node, and then one from inside, which is answered when the
// others have been read.
func TestAddressOutsideOfTheListIsOnTheRecord(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1, "--allow", "127.0.0.0/24")
	to, err := net.ResolveUDPAddr("udp", l.target.Address)
	must(t, err)
	outside, inside := bound(t, newNetwork()), bound(t, net.IPv4(127, 0, 0, 7))
	l.refuses("datagrams from outside", transport.ReasonCIDR, 1, func() {
		for range 3 {
			_, err := outside.WriteTo(anyVersion(), to)
			must(t, err)
		}
		_, err := inside.WriteTo(anyVersion(), to)
		must(t, err)
		if heard(t, inside, true) == 0 {
			t.Error("control: an address inside the list gets no answer either")
		}
		if n := heard(t, outside, false); n != 0 {
			t.Errorf("an address outside the list gets %d bytes", n)
		}
	})
}

// TestAddressOutsideOfTheListIsNotDialledByALiveNode (row DEP-4): a member says
// that it is reached where the list does not lead. The node sends nothing there.
func TestAddressOutsideOfTheListIsNotDialledByALiveNode(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1, "--allow", "127.0.0.0/24")
	elsewhere := bound(t, newNetwork())
	l.join(l.dir(8), "elsewhere", elsewhere.LocalAddr().String())
	l.counts("dialling outside of the list", transport.ReasonCIDR, 1, func() {
		_, err := l.sdk.PushKernel(t.Context(), "loop", kernels.Get("loop")) // is offered to every member
		must(t, err)
	})
	l.state()
	if n := heard(t, elsewhere, false); n != 0 {
		t.Errorf("%d bytes were sent to an address outside of the list", n)
	}
}

// sockets are the internet sockets of the first node's process, by the system's
// own word.
func (l *live) sockets() (udp []netip.AddrPort, others []string) {
	l.t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(l.first.Process.Pid))
	own := map[string]bool{}
	files, err := os.ReadDir(filepath.Join(proc, "fd"))
	must(l.t, err)
	for _, f := range files {
		name, _ := os.Readlink(filepath.Join(proc, "fd", f.Name())) // closed meanwhile: none
		if inode, ok := strings.CutPrefix(name, "socket:["); ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	for _, kind := range []string{"udp", "udp6", "tcp", "tcp6", "raw", "raw6", "udplite", "udplite6", "packet"} {
		b, err := os.ReadFile(filepath.Join(proc, "net", kind))
		must(l.t, err)
		for _, line := range strings.Split(string(b), "\n")[1:] {
			f, inode := strings.Fields(line), 9
			if kind == "packet" {
				inode = 8
			}
			switch {
			case len(f) <= inode || !own[f[inode]]:
			case kind == "udp" || kind == "udp6":
				udp = append(udp, endpoint(l.t, f[1]))
			default:
				others = append(others, kind+" "+line)
			}
		}
	}
	return udp, others
}

// endpoint reads an address as /proc/net writes it: words of this machine's order,
// and a port.
func endpoint(t *testing.T, text string) netip.AddrPort {
	t.Helper()
	address, port, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(address)
	must(t, err)
	for i := 0; i+4 <= len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	ip, ok := netip.AddrFromSlice(b)
	n, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil {
		t.Fatalf("%q is no address", text)
	}
	return netip.AddrPortFrom(ip, uint16(n))
}

// TestNodeHasOneSocketOnLoopbackUntilItIsToldOtherwise (rows AC-1, N-03): a node as it
// is made has one UDP socket, which only its own machine reaches, and no other
// towards any network. Told to, it has one everywhere, which shows that this would
// be seen.
func TestNodeHasOneSocketOnLoopbackUntilItIsToldOtherwise(t *testing.T) {
	t.Parallel()
	for listen, loopback := range map[string]bool{"": true, "0.0.0.0:0": false} {
		var args []string
		if listen != "" {
			args = []string{"--listen", listen}
		}
		l := startLive(t, 1, args...)
		udp, others := l.sockets()
		if len(udp) != 1 || len(others) != 0 {
			t.Fatalf("listening on %q it has the UDP sockets %v and %v, want one and no other", listen, udp, others)
		}
		if at := fmt.Sprint(udp[0].Port()); !strings.HasSuffix(l.target.Address, ":"+at) {
			t.Errorf("its socket is of port %s, it says %s", at, l.target.Address)
		}
		if udp[0].Addr().IsLoopback() != loopback {
			t.Errorf("listening on %q it is reached at %s", listen, udp[0])
		}
		l.state()
	}
}
