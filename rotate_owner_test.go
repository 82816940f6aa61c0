package holocompute_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/node"
)

// thiefOf is a user's folder with the owner's key as it is now.
func thiefOf(t *testing.T, w *town) string {
	t.Helper()
	to := copyOf(t, w.config)
	b, err := os.ReadFile(filepath.Join(w.config, identity.OwnerKeyFile))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(to, identity.OwnerKeyFile), b, 0o600))
	return to
}

// ownersDeeds are what takes the owner's key.
func ownersDeeds(ctx context.Context, c *holocompute.Cluster, o holocompute.Options, user string) map[string]func() error {
	return map[string]func() error{
		"invites a node":        func() error { _, err := c.Invite(ctx, time.Hour); return err },
		"invites a client":      func() error { _, err := c.InviteClient(ctx, time.Hour, "user"); return err },
		"removes a node":        func() error { return c.Evict(ctx, "n1", holocompute.EvictOptions{LoseData: true}) },
		"replaces the link key": func() error { _, err := c.Rekey(ctx); return err },
		"asks for no votes":     func() error { return c.SetPolicy(ctx, 0) },
		"registers a token key": func() error { _, err := c.CreateTokenKey(ctx); return err },
		"revokes tokens":        func() error { _, err := c.RevokeTokens(ctx, "subject", user); return err },
		"replaces the owner":    func() error { _, err := holocompute.RotateOwnerKey(ctx, o); return err },
	}
}

// The owner's key is replaced twice while clients here, afar and by a token work:
// not one call of theirs fails, pins follow, what was let in stays in, and the old
// key is worth nothing on any node.
func TestOwnerKeyIsReplacedUnderLoad(t *testing.T) {
	w := newTown(t, 2)
	here := holocompute.Options{Socket: node.SocketPath(w.dir(0)), Config: w.config}
	remote, offline := w.enrolled(t), w.enrolled(t)
	for _, p := range w.nodes {
		await(t, "the client is known", func() bool { return opens(t, holocompute.Options{Config: remote, Address: p.addr}) })
	}
	before := pinOf(t, offline)
	k, err := w.owner.CreateTokenKey(t.Context())
	must(t, err)
	_, err = w.owner.ChangeTokenKey(t.Context(), k.ID, holocompute.TokenKeyActive)
	must(t, err)
	lent, public := client(t)
	load := &probes{t: t}
	load.run("the user here", writing(t, w.owner, "here"))
	load.run("a client afar", writing(t, far(t, remote, w.nodes[1].addr), "afar"))
	tick := time.NewTicker(300 * time.Millisecond) // a user may open five sessions a second
	defer tick.Stop()
	load.run("new sessions", func() error {
		<-tick.C
		c, err := holocompute.Connect(t.Context(), holocompute.Options{Config: remote, Address: w.nodes[1].addr + "," + w.nodes[0].addr})
		if err != nil {
			return err
		}
		return c.Close()
	})
	chain, err := w.owner.IssueToken(t.Context(), holocompute.TokenRequest{For: public, Caps: []string{"READ:lent/**", "WRITE:lent/**", "ALLOCATE:lent/**"}})
	must(t, err)
	var borrower *holocompute.Cluster
	await(t, "the token is good", func() bool {
		borrower, err = holocompute.Connect(t.Context(), holocompute.Options{Config: lent, Socket: node.SocketPath(w.dir(1)), Token: chain})
		return err == nil
	})
	t.Cleanup(func() { borrower.Close() })
	load.run("by a token", writing(t, borrower, "lent/a"))

	for range 2 {
		unused, err := w.owner.Invite(t.Context(), time.Hour)
		must(t, err)
		stolen := thiefOf(t, w)
		load.more(40)
		r, err := holocompute.RotateOwnerKey(t.Context(), here)
		must(t, err)
		load.more(40)
		if len(r.Places) != 1 || r.Places[0].Outcome != holocompute.KeyReplaced || r.Old == r.New {
			t.Errorf("%+v", r)
		}
		_, err = node.Join(t.Context(), node.JoinConfig{Dir: filepath.Join(t.TempDir(), "late"), ConfigDir: w.config, Invite: unused, NodeName: "late"})
		if holocompute.ReasonOf(err) != catalog.ReasonInviteSuperseded {
			t.Errorf("an invite of the owner before: %v", err)
		}
		for i := range w.nodes {
			o := holocompute.Options{Socket: node.SocketPath(w.dir(i)), Config: stolen}
			c, err := holocompute.Connect(t.Context(), o)
			must(t, err)
			user, err := holocompute.UserKey(o)
			must(t, err)
			await(t, "the node knows of it", func() bool { return knowsOwner(t, w.dir(i), r.New) })
			for name, do := range ownersDeeds(t.Context(), c, o, user) {
				if err := do(); holocompute.KindOf(err) != holocompute.Denied && holocompute.ReasonOf(err) != "unknown_principal" {
					t.Errorf("node %d: with the old key somebody %s: %v", i, name, err)
				}
			}
			must(t, c.Close())
		}
	}
	load.end()
	if load.calls.Load() < 100 {
		t.Errorf("only %d calls", load.calls.Load())
	}
	wantFollowed(t, w, remote, offline, before)
	invite, err := w.owner.Invite(t.Context(), time.Hour)
	must(t, err)
	_, err = node.Join(t.Context(), node.JoinConfig{Dir: w.dir(2), ConfigDir: w.config, Invite: invite, NodeName: "n2", MemoryBytes: 64 << 20})
	must(t, err)
	w.nodes = append(w.nodes, startNode(t, w.dir(2)))
	await(t, "the newcomer serves", func() bool { return opens(t, holocompute.Options{Config: offline, Address: w.nodes[2].addr}) })
}

func knowsOwner(t *testing.T, dir, owner string) bool {
	t.Helper()
	c, err := identity.ReadCluster(filepath.Join(dir, identity.ClusterFile))
	must(t, err)
	return c.Owner.Hex() == owner
}

// wantFollowed: the pin of a client that was there has moved, that of one which
// was away for both rotations moves when it comes back, and neither goes back.
func wantFollowed(t *testing.T, w *town, remote, offline string, before identity.Pin) {
	t.Helper()
	owner, err := identity.ReadSigner(filepath.Join(w.config, identity.OwnerKeyFile))
	must(t, err)
	if pin := pinOf(t, offline); pin.Owner != before.Owner || len(pin.Former) != 0 {
		t.Errorf("a pin moved that nobody used: %+v", pin)
	}
	for _, config := range []string{remote, offline} {
		for i := range w.nodes {
			await(t, "the pin leads to every node", func() bool { return opens(t, holocompute.Options{Config: config, Address: w.nodes[i].addr}) })
		}
		pin := pinOf(t, config)
		if fmt.Sprintf("%x", owner.Public()) != pin.Owner.Hex() || len(pin.Former) != 2 || pin.Former[0] != before.Owner {
			t.Errorf("the pin is %+v, the owner %x", pin, owner.Public())
		}
		if !pin.Matches(before.Fingerprint()) {
			t.Error("the fingerprint of before does not name the cluster any more")
		}
	}
}

// A rotation that was cut short is gone through again with the same key, a
// protected one stays protected, and who is not the owner replaces nothing.
func TestOwnerRotationGoesOnWhereItWasCutShort(t *testing.T) {
	w := newTown(t, 1)
	asked := func(string) ([]byte, error) { return []byte("correct horse battery"), nil }
	here := holocompute.Options{Socket: node.SocketPath(w.dir(0)), Config: w.config, Passphrase: asked}
	keys := identity.Keys{Ask: asked}
	path, next := filepath.Join(w.config, identity.OwnerKeyFile), filepath.Join(w.config, identity.NextOwnerFile)
	must(t, keys.Protect(path))
	prepared, err := keys.NextSigner(path, next) // killed before it asked
	must(t, err)
	r, err := holocompute.RotateOwnerKey(t.Context(), here)
	must(t, err)
	if r.New != fmt.Sprintf("%x", prepared.Public()) {
		t.Errorf("another key was made than the one that was prepared: %+v", r)
	}
	if protected, err := identity.Protected(path); err != nil || !protected {
		t.Errorf("the new key is protected: %v, %v", protected, err)
	}
	old, err := os.ReadFile(path)
	must(t, err)
	r, err = holocompute.RotateOwnerKey(t.Context(), here)
	must(t, err)
	must(t, os.Rename(path, next)) // killed before the files changed places
	must(t, os.WriteFile(path, old, 0o600))
	again, err := holocompute.RotateOwnerKey(t.Context(), here)
	must(t, err)
	if again.New != r.New {
		t.Errorf("the rotation came to %s, and again to %s", r.New, again.New)
	}
	if _, err := os.Lstat(next); err == nil {
		t.Error("the next key still lies there")
	}
	must(t, w.nodes[0].cmd.Process.Kill())
	_ = w.nodes[0].cmd.Wait()
	w.nodes[0] = startNode(t, w.dir(0))
	other := t.TempDir()
	must(t, os.Chmod(other, 0o700))
	must(t, os.WriteFile(filepath.Join(other, identity.OwnerKeyFile), old, 0o600))
	_, err = holocompute.RotateOwnerKey(t.Context(), holocompute.Options{Socket: here.Socket, Config: other, Passphrase: asked})
	if holocompute.ReasonOf(err) != "unknown_principal" {
		t.Errorf("with the key of before: %v", err)
	}
}
