package node

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/kernels"
)

func (c *cluster) owner() key.Signer {
	c.t.Helper()
	owner, err := identity.ReadSigner(filepath.Join(c.configDir(0), identity.OwnerKeyFile))
	must(c.t, err)
	return owner
}

func (c *cluster) user(i int) holo.PrincipalID {
	c.t.Helper()
	return c.userKey(i).Public()
}

func (c *cluster) userKey(i int) key.Signer {
	c.t.Helper()
	user, err := identity.ReadSigner(filepath.Join(c.configDir(i), identity.UserKeyFile))
	must(c.t, err)
	return user
}

// grant has the owner grant something at a node.
func (c *cluster) grant(n *Node, a wire.Access) *holov1.Grant {
	c.t.Helper()
	owner := c.owner()
	head, _, err := n.accessNow(context.Background())
	must(c.t, err)
	out := grantOut(&wire.GrantRecord{Access: a})
	sig := owner.Sign(api.GrantProof(n.cluster, head.Epoch, a.Principal, a.Label, a.Role, &a.Scope, a.Release))
	g, err := n.PutGrant(context.Background(), door.Caller{Principal: owner.Public()}, &holov1.PutGrantRequest{Grant: out, Epoch: head.Epoch, Signature: sig})
	must(c.t, err)
	return g
}

func (c *cluster) revoke(n *Node, id uint64) {
	c.t.Helper()
	owner := c.owner()
	head, _, err := n.accessNow(context.Background())
	must(c.t, err)
	_, err = n.RevokeGrant(context.Background(), door.Caller{Principal: owner.Public()}, &holov1.RevokeGrantRequest{
		Id: id, Epoch: head.Epoch, Signature: owner.Sign(api.RevokeProof(n.cluster, head.Epoch, id)),
	})
	must(c.t, err)
}

// may asks a node's policy as its door would.
func may(n *Node, p holo.PrincipalID, needs ...door.Access) door.Verdict {
	return n.Authorize(context.Background(), door.Caller{Principal: p, Procedure: "test"}, needs, false)
}

func reading(name string) door.Access {
	return door.Access{Action: holo.ActionRead, On: door.Target{Array: name}}
}

// Two nodes: the second does not vote and learns the policy from the first.
func TestGrantHoldsOnTheNodesThatItNames(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	a, b := c.nodes[0], c.nodes[1]
	c.create(a, "lab/x", holo.PageSize)
	bob := holo.PrincipalID(key.GenerateSigner().Public())
	c.grant(a, wire.Access{Principal: bob, Role: holo.RoleReader, Scope: holo.Scope{Nodes: []holo.NodeID{b.self}}})
	await(t, "the other node to know it", func() bool { return may(b, bob, reading("lab/x")).Allowed })
	if v := may(a, bob, reading("lab/x")); v.Allowed || v.Reason != authz.ReasonNotGranted {
		t.Errorf("at a node that it does not name: %+v", v)
	}
	v := may(b, bob, reading("lab/x"))
	if !v.Allowed || v.Epoch != a.access.epoch() || len(v.Policies) != 1 || !b.Holds(v.Handle) {
		t.Errorf("%+v", v)
	}
}

// What is revoked at one node ends on another: new calls and open handles.
func TestRevocationReachesTheOtherNodes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	a, b := c.nodes[0], c.nodes[1]
	c.create(a, "lab/x", holo.PageSize)
	bob := holo.PrincipalID(key.GenerateSigner().Public())
	g := c.grant(a, wire.Access{Principal: bob, Role: holo.RoleReader})
	await(t, "the grant to be known", func() bool { return may(b, bob, reading("lab/x")).Allowed })
	open := may(b, bob, reading("lab/x"))
	c.revoke(a, g.GetId())
	epoch := a.access.epoch()
	await(t, "the lease to tell of it", func() bool { return !b.Holds(open.Handle) })
	// From then on nothing of the old policy counts there.
	if v := may(b, bob, reading("lab/x")); v.Allowed || v.Reason != authz.ReasonUnknown || v.Epoch < epoch {
		t.Errorf("%+v", v)
	}
	if err := b.Known(context.Background(), bob); holo.ReasonOf(err) != authz.ReasonUnknown {
		t.Errorf("a session may begin: %v", err)
	}
}

// A lease that tells of a newer policy closes the node until it knows that.
func TestNodeWithAnOlderPolicyThanItsLeaseOpensNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	user := c.user(0)
	await(t, "the user's grant", func() bool { return may(n, user, reading("x")).Err != nil && n.access.epoch() > 0 })
	s := n.access.set.Load()
	open := may(n, user, door.Access{Action: holo.ActionObserve})
	if !open.Allowed || !n.Holds(open.Handle) {
		t.Fatalf("%+v", open)
	}
	x := newAccess()
	x.set.Store(s)
	x.leased(n.clock.now().Add(holo.Second), s.Epoch())
	if _, fresh := x.fresh(n.clock.now()); fresh {
		t.Error("a policy that a file recalled opens doors")
	}
	x.told.Store(true)
	now := n.clock.now()
	for _, c := range []struct {
		until holo.Time
		epoch uint64
		fresh bool
	}{{now.Add(holo.Second), s.Epoch(), true}, {now.Add(holo.Second), s.Epoch() + 1, false}, {now, s.Epoch(), false}} {
		x.leased(c.until, c.epoch)
		if _, fresh := x.fresh(now); fresh != c.fresh {
			t.Errorf("lease until %d at epoch %d: fresh %v", c.until, c.epoch, fresh)
		}
	}
}

// A node that is cut off from the leader opens nothing, and still tells its
// status to those whom it knew.
func TestNodeWithoutALeaseOpensNothingButItsStatus(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	b, user := c.nodes[1], c.user(0)
	c.create(c.nodes[0], "x", holo.PageSize)
	await(t, "the policy", func() bool { return may(b, user, reading("x")).Allowed })
	open := may(b, user, reading("x"))
	c.kill(0) // the only voter
	await(t, "the lease to end", func() bool { return !b.holdsLease() })
	if b.Holds(open.Handle) {
		t.Error("what was open goes on without a lease")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	observe := []door.Access{{Action: holo.ActionObserve}}
	v := b.Authorize(ctx, door.Caller{Principal: user}, observe, false)
	if v.Allowed || holo.KindOf(v.Err) != holo.Unavailable || v.Reason != authz.ReasonStale {
		t.Errorf("%+v", v)
	}
	if v := b.Authorize(ctx, door.Caller{Principal: user}, observe, true); !v.Allowed {
		t.Errorf("the status: %+v", v)
	}
	if v := b.Authorize(ctx, door.Caller{Principal: holo.PrincipalID{1}}, observe, true); v.Allowed {
		t.Errorf("the status, to a stranger: %+v", v)
	}
	// And after a restart too, by what it kept.
	must(t, b.Close())
	c.nodes[1] = nil
	c.start(1)
	b = c.nodes[1]
	if v := b.Authorize(ctx, door.Caller{Principal: user}, observe, true); !v.Allowed {
		t.Errorf("the status after a restart: %+v", v)
	}
	if v := b.Authorize(ctx, door.Caller{Principal: user}, []door.Access{reading("x")}, false); v.Allowed {
		t.Errorf("a read after a restart: %+v", v)
	}
}

// The founding user may work, and the user of a machine that joins may do what
// its invite says, no more, wherever it asks.
func TestUsersOfMachinesMayDoWhatTheirInviteSays(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	c.create(n, "x", holo.PageSize)
	await(t, "the founding user's grant", func() bool { return may(n, c.user(0), reading("x")).Allowed })
	for _, a := range []holo.Action{holo.ActionPolicyWrite, holo.ActionNodeApprove, holo.ActionAuditRead} {
		if v := may(n, c.user(0), door.Access{Action: a}); v.Allowed {
			t.Errorf("the founding user holds %s", a)
		}
		if v := may(n, c.owner().Public(), door.Access{Action: a}); !v.Allowed {
			t.Errorf("the owner lacks %s", a)
		}
	}
	if v := may(n, c.owner().Public(), reading("x")); v.Allowed {
		t.Error("the owner's key reads arrays")
	}
	for _, role := range []holo.Role{0, holo.RoleReader} {
		dir := filepath.Join(c.root, "joined-"+role.String())
		_, err := Join(context.Background(), JoinConfig{
			Dir: dir, ConfigDir: dir + "-config", NodeName: "joined-" + role.String(), Invite: c.inviteAs(role).Text(), MemoryBytes: 64 << 20,
		})
		must(t, err)
		user, err := identity.ReadSigner(filepath.Join(dir+"-config", identity.UserKeyFile))
		must(t, err)
		n.learnNow(context.Background())
		if v := may(n, user.Public(), reading("x")); v.Allowed != (role == holo.RoleReader) {
			t.Errorf("invited as %s: %+v", role, v)
		}
		if v := may(n, user.Public(), door.Access{Action: holo.ActionWrite, On: door.Target{Array: "x"}}); v.Allowed {
			t.Errorf("invited as %s: writes", role)
		}
	}
}

// inviteAs is an invite with a role for the machine's user.
func (c *cluster) inviteAs(role holo.Role) identity.Invite {
	c.t.Helper()
	owner, n := c.owner(), c.live()[0]
	i := identity.NewInvite(n.cluster, holo.PrincipalID(owner.Public()), time.Now().Add(time.Hour))
	public, psk := i.Signer().Public(), i.PSK()
	m := &holov1.CreateInviteRequest{
		InviteKey: public[:], Psk: psk.Key.Bytes(), ExpiresUnix: i.Expires.Unix(),
		OwnerSignature: owner.Sign(api.InviteProof(n.cluster, public[:], i.Expires.Unix())),
	}
	if role != 0 {
		m.Role, m.RoleSignature = role.String(), owner.Sign(api.InviteRoleProof(n.cluster, public[:], role))
	}
	r, err := n.CreateInvite(context.Background(), door.Caller{}, m)
	must(c.t, err)
	i.Addresses = r.Addresses
	return i
}

// A member that proposes a grant which nobody signed is refused by the
// catalogue, and counted.
func TestMemberCannotForgeAGrant(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	b := c.nodes[1]
	head, _, err := b.accessNow(context.Background())
	must(t, err)
	eve := key.GenerateSigner()
	forged := &wire.GrantPut{Access: wire.Access{Principal: eve.Public(), Role: holo.RoleUser}, Epoch: head.Epoch, By: c.owner().Public()}
	copy(forged.Sig[:], eve.Sign(api.GrantProof(b.cluster, head.Epoch, eve.Public(), "", holo.RoleUser, &holo.Scope{}, false)))
	_, err = b.propose(context.Background(), forged)
	wantRefused(t, err, holo.Denied, catalog.ReasonGrantSig)
	before := b.refusals.all()[catalog.ReasonNotGranted]
	self := b.home.signer // a node's key as a client's
	_, err = b.PutGrant(context.Background(), door.Caller{Principal: holo.PrincipalID(self.Public())}, &holov1.PutGrantRequest{
		Grant: grantOut(&wire.GrantRecord{Access: forged.Access}), Epoch: head.Epoch,
		Signature: self.Sign(api.GrantProof(b.cluster, head.Epoch, eve.Public(), "", holo.RoleUser, &holo.Scope{}, false)),
	})
	wantRefused(t, err, holo.Denied, catalog.ReasonNotGranted)
	refused(t, b, catalog.ReasonNotGranted, before)
	if v := may(b, holo.PrincipalID(self.Public()), door.Access{Action: holo.ActionObserve}); v.Allowed {
		t.Error("a node's key is a principal")
	}
}

// The job of somebody whose right to run it is revoked ends, wherever it is
// coordinated.
func TestJobEndsWithTheRightToRunIt(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	a, b := c.nodes[0], c.nodes[1]
	ctx := context.Background()
	array := c.create(a, "lab/x", holo.PageSize)
	_, err := c.pushes(ctx, a, "loop", kernels.Get("loop"))
	must(t, err)
	bobKey := key.GenerateSigner()
	bob := holo.PrincipalID(bobKey.Public())
	c.grant(a, wire.Access{Principal: bob, Role: holo.RoleReader})
	run := c.grant(a, wire.Access{Principal: bob, Role: holo.RoleRunner})
	needs := []door.Access{{Action: holo.ActionRun, On: door.Target{Kernel: "loop"}}, reading("lab/x")}
	await(t, "the grants to be known", func() bool { return may(b, bob, needs...).Allowed })
	submit := &holov1.SubmitRequest{Kernel: "loop", Function: "attack", Kind: "reduce", Inputs: []uint64{array.GetId()}, AccBytes: 8, GasPerTask: 40e12}
	ask := door.Ask(b, bobKey, holov1connect.JobServiceSubmitProcedure, submit)
	ask.Verdict = may(b, bob, needs...)
	j, err := b.SubmitJob(ctx, ask, submit)
	must(t, err)
	state := func() string {
		got, err := b.GetJob(ctx, door.Caller{}, holo.JobID(j.GetId()))
		must(t, err)
		return got.GetState()
	}
	c.grant(a, wire.Access{Principal: bob, Role: holo.RoleSecurity}) // a change that ends nothing
	epoch := a.access.epoch()
	await(t, "the change to be known", func() bool { return b.access.epoch() >= epoch })
	if s := state(); s != "running" {
		t.Fatalf("the job is %s before anything was revoked", s)
	}
	c.revoke(a, run.GetId())
	await(t, "the job to end", func() bool { return state() == "cancelled" })
	refused(t, b, authz.ReasonRevoked, 0)
}

// What a folder kept of another cluster's policy, or of a damaged one, is not
// used.
func TestPolicyOfAnotherClusterIsNotRecalled(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	path := n.home.path(accessFile)
	await(t, "the policy to be kept", func() bool { _, err := identity.ReadPublic(path, maxAccessFile); return err == nil })
	must(t, n.Close())
	c.nodes[0] = nil
	kept, err := identity.ReadPublic(path, maxAccessFile)
	must(t, err)
	recalls := func(b []byte) bool {
		must(t, identity.WritePublic(path, b))
		m := assemble(c.config(0), n.home)
		m.recallAccess()
		return m.access.set.Load() != nil
	}
	foreign := append([]byte{kept[0] + 1}, kept[1:]...)
	if !recalls(kept) || recalls(foreign) || recalls(kept[:len(kept)-1]) || recalls(nil) {
		t.Error("a policy is recalled that is foreign or damaged, or the right one is not")
	}
}

// A node asks the catalogue for an array that a call names by its ID only where it
// does not remember it, and anew once there is another policy: what the array
// descends from may have changed with it.
func TestReadsAskTheCatalogueForAnArrayOncePerPolicy(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	a := c.create(n, "lab/x", holo.PageSize)
	id, read := holo.ArrayID(a.Id), reading(fmt.Sprintf("#%d", a.Id))
	remembered := func() *wire.ArrayRecord {
		r, err := n.memory.Array(t.Context(), id)
		must(t, err)
		return r
	}
	soon(t, "deciding without the catalogue", func() bool { // what is remembered may be a second old
		before := remembered()
		must(t, may(n, c.user(0), read).Err)
		return remembered() == before
	})
	soon(t, "asking again after a grant", func() bool { // well within that second
		n.memory.Forget(id)
		began, before := time.Now(), remembered()
		c.grant(n, wire.Access{Principal: holo.PrincipalID(key.GenerateSigner().Public()), Role: holo.RoleReader})
		must(t, may(n, c.user(0), read).Err)
		after := remembered()
		return after != before && time.Since(began) < time.Second/2
	})
}
