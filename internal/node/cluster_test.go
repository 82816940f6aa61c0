package node

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/memory"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/wire"
)

// patience is how long a test waits for something that must happen.
const patience = 60 * time.Second

// cluster is real nodes in one process, on loopback sockets and temporary
// folders.
type cluster struct {
	t     *testing.T
	root  string
	nodes []*Node
	dirs  []string

	clients *bool  // as Config has it
	spill   uint64 // limit of spill folders; 0: nodes have none
	scrub   uint64 // rate; 0: the default
	log     *slog.Logger
	killed  holo.NodeID
	lies    bool // somebody in it does, and may be blamed
}

func (c *cluster) config(i int) Config {
	config := Config{Dir: c.dirs[i], MemoryBytes: 64 << 20, Clients: c.clients, Logger: testLogger(c.t), ScrubRate: c.scrub, HelpAfter: 1000 * time.Second}
	if c.log != nil {
		config.Logger = c.log
	}
	if c.spill > 0 {
		config.MemoryBytes, config.SpillDir, config.SpillLimit = memory.LeastSpillMemory, c.dirs[i]+"-spill", c.spill
	}
	return config
}

func testLogger(t *testing.T) *slog.Logger {
	if os.Getenv("HOLO_TEST_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// newCluster makes a cluster of n nodes and waits until all hold leases and
// the voters are those that its size asks for.
func newCluster(t *testing.T, n int) *cluster {
	t.Helper()
	return found(&cluster{t: t, root: t.TempDir()}, n)
}

func found(c *cluster, n int) *cluster {
	t := c.t
	t.Helper()
	ctx := context.Background()
	c.addDir()
	_, err := Init(ctx, InitConfig{Dir: c.dirs[0], ConfigDir: c.configDir(0), NodeName: "n0", MemoryBytes: 64 << 20})
	must(t, err)
	c.start(0)
	for i := 1; i < n; i++ {
		c.addDir()
		_, err := Join(ctx, JoinConfig{Dir: c.dirs[i], ConfigDir: c.configDir(i), Invite: c.invite(time.Hour).Text(), NodeName: "n" + string(rune('0'+i)), MemoryBytes: 64 << 20})
		must(t, err)
		c.start(i)
	}
	t.Cleanup(c.dump) // before the nodes are closed
	t.Cleanup(func() {
		if !c.lies {
			c.blameless()
		}
	})
	c.settle()
	return c
}

func (c *cluster) addDir() {
	c.dirs = append(c.dirs, filepath.Join(c.root, "node"+string(rune('0'+len(c.dirs)))))
	c.nodes = append(c.nodes, nil)
}

func (c *cluster) configDir(i int) string { return c.dirs[i] + "-config" }

func (c *cluster) start(i int) {
	c.t.Helper()
	n, err := Start(context.Background(), c.config(i))
	must(c.t, err)
	c.nodes[i] = n
	c.t.Cleanup(func() { n.Close() })
}

func (c *cluster) live() []*Node {
	var live []*Node
	for _, n := range c.nodes {
		if n != nil {
			live = append(live, n)
		}
	}
	return live
}

// settle waits until every living node holds a lease, knows all members, and
// the voters are as many as wanted.
func (c *cluster) settle() {
	c.t.Helper()
	live := c.live()
	await(c.t, "leases, members and voters", func() bool {
		for _, n := range live {
			if !n.holdsLease() || len(n.members.ids()) != len(c.nodes) {
				return false
			}
		}
		want := 1
		if len(c.nodes) >= 3 {
			want = 3
		}
		alive := 0
		live[0].catalog.read(func(cat *catalog.Catalog) {
			for _, r := range cat.Nodes() {
				if r.Alive {
					alive++
				}
			}
		})
		return alive >= len(live) && len(live[0].consensus.Voters()) == want
	})
}

func (n *Node) holdsLease() (ok bool) {
	n.turns.Do(context.Background(), func(now holo.Time) { ok = n.loop.holder.Valid(now) })
	return ok
}

// invite makes one as the owner's client does.
func (c *cluster) invite(life time.Duration) identity.Invite {
	c.t.Helper()
	owner, err := identity.ReadSigner(filepath.Join(c.configDir(0), identity.OwnerKeyFile))
	must(c.t, err)
	n := c.live()[0]
	i := identity.NewInvite(n.cluster, holo.PrincipalID(owner.Public()), time.Now().Add(life))
	public, psk := i.Signer().Public(), i.PSK()
	r, err := n.CreateInvite(context.Background(), door.Caller{}, &holov1.CreateInviteRequest{
		InviteKey: public[:], Psk: psk.Key.Bytes(), ExpiresUnix: i.Expires.Unix(),
		OwnerSignature: owner.Sign(api.InviteProof(n.cluster, public[:], i.Expires.Unix())),
	})
	must(c.t, err)
	i.Addresses = r.Addresses
	return i
}

// kill ends a node without a goodbye: its socket and its disk close under it.
func (c *cluster) kill(i int) *Node {
	n := c.nodes[i]
	c.nodes[i], c.killed = nil, n.self
	n.group.Cancel()
	n.transport.Close()
	n.Close()
	return n
}

func (c *cluster) create(n *Node, name string, bytes uint64) *holov1.Array {
	c.t.Helper()
	a, err := c.makes(context.Background(), n, &holov1.CreateArrayRequest{
		Name: name, Type: "i64", Length: bytes / 8, ExtentElements: 16 * holo.PageSize / 8,
	})
	must(c.t, err)
	return a
}

// answers wants the cluster to take a write and give it back, after an attack.
func (c *cluster) answers(n *Node) {
	c.t.Helper()
	a, data := c.create(n, "afterwards", 1<<20), noise(3, 1<<20)
	must(c.t, n.WriteRange(context.Background(), holo.ArrayID(a.Id), 0, data))
	wantBytes(c.t, n, a.Id, 0, data)
}

// asks is a request as the client of the first node's user signs it.
func (c *cluster) asks(n *Node, procedure string, m proto.Message) door.Caller {
	c.t.Helper()
	return door.Ask(n, c.userKey(0), procedure, m)
}

func (c *cluster) makes(ctx context.Context, n *Node, m *holov1.CreateArrayRequest) (*holov1.Array, error) {
	return n.CreateArray(ctx, c.asks(n, holov1connect.ArrayServiceCreateProcedure, m), m)
}

func (c *cluster) seals(ctx context.Context, n *Node, id holo.ArrayID) (*holov1.Array, error) {
	return n.SealArray(ctx, c.asks(n, holov1connect.ArrayServiceSealProcedure, &holov1.SealRequest{Array: uint64(id)}), id)
}

func (c *cluster) deletes(ctx context.Context, n *Node, id holo.ArrayID) (uint64, error) {
	return n.DeleteArray(ctx, c.asks(n, holov1connect.ArrayServiceDeleteProcedure, &holov1.DeleteRequest{Array: uint64(id)}), id)
}

func (c *cluster) pushes(ctx context.Context, n *Node, name string, wasm []byte) (*holov1.Kernel, error) {
	c.t.Helper()
	m, err := module.Admit(wasm)
	must(c.t, err)
	q := &holov1.PushKernelRequest{Name: name, Module: m.ID[:], Size: uint64(len(wasm)), Functions: m.Names()}
	ask := c.asks(n, holov1connect.KernelServicePushProcedure, q)
	ask.Attached = wasm
	return n.PushKernel(ctx, ask, q)
}

func (c *cluster) submits(ctx context.Context, n *Node, m *holov1.SubmitRequest) (*holov1.Job, error) {
	return n.SubmitJob(ctx, c.asks(n, holov1connect.JobServiceSubmitProcedure, m), m)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// await looks until something holds, for a little longer than the test's patience:
// where a busy machine made a node late for its lease, what it was left out of is kept
// for a minute.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	awaitFor(t, patience+15*time.Second, what, holds)
}

// soon is await of what has happened and is only to be noticed.
func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	awaitFor(t, patience/3, what, holds)
}

func awaitFor(t *testing.T, long time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(long)
	defer deadline.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("not within %s: %s", long, what)
		}
	}
}

// noise is bytes that repeat nowhere, the same for a seed.
func noise(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	b := make([]byte, n)
	r.Read(b)
	return b
}

func wantBytes(t *testing.T, n *Node, id uint64, offset uint64, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	must(t, n.ReadRange(context.Background(), holo.ArrayID(id), offset, got))
	if !bytes.Equal(got, want) {
		t.Fatalf("node %s: array %d at %d: bytes differ", n.self, id, offset)
	}
}

func wantRefused(t *testing.T, err error, kind holo.Kind, reason string) {
	t.Helper()
	if err == nil || holo.KindOf(err) != kind || holo.ReasonOf(err) != reason {
		t.Fatalf("error %v of kind %s reason %q, want kind %s reason %q", err, holo.KindOf(err), holo.ReasonOf(err), kind, reason)
	}
}

var _ wire.Message = (*wire.Heartbeat)(nil)
