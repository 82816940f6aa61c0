package jobs_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/node"
	"github.com/holocompute/holocompute/internal/workers"
	"github.com/holocompute/holocompute/kernels"
)

// childArgument makes the test binary a node of the cluster.
const childArgument = "be-a-node"

const memory = 64 << 20

// helpAfter keeps tasks where their pages lie, though this machine be busy.
const helpAfter = 1000 * time.Second

// patience ends a test that hangs; no assertion depends on it.
const patience = 2 * time.Minute

func TestMain(m *testing.M) {
	workers.Main()
	if len(os.Args) == 2 && os.Args[1] == childArgument {
		if err := beNode(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// order is what a child is told on its standard input.
type order struct{ Dir, ConfigDir, Invite, Name string }

// beNode joins, says its ID, and runs until its input ends.
func beNode(in io.Reader, out io.Writer) error {
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return err
	}
	ctx := context.Background()
	if _, err := node.Join(ctx, node.JoinConfig{Dir: o.Dir, ConfigDir: o.ConfigDir, Invite: o.Invite, NodeName: o.Name, MemoryBytes: memory}); err != nil {
		return err
	}
	n, err := node.Start(ctx, node.Config{Dir: o.Dir, MemoryBytes: memory})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, n.Self().Hex())
	_, err = io.Copy(io.Discard, in)
	return err // without a goodbye: the parent is gone, or wants the process gone
}

// cluster is a node in this process, which coordinates and answers clients, and
// others in processes of their own, which can be killed.
type cluster struct {
	testing.TB
	*node.Node
	ctx      context.Context
	root     string
	children map[string]*exec.Cmd // by node ID
}

func newCluster(t testing.TB, size int) *cluster { return newClusterThatHelps(t, size, helpAfter) }

// newClusterThatHelps is a cluster whose coordinator has nodes help each other
// when so much is saved.
func newClusterThatHelps(t testing.TB, size int, after time.Duration) *cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	c := &cluster{TB: t, ctx: ctx, root: t.TempDir(), children: map[string]*exec.Cmd{}}
	dir := filepath.Join(c.root, "n0")
	if _, err := node.Init(ctx, node.InitConfig{Dir: dir, ConfigDir: c.configDir(), NodeName: "n0", MemoryBytes: memory}); err != nil {
		t.Fatal(err)
	}
	var err error
	if c.Node, err = node.Start(ctx, node.Config{Dir: dir, MemoryBytes: memory, HelpAfter: after}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	for i := 1; i < size; i++ {
		c.join(fmt.Sprintf("n%d", i))
	}
	c.until("all nodes hold leases, and vote where three do", func(s *holov1.StatusResponse) bool {
		return leases(s) == size && len(s.Voters) == map[int]int{1: 1, 2: 1, 3: 3}[size]
	})
	return c
}

// leases is how many nodes hold one.
func leases(s *holov1.StatusResponse) (n int) {
	for _, each := range s.Nodes {
		if each.Lease {
			n++
		}
	}
	return n
}

func (c *cluster) configDir() string { return filepath.Join(c.root, "config") }

// join starts a child and waits until it runs.
func (c *cluster) join(name string) {
	c.Helper()
	child := exec.CommandContext(c.ctx, os.Args[0], childArgument)
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		c.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		c.Fatal(err)
	}
	if err := child.Start(); err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { _ = in.Close(); _ = child.Process.Kill(); _ = child.Wait() })
	o := order{filepath.Join(c.root, name), filepath.Join(c.root, name+"-config"), c.invite(), name}
	if err := json.NewEncoder(in).Encode(o); err != nil {
		c.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		c.Fatalf("node %s said nothing", name)
	}
	c.children[lines.Text()] = child
}

// invite makes one as the owner's client does.
func (c *cluster) invite() string {
	owner, err := identity.ReadSigner(filepath.Join(c.configDir(), identity.OwnerKeyFile))
	if err != nil {
		c.Fatal(err)
	}
	i := identity.NewInvite(c.Cluster(), holo.PrincipalID(owner.Public()), time.Now().Add(time.Hour))
	public, psk := i.Signer().Public(), i.PSK()
	r, err := c.CreateInvite(c.ctx, door.Caller{}, &holov1.CreateInviteRequest{
		InviteKey: public[:], Psk: psk.Key.Bytes(), ExpiresUnix: i.Expires.Unix(),
		OwnerSignature: owner.Sign(api.InviteProof(c.Cluster(), public[:], i.Expires.Unix())),
	})
	if err != nil {
		c.Fatal(err)
	}
	i.Addresses = r.Addresses
	return i.Text()
}

// until looks at the status until something holds.
func (c *cluster) until(what string, holds func(*holov1.StatusResponse) bool) {
	c.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		if s, err := c.Status(c.ctx, door.Caller{}); err == nil && holds(s) {
			return
		}
		select {
		case <-look.C:
		case <-c.ctx.Done():
			c.Fatalf("never: %s", what)
		}
	}
}

// kill ends a child as nothing else can.
func (c *cluster) kill(id string) {
	c.Helper()
	child, ok := c.children[id]
	if !ok {
		c.Fatalf("no child %s to kill", id)
	}
	if err := child.Process.Kill(); err != nil {
		c.Fatal(err)
	}
}

// user is the key of who ran Init.
func (c *cluster) user() key.Signer {
	c.Helper()
	user, err := identity.ReadSigner(filepath.Join(c.configDir(), identity.UserKeyFile))
	if err != nil {
		c.Fatal(err)
	}
	return user
}

// array makes an array and fills it.
func (c *cluster) array(name, typ string, width int, extent uint64, content []byte) uint64 {
	c.Helper()
	create := &holov1.CreateArrayRequest{Name: name, Type: typ, Length: uint64(len(content) / width), ExtentElements: extent, Affinity: "together"}
	a, err := c.CreateArray(c.ctx, door.Ask(c, c.user(), holov1connect.ArrayServiceCreateProcedure, create), create)
	if err != nil {
		c.Fatal(err)
	}
	if err := c.WriteRange(c.ctx, holo.ArrayID(a.Id), 0, content); err != nil {
		c.Fatal(err)
	}
	return a.Id
}

// seal makes an array immutable.
func (c *cluster) seal(id uint64) {
	c.Helper()
	m := &holov1.SealRequest{Array: id}
	if _, err := c.SealArray(c.ctx, door.Ask(c, c.user(), holov1connect.ArrayServiceSealProcedure, m), holo.ArrayID(id)); err != nil {
		c.Fatal(err)
	}
}

// content reads an array, waiting for shards that are being moved.
func (c *cluster) content(id uint64, size int) []byte {
	c.Helper()
	b := make([]byte, size)
	if err := c.ReadRange(c.ctx, holo.ArrayID(id), 0, b); err != nil {
		c.Fatal(err)
	}
	return b
}

func (c *cluster) push(kernel string) {
	c.Helper()
	m, err := module.Admit(kernels.Get(kernel))
	if err != nil {
		c.Fatal(err)
	}
	push := &holov1.PushKernelRequest{Name: kernel, Module: m.ID[:], Size: uint64(len(m.Original)), Functions: m.Names()}
	ask := door.Ask(c, c.user(), holov1connect.KernelServicePushProcedure, push)
	ask.Attached = m.Original
	if _, err := c.PushKernel(c.ctx, ask, push); err != nil {
		c.Fatal(err)
	}
}

// run runs a job to its end and wants it done. each sees its progress.
func (c *cluster) run(m *holov1.SubmitRequest, each func(*holov1.JobProgress)) *holov1.Job {
	c.Helper()
	j, err := c.SubmitJob(c.ctx, door.Ask(c, c.user(), holov1connect.JobServiceSubmitProcedure, m), m)
	if err != nil {
		c.Fatal(err)
	}
	err = c.WatchJob(c.ctx, door.Caller{}, holo.JobID(j.Id), func(p *holov1.JobProgress) error {
		if each != nil {
			each(p)
		}
		return nil
	})
	if err != nil {
		c.Fatal(err)
	}
	if j, err = c.GetJob(c.ctx, door.Caller{}, holo.JobID(j.Id)); err != nil || j.State != "done" {
		c.Fatalf("job %v: %v", j, err)
	}
	return j
}
