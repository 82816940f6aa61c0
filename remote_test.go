package holocompute_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/node"
)

// patience is how long a test waits for something that must happen.
const patience = 2 * time.Minute

// runNodeArg makes this test's program a node: see TestMain.
const runNodeArg = "run-node-of"

// runNode runs the node of a folder until it is killed, and says where it is.
func runNode(dir string) error {
	yes := true
	n, err := node.Start(context.Background(), node.Config{Dir: dir, MemoryBytes: 128 << 20, Socket: node.SocketPath(dir), Clients: &yes})
	if err != nil {
		return err
	}
	fmt.Println(n.Self().Hex(), n.Addr())
	_, _ = os.Stdin.Read(make([]byte, 1)) // ends with the parent
	return n.Close()
}

// process is a node as a process of its own.
type process struct {
	cmd      *exec.Cmd
	id, addr string
}

func startNode(t *testing.T, dir string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], runNodeArg, dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	_, err = cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	p := &process{cmd: cmd}
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	_, err = fmt.Sscan(line, &p.id, &p.addr)
	must(t, err)
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// town is a cluster of processes, and its owner's folder.
type town struct {
	root, config string
	nodes        []*process
	owner        *holocompute.Cluster
}

func newTown(t *testing.T, n int) *town {
	t.Helper()
	root, err := os.MkdirTemp("", "holo-far-") // short: a socket's path must be
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	w := &town{root: root, config: filepath.Join(root, "config")}
	_, err = node.Init(t.Context(), node.InitConfig{Dir: w.dir(0), ConfigDir: w.config, NodeName: "n0", MemoryBytes: 128 << 20})
	must(t, err)
	w.nodes = append(w.nodes, startNode(t, w.dir(0)))
	w.owner, err = holocompute.Connect(t.Context(), holocompute.Options{Socket: node.SocketPath(w.dir(0)), Config: w.config})
	must(t, err)
	t.Cleanup(func() { w.owner.Close() })
	for i := 1; i < n; i++ {
		invite, err := w.owner.Invite(t.Context(), time.Hour)
		must(t, err)
		_, err = node.Join(t.Context(), node.JoinConfig{Dir: w.dir(i), ConfigDir: w.config, Invite: invite, NodeName: fmt.Sprint("n", i), MemoryBytes: 128 << 20})
		must(t, err)
		w.nodes = append(w.nodes, startNode(t, w.dir(i)))
	}
	w.settle(t, n)
	return w
}

func (w *town) dir(i int) string { return filepath.Join(w.root, fmt.Sprint("n", i)) }

func (w *town) settle(t *testing.T, n int) {
	t.Helper()
	voters := 1
	if n >= 3 {
		voters = 3
	}
	await(t, "leases and voters", func() bool {
		s, err := w.owner.Status(t.Context())
		return err == nil && leased(s) == n && len(s.Voters) == voters
	})
}

func leased(s *holocompute.Status) (n int) {
	for _, node := range s.Nodes {
		if node.Lease {
			n++
		}
	}
	return n
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// enrolled is a folder whose user the town's owner let in.
func (w *town) enrolled(t *testing.T) (config string) {
	t.Helper()
	invite, err := w.owner.InviteClient(t.Context(), time.Hour, "user")
	must(t, err)
	config = t.TempDir()
	must(t, os.Chmod(config, 0o700))
	_, err = holocompute.Enrol(t.Context(), holocompute.Options{Config: config}, invite)
	must(t, err)
	return config
}

func far(t *testing.T, config, address string) *holocompute.Cluster {
	t.Helper()
	c, err := holocompute.Connect(t.Context(), holocompute.Options{Config: config, Address: address})
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// The node that a client is attached to, which leads the catalogue as well, is
// killed while the client reads: not one read fails, and what was written is
// there.
func TestReadsFromAfarGoOnWhenTheirNodeIsKilled(t *testing.T) {
	w := newTown(t, 3)
	config := w.enrolled(t)
	status, err := w.owner.Status(t.Context())
	must(t, err)
	var victim *process
	for _, p := range w.nodes {
		if p.id == status.Leader {
			victim = p
		}
	}
	c := far(t, config, victim.addr)
	if s, err := c.Status(t.Context()); err != nil || s.Node != victim.id {
		t.Fatalf("the client is attached to %v, %v", s, err)
	}
	const length = 1 << 20
	a, err := holocompute.Create[uint32](t.Context(), c, "numbers", length, holocompute.ArrayOptions{Extent: 16384, Copies: 2})
	must(t, err)
	values := make([]uint32, length)
	for i := range values {
		values[i] = uint32(i) * 2654435761
	}
	must(t, a.Write(t.Context(), 0, values))

	var reads, stop atomic.Int64
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			got := make([]uint32, 20_000)
			for n := worker; stop.Load() == 0; n += 4 {
				first := n * 7919 % (length - len(got))
				if err := a.Read(t.Context(), uint64(first), got); err != nil {
					t.Errorf("read at %d: %v", first, err)
					return
				}
				for i, v := range got {
					if v != values[first+i] {
						t.Errorf("element %d is %d", first+i, v)
						return
					}
				}
				reads.Add(1)
			}
		})
	}
	more := func(n int64) {
		want := reads.Load() + n
		await(t, "reads go on", func() bool { return reads.Load() >= want || t.Failed() })
	}
	more(40)
	must(t, victim.cmd.Process.Kill())
	more(200)
	stop.Store(1)
	wg.Wait()
	s, err := c.Status(t.Context())
	if err != nil || s.Node == victim.id {
		t.Fatalf("the client is attached to %v, %v", s, err)
	}
	must(t, a.Write(t.Context(), 5, values[5:6]))
	again, err := w.owner.Grants(t.Context()) // its node was killed, or another: either way
	if err == nil && len(again) != 1 {
		t.Errorf("%d clients", len(again))
	}
}

// wire is a stretch of the network between a client and a node: it keeps a copy
// of every datagram, and can be cut.
type cable struct {
	front  *net.UDPConn
	cut    atomic.Bool
	mu     sync.Mutex
	seen   bytes.Buffer
	passed atomic.Int64 // bytes to the node
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	node, err := net.ResolveUDPAddr("udp", to)
	must(t, err)
	c := &cable{front: front}
	backs := map[string]*net.UDPConn{}
	t.Cleanup(func() { front.Close() })
	go func() {
		b := make([]byte, 65535)
		for {
			n, from, err := front.ReadFromUDP(b)
			if err != nil {
				for _, back := range backs {
					back.Close()
				}
				return
			}
			back := backs[from.String()]
			if back == nil {
				if back, err = net.DialUDP("udp", nil, node); err != nil {
					return
				}
				backs[from.String()] = back
				go c.back(back, from)
			}
			if c.note(b[:n]) {
				c.passed.Add(int64(n))
				_, _ = back.Write(b[:n])
			}
		}
	}()
	return c
}

func (c *cable) back(back *net.UDPConn, to *net.UDPAddr) {
	b := make([]byte, 65535)
	for {
		n, err := back.Read(b)
		if err != nil {
			return
		}
		if c.note(b[:n]) {
			_, _ = c.front.WriteToUDP(b[:n], to)
		}
	}
}

func (c *cable) note(b []byte) (passes bool) {
	if c.cut.Load() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.Write(b)
	return true
}

func (c *cable) captured() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.seen.Bytes())
}

func (c *cable) addr() string { return c.front.LocalAddr().String() }

// What goes between a client and its node says nothing to who records it: not
// what is written and read, nor names, nor keys. The recorder itself is shown to
// work by a canary that is sent in clear.
func TestCaptureOfAClientHoldsNothingReadable(t *testing.T) {
	w := newTown(t, 1)
	config := w.enrolled(t)
	line := newCable(t, w.nodes[0].addr)
	pin := pinOf(t, config)
	c, err := holocompute.Connect(t.Context(), holocompute.Options{Config: config, Address: line.addr(), Pin: pin.Fingerprint()})
	must(t, err)
	defer c.Close()
	secret := bytes.Repeat([]byte("the canary sings at night; "), 4000)
	raw, err := c.CreateRaw(t.Context(), "canary-array", holocompute.U8, uint64(len(secret)), holocompute.ArrayOptions{})
	must(t, err)
	must(t, raw.WriteBytes(t.Context(), 0, secret))
	got := make([]byte, len(secret))
	must(t, raw.ReadBytes(t.Context(), 0, got))
	if !bytes.Equal(got, secret) {
		t.Fatal("other bytes came back")
	}
	plain, err := net.Dial("udp", line.addr())
	must(t, err)
	defer plain.Close()
	_, err = plain.Write([]byte("planted in clear"))
	must(t, err)
	await(t, "the recorder sees what is there", func() bool { return bytes.Contains(line.captured(), []byte("planted in clear")) })

	capture := line.captured()
	if len(capture) < 2*len(secret) {
		t.Fatalf("%d bytes were captured, %d moved", len(capture), 2*len(secret))
	}
	signer, err := identity.ReadSigner(filepath.Join(config, identity.UserKeyFile))
	must(t, err)
	public, seed := signer.Public(), signer.Seed()
	for what, needle := range map[string][]byte{
		"contents": []byte("canary sings"), "name": []byte("canary-array"), "header": []byte("Holo-Session"), "procedure": []byte("holo.v1."),
		"client's public key": public[:], "client's key": seed.Bytes(), "host name": []byte(hostLabel(t)),
	} {
		if bytes.Contains(capture, needle) {
			t.Errorf("the capture holds the %s", what)
		}
	}
}

func hostLabel(t *testing.T) string {
	host, err := os.Hostname()
	must(t, err)
	if len(host) < 6 {
		return "no name long enough to be no accident"
	}
	return host
}

func pinOf(t *testing.T, config string) identity.Pin {
	t.Helper()
	k, err := identity.ReadKnown(filepath.Join(config, identity.KnownFile))
	must(t, err)
	p, ok := k.Find(k.Default)
	if !ok {
		t.Fatal("no cluster is remembered")
	}
	return p
}

// A network that goes away in the middle of a write leaves open whether it was
// applied, and the SDK says so instead of writing again; reads go on by another
// way.
func TestWriteThatIsCutOffIsIndeterminate(t *testing.T) {
	w := newTown(t, 1)
	config := w.enrolled(t)
	line := newCable(t, w.nodes[0].addr)
	c, err := holocompute.Connect(t.Context(), holocompute.Options{Config: config, Address: line.addr(), Pin: pinOf(t, config).Fingerprint()})
	must(t, err)
	defer c.Close()
	raw, err := c.CreateRaw(t.Context(), "cut", holocompute.U8, 16<<20, holocompute.ArrayOptions{})
	must(t, err)
	before := line.passed.Load()
	written := make(chan error, 1)
	go func() { written <- raw.WriteBytes(t.Context(), 0, bytes.Repeat([]byte{7}, 16<<20)) }()
	await(t, "the write is under way", func() bool { return line.passed.Load() > before+64<<10 })
	line.cut.Store(true)
	err = <-written
	if err == nil || holocompute.KindOf(err) != holocompute.Indeterminate || holocompute.ReasonOf(err) != "cut_off" {
		t.Errorf("a write that was cut off: %v (%s)", err, holocompute.KindOf(err))
	}
	got := make([]byte, 100)
	must(t, raw.ReadBytes(t.Context(), 0, got)) // by the address that the node told
	must(t, raw.WriteBytes(t.Context(), 0, got))
}
