package node

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
)

func (c *cluster) newKey(i int, invite string) (*Cluster, error) {
	return NewKey(context.Background(), NewKeyConfig{Dir: c.dirs[i], ConfigDir: c.configDir(i), Invite: invite})
}

// AC-5: a node that holds data gets a new key while others read and write: it is
// drained, removed, admitted again under the new key and holds its part again.
// No call fails, no byte is lost, and the old folder is refused by everybody.
func TestNodeKeyIsReplacedUnderLoad(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	stays, leaves := c.nodes[0], c.nodes[1]
	written, read := c.create(stays, "written", 2<<20), c.create(stays, "read", 2<<20)
	data := noise(8, 2<<20)
	must(t, stays.WriteRange(ctx, holo.ArrayID(written.Id), 0, data))
	must(t, stays.WriteRange(ctx, holo.ArrayID(read.Id), 0, data))
	invite := c.invite(time.Hour).Text()

	end := c.load(stays, written, read, data)
	defer end()
	must(t, c.drain(leaves, true))
	await(t, "the node to hold nothing", func() bool { state, _ := c.stateOf(stays, leaves); return state == "drained" })
	if _, err := c.newKey(1, invite); err == nil {
		t.Fatal("the key of a node that runs was replaced")
	}
	c.evict(stays, leaves.self)
	overSoon(t, leaves)
	must(t, leaves.Close())
	stolen := copyDir(t, c.dirs[1])
	made, err := c.newKey(1, invite)
	must(t, err)
	if made.Node == leaves.self || made.ID != stays.cluster {
		t.Errorf("the node is %v", made)
	}
	again, err := c.newKey(1, invite) // as if it had been killed at the very end
	must(t, err)
	if *again != *made {
		t.Errorf("%v, and again %v", made, again)
	}
	c.start(1)
	c.settle()
	await(t, "the node to hold its part", func() bool { return c.held(c.nodes[1]) > 0 })
	end()
	for _, n := range c.nodes {
		wantBytes(t, n, read.Id, 0, data)
		if n.members.has(leaves.self) || !n.members.has(made.Node) {
			t.Errorf("node %s knows other members", n.self)
		}
	}
	if name := c.nodes[1].home.settings.NodeName; name != "n1" {
		t.Errorf("it is called %s", name)
	}
	c.noSecretsBeside(1)
	config := c.config(1)
	config.Dir, config.SpillDir = stolen, ""
	if n, err := Start(ctx, config); err == nil {
		overOrNoLease(t, n)
		must(t, n.Close())
	}
}

// overOrNoLease wants of a copy of the old folder that it comes to nothing: it
// has no session with any member.
func overOrNoLease(t *testing.T, n *Node) {
	t.Helper()
	await(t, "it is refused", func() bool {
		for _, id := range n.members.ids() {
			if id != n.self && len(n.peers.Sessions(id)) > 0 {
				return false
			}
		}
		return !n.holdsLease()
	})
}

// noSecretsBeside wants that no key and no catalogue is left of the node before,
// and its log is.
func (c *cluster) noSecretsBeside(i int) {
	c.t.Helper()
	dirs, err := filepath.Glob(c.dirs[i] + ".former-*")
	must(c.t, err)
	if len(dirs) != 1 {
		c.t.Fatalf("%d former folders", len(dirs))
	}
	for _, name := range []string{identity.NodeKeyFile, identity.ClusterKeyFile, identity.FormerKeyFile, raftDir} {
		if _, err := os.Lstat(filepath.Join(dirs[0], name)); err == nil {
			c.t.Errorf("%s is still there", name)
		}
	}
	if _, err := os.Lstat(filepath.Join(dirs[0], auditDir)); err != nil {
		c.t.Errorf("the log is gone: %v", err)
	}
	if _, err := os.Lstat(c.dirs[i] + ".next"); err == nil {
		c.t.Error("the folder of the next is still there")
	}
}

// Who has the node's folder and no word of the owner's has no new key: a node
// does not appoint its successor.
func TestNodeKeyIsNotReplacedWithoutTheOwner(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	must(t, c.nodes[1].Close())
	c.nodes[1] = nil
	before, err := identity.ReadSigner(filepath.Join(c.dirs[1], identity.NodeKeyFile))
	must(t, err)
	other := newCluster(t, 1)
	_, err = c.newKey(1, other.invite(time.Hour).Text())
	wantRefused(t, err, holo.Invalid, catalog.ReasonInviteKind)
	forged := c.invite(time.Hour)
	forged.Seed = identity.NewInvite(forged.Cluster, forged.Owner, forged.Expires).Seed
	if _, err = c.newKey(1, forged.Text()); err == nil {
		t.Error("by an invite that the owner has not signed")
	}
	_, err = c.newKey(1, c.invite(time.Hour).Text()) // a member still
	wantRefused(t, err, holo.Exists, catalog.ReasonNameTaken)
	after, err := identity.ReadSigner(filepath.Join(c.dirs[1], identity.NodeKeyFile))
	must(t, err)
	if before.Public() != after.Public() {
		t.Error("the key was replaced all the same")
	}
	c.start(1)
	c.settle()
	await(t, "the old node goes on", func() bool { return c.nodes[1].holdsLease() })
}

// Killed between the two renames, it is finished from what lies there.
func TestNodeKeyReplacementIsFinished(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	out := c.nodes[1]
	must(t, c.drain(out, true))
	await(t, "the node to hold nothing", func() bool { state, _ := c.stateOf(c.nodes[0], out); return state == "drained" })
	c.evict(c.nodes[0], out.self)
	overSoon(t, out)
	must(t, out.Close())
	invite := c.invite(time.Hour).Text()
	s, err := newSwap(NewKeyConfig{Dir: c.dirs[1], ConfigDir: c.configDir(1), Invite: invite})
	must(t, err)
	must(t, s.prepare())
	must(t, s.join(context.Background()))
	must(t, s.setAside())
	made, err := c.newKey(1, invite)
	must(t, err)
	c.noSecretsBeside(1)
	c.start(1)
	c.settle()
	if c.nodes[1].self != made.Node {
		t.Errorf("node %s runs, made was %s", c.nodes[1].self, made.Node)
	}
}
