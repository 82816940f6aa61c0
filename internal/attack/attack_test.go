package attack

import (
	"bytes"
	"context"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/node"
)

// patience is how long a test waits for something that must happen.
const patience = 60 * time.Second

// testMemory is what each honest node offers: as much as the liar, so that the
// shards are spread evenly.
const testMemory = liarMemory

// reasonDigest is how nodes count pages that are not what was sealed.
const reasonDigest = "digest_mismatch"

// cluster is honest nodes in this process, on loopback sockets.
type cluster struct {
	t     *testing.T
	root  string
	nodes []*node.Node
}

func newCluster(t *testing.T, n int) *cluster {
	t.Helper()
	c := &cluster{t: t, root: t.TempDir()}
	_, err := node.Init(t.Context(), node.InitConfig{Dir: c.dir(0), ConfigDir: c.config(0), NodeName: "n0", MemoryBytes: testMemory})
	must(t, err)
	c.start(0)
	for i := 1; i < n; i++ {
		_, err := node.Join(t.Context(), node.JoinConfig{
			Dir: c.dir(i), ConfigDir: c.config(i), Invite: c.invite().Text(), NodeName: "n" + strconv.Itoa(i), MemoryBytes: testMemory,
		})
		must(t, err)
		c.start(i)
	}
	await(t, "all nodes have leases", func() bool { return c.leased() == n })
	return c
}

func (c *cluster) dir(i int) string    { return filepath.Join(c.root, "n"+strconv.Itoa(i)) }
func (c *cluster) config(i int) string { return c.dir(i) + "-config" }

func (c *cluster) start(i int) {
	c.t.Helper()
	n, err := node.Start(context.Background(), node.Config{Dir: c.dir(i), MemoryBytes: testMemory})
	must(c.t, err)
	c.t.Cleanup(func() { n.Close() })
	c.nodes = append(c.nodes, n)
}

// leased is how many nodes the leader has heard from within a lease.
func (c *cluster) leased() (count int) {
	status, err := c.nodes[0].Status(c.t.Context(), door.Caller{})
	if err != nil {
		return 0
	}
	for _, n := range status.Nodes {
		if n.Lease && n.State == "active" {
			count++
		}
	}
	return count
}

// invite makes one as the owner's client does.
func (c *cluster) invite() identity.Invite {
	c.t.Helper()
	owner, err := identity.ReadSigner(filepath.Join(c.config(0), identity.OwnerKeyFile))
	must(c.t, err)
	n := c.nodes[0]
	i := identity.NewInvite(n.Cluster(), owner.Public(), time.Now().Add(time.Hour))
	public, psk := i.Signer().Public(), i.PSK()
	r, err := n.CreateInvite(c.t.Context(), door.Caller{}, &holov1.CreateInviteRequest{
		InviteKey: public[:], Psk: psk.Key.Bytes(), ExpiresUnix: i.Expires.Unix(),
		OwnerSignature: owner.Sign(api.InviteProof(n.Cluster(), public[:], i.Expires.Unix())),
	})
	must(c.t, err)
	i.Addresses = r.Addresses
	return i
}

func (c *cluster) target(i int) Target {
	n := c.nodes[i]
	return Target{Address: n.Addr(), Cluster: n.Cluster(), Node: n.Self(), Refusals: func(ctx context.Context) (map[string]uint64, error) {
		status, err := n.Status(ctx, door.Caller{})
		return status.GetRefusals(), err
	}}
}

func (c *cluster) refused(i int, reason string) uint64 {
	c.t.Helper()
	counts, err := c.target(i).Refusals(c.t.Context())
	must(c.t, err)
	return counts[reason]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// await looks until something holds, or the test's patience ends.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// TestStrangersAreRefusedForTheRightReason attacks the node that leads and one
// that does not.
func TestStrangersAreRefusedForTheRightReason(t *testing.T) {
	c := newCluster(t, 2)
	clusterKey, err := identity.ReadSecret(filepath.Join(c.dir(0), identity.ClusterKeyFile))
	must(t, err)
	for _, a := range []struct {
		name   string
		reason string
		carry  func(context.Context, Target) (Outcome, error)
	}{
		{"a stolen cluster key", handshake.ReasonUnknownNode, func(ctx context.Context, t Target) (Outcome, error) { return UnknownNode(ctx, t, clusterKey) }},
		{"a wrong cluster key", handshake.ReasonUnknownPSK, WrongClusterKey},
		{"a forged invite", handshake.ReasonUnknownPSK, ForgedInvite},
	} {
		for i := range c.nodes {
			o, err := a.carry(t.Context(), c.target(i))
			must(t, err)
			if !o.Refused || o.Reason != a.reason {
				t.Errorf("%s at node %d: %+v, want it refused as %s", a.name, i, o, a.reason)
			}
		}
	}
}

// TestTheSameAttackWithRightCredentialsIsNotRefused is the control: what keeps
// the strangers out is what they lack, and nothing else.
func TestTheSameAttackWithRightCredentialsIsNotRefused(t *testing.T) {
	c := newCluster(t, 2)
	clusterKey, err := identity.ReadSecret(filepath.Join(c.dir(1), identity.ClusterKeyFile))
	must(t, err)
	member, err := identity.ReadSigner(filepath.Join(c.dir(1), identity.NodeKeyFile))
	must(t, err)
	must(t, c.nodes[1].Close()) // a second process with its key would be refused as a copy
	for name, s := range map[string]*stranger{
		"a member's own key": asNode(member, handshake.ClusterPSK(clusterKey, c.nodes[0].Cluster())),
		"a valid invite":     withInvite(key.GenerateSigner(), c.invite()),
	} {
		s.because = []string{handshake.ReasonUnknownNode, handshake.ReasonUnknownPSK, handshake.ReasonBadHandshake}
		o, err := s.carry(t.Context(), c.target(0))
		must(t, err)
		if o.Refused || o.Reason != "" {
			t.Errorf("%s: %+v, want it let in", name, o)
		}
	}
}

// TestSilenceIsNoRefusal: an attack that got nothing while the target counted
// nothing that fits was not refused by it.
func TestSilenceIsNoRefusal(t *testing.T) {
	calls := uint64(0)
	target := Target{Address: newCluster(t, 1).nodes[0].Addr(), Cluster: holo.ClusterID{1}} // of another cluster
	target.Refusals = func(context.Context) (map[string]uint64, error) {
		calls++ // a counter that moves for another reason
		return map[string]uint64{handshake.ReasonUnknownPSK: 7, handshake.ReasonWrongCluster: calls}, nil
	}
	if o, err := ForgedInvite(t.Context(), target); err != nil || o.Refused || o.Reason != "" {
		t.Errorf("without a counter that moved: %+v, %v", o, err)
	}
}

// TestLiarIsNoticedAndItsPagesAreNeverUsed spreads an array over shards that
// two nodes of three hold. Whoever reads one that it does not hold itself asks
// the home first, which often is the liar.
func TestLiarIsNoticedAndItsPagesAreNeverUsed(t *testing.T) {
	c := newCluster(t, 2)
	liar, err := JoinLiar(t.Context(), filepath.Join(c.root, "liar"), c.invite().Text())
	must(t, err)
	t.Cleanup(func() { liar.Close() })
	await(t, "the cluster counts on the liar", func() bool { return c.leased() == 3 })

	want := make([]byte, 64*holo.PageSize)
	rand.NewChaCha8([32]byte{1}).Read(want)
	array := c.sealed("everywhere", want)
	homes := 0
	extents, err := c.nodes[0].Pages(t.Context(), door.Caller{}, array)
	must(t, err)
	for _, e := range extents {
		if e.Primary == liar.Node().Hex() {
			homes++
		}
	}
	if homes == 0 {
		t.Fatal("the liar is nobody's home: nothing was tried")
	}
	lies, noticed := uint64(0), uint64(0)
	for i, n := range c.nodes {
		before, served := c.refused(i, reasonDigest), liar.Served()
		got := make([]byte, len(want))
		must(t, n.ReadRange(t.Context(), array, 0, got))
		if !bytes.Equal(got, want) {
			t.Errorf("node %d read what the liar made up", i)
		}
		lies, noticed = lies+liar.Served()-served, noticed+c.refused(i, reasonDigest)-before
	}
	t.Logf("%d lies, %d noticed, the liar is home of %d of %d extents", lies, noticed, homes, len(extents))
	if lies == 0 || noticed == 0 { // a lie that came after its reader had given up is noticed by nobody
		t.Error("the liar was not asked, or not noticed")
	}
}

// sealed writes and seals an array of extents of one page, two copies each.
func (c *cluster) sealed(name string, data []byte) holo.ArrayID {
	c.t.Helper()
	n := c.nodes[0]
	user, err := identity.ReadSigner(filepath.Join(c.config(0), identity.UserKeyFile))
	must(c.t, err)
	create := &holov1.CreateArrayRequest{Name: name, Type: "u8", Length: uint64(len(data)), ExtentElements: holo.PageSize, Copies: 2}
	a, err := n.CreateArray(c.t.Context(), door.Ask(n, user, holov1connect.ArrayServiceCreateProcedure, create), create)
	must(c.t, err)
	id := holo.ArrayID(a.Id)
	must(c.t, n.WriteRange(c.t.Context(), id, 0, data))
	_, err = n.SealArray(c.t.Context(), door.Ask(n, user, holov1connect.ArrayServiceSealProcedure, &holov1.SealRequest{Array: a.Id}), id)
	must(c.t, err)
	return id
}
