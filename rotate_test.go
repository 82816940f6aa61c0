package holocompute_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/node"
)

// probes call the cluster without a pause, each in a session of its own kind, and
// none may fail.
type probes struct {
	t      *testing.T
	wg     sync.WaitGroup
	calls  atomic.Int64
	ending atomic.Bool
}

func (p *probes) run(what string, call func() error) {
	p.wg.Go(func() {
		for !p.ending.Load() {
			if err := call(); err != nil {
				p.t.Errorf("%s: %v", what, err)
				return
			}
			p.calls.Add(1)
		}
	})
}

// more waits until so many calls more were answered.
func (p *probes) more(n int64) {
	want := p.calls.Load() + n
	await(p.t, "calls are answered", func() bool { return p.calls.Load() >= want || p.t.Failed() })
}

func (p *probes) end() {
	p.ending.Store(true)
	p.wg.Wait()
}

// writing is a call that writes to an array and reads it back.
func writing(t *testing.T, c *holocompute.Cluster, name string) func() error {
	t.Helper()
	a, err := holocompute.Create[uint32](t.Context(), c, name, 4096, holocompute.ArrayOptions{Copies: 1})
	must(t, err)
	n := uint32(0)
	return func() error {
		n++
		values, got := []uint32{n, n + 1}, make([]uint32, 2)
		if err := a.Write(t.Context(), 7, values); err != nil {
			return err
		}
		if err := a.Read(t.Context(), 7, got); err != nil {
			return err
		}
		if got[0] != n || got[1] != n+1 {
			t.Errorf("%s: read %v, wrote %v", name, got, values)
		}
		return nil
	}
}

func seesNothing(t *testing.T, o holocompute.Options) {
	t.Helper()
	c, err := holocompute.Connect(t.Context(), o)
	if err == nil {
		c.Close()
	}
	wantKind(t, err, holocompute.Denied, "does not know the key")
}

func opens(t *testing.T, o holocompute.Options) bool {
	t.Helper()
	c, err := holocompute.Connect(t.Context(), o)
	return err == nil && c.Close() == nil
}

// copyOf is a folder with a user's key and pins as they are: what a thief has.
func copyOf(t *testing.T, config string) string {
	t.Helper()
	to := t.TempDir()
	must(t, os.Chmod(to, 0o700))
	for _, name := range []string{identity.UserKeyFile, identity.KnownFile} {
		b, err := os.ReadFile(filepath.Join(config, name))
		if err == nil {
			must(t, os.WriteFile(filepath.Join(to, name), b, 0o600))
		}
	}
	return to
}

// The user of a node and a user on another machine each replace their key, again
// and again, while others work: not one call of theirs fails, what was made stays
// the user's, and the old key opens nothing on any node.
func TestUserKeysAreReplacedUnderLoad(t *testing.T) {
	w := newTown(t, 2)
	remote, other := w.enrolled(t), w.enrolled(t)
	for _, p := range w.nodes { // a grant holds on all of them within a lease
		for _, config := range []string{remote, other} {
			await(t, "the clients are known", func() bool { return opens(t, holocompute.Options{Config: config, Address: p.addr}) })
		}
	}
	load := &probes{t: t}
	load.run("another client", writing(t, far(t, other, w.nodes[1].addr), "other"))
	load.run("another client elsewhere", writing(t, far(t, other, w.nodes[0].addr), "other2"))

	here := holocompute.Options{Socket: node.SocketPath(w.dir(0)), Config: w.config}
	for _, user := range []struct{ at, elsewhere holocompute.Options }{
		{here, holocompute.Options{Socket: node.SocketPath(w.dir(1)), Config: w.config}},
		{holocompute.Options{Config: remote, Address: w.nodes[0].addr}, holocompute.Options{Config: remote, Address: w.nodes[1].addr}},
	} {
		c, err := holocompute.Connect(t.Context(), user.at)
		must(t, err)
		mine := writing(t, c, "mine"+filepath.Base(user.at.Config))
		must(t, mine())
		for range 2 {
			stolen := copyOf(t, user.at.Config)
			before, err := holocompute.UserKey(user.at)
			must(t, err)
			load.more(20)
			r, err := holocompute.RotateUserKey(t.Context(), user.at)
			must(t, err)
			after, err := holocompute.UserKey(user.at)
			must(t, err)
			replaced := slices.ContainsFunc(r.Places, func(p holocompute.KeyPlace) bool { return p.Outcome == holocompute.KeyReplaced })
			if r.Old != before || r.New != after || before == after || !replaced {
				t.Errorf("from %s to %s: %+v", before, after, r)
			}
			load.more(20)
			if err := mine(); holocompute.KindOf(err) != holocompute.Denied {
				t.Errorf("the session of the old key goes on: %v", err)
			}
			must(t, c.Close())
			c, err = holocompute.Connect(t.Context(), user.at)
			must(t, err)
			a, err := holocompute.Open[uint32](t.Context(), c, "mine"+filepath.Base(user.at.Config))
			must(t, err)
			must(t, a.Write(t.Context(), 0, []uint32{1}))
			mine = func() error { return a.Write(t.Context(), 0, []uint32{2}) }
			for _, o := range []holocompute.Options{user.at, user.elsewhere} {
				await(t, "the new key is known", func() bool { return opens(t, o) })
				o.Config = stolen
				await(t, "the old key is refused", func() bool { return !opens(t, o) })
				seesNothing(t, o)
			}
		}
		must(t, c.Close())
	}
	load.end()
	if load.calls.Load() < 100 {
		t.Errorf("only %d calls", load.calls.Load())
	}
}

// A rotation that was cut short is gone through again with the same key: before
// the cluster heard of it, after it did, and when only one of two places changed.
func TestUserKeyRotationGoesOnWhereItWasCutShort(t *testing.T) {
	w := newTown(t, 1)
	here := holocompute.Options{Socket: node.SocketPath(w.dir(0)), Config: w.config}
	path, next := filepath.Join(w.config, identity.UserKeyFile), filepath.Join(w.config, identity.NextKeyFile)

	prepared, err := identity.Keys{}.NextSigner(path, next) // killed before it asked
	must(t, err)
	r, err := holocompute.RotateUserKey(t.Context(), here)
	must(t, err)
	if r.New != fmt.Sprintf("%x", prepared.Public()) {
		t.Errorf("another key was made than the one that was prepared: %+v", r)
	}

	old, err := os.ReadFile(path)
	must(t, err)
	r, err = holocompute.RotateUserKey(t.Context(), here)
	must(t, err)
	must(t, os.Rename(path, next)) // killed before the files changed places
	must(t, os.WriteFile(path, old, 0o600))
	again, err := holocompute.RotateUserKey(t.Context(), here)
	must(t, err)
	if again.New != r.New {
		t.Errorf("the rotation came to %s, and again to %s", r.New, again.New)
	}
	if _, err := os.Lstat(next); err == nil {
		t.Error("the next key still lies there")
	}
	c, err := holocompute.Connect(t.Context(), here)
	must(t, err)
	must(t, c.Close())
}

// A user of two clusters, one of which does not answer: the old key stays until
// that one has changed over too, and a node that does not run counts.
func TestUserKeyIsKeptWhereAClusterDoesNotAnswer(t *testing.T) {
	w, other := newTown(t, 1), newTown(t, 1)
	config := w.enrolled(t)
	invite, err := other.owner.InviteClient(t.Context(), time.Hour, "user")
	must(t, err)
	o := holocompute.Options{Config: config, Socket: filepath.Join(w.root, "none", holocompute.SocketName)}
	_, err = holocompute.Enrol(t.Context(), o, invite)
	must(t, err)
	before, err := holocompute.UserKey(o)
	must(t, err)
	must(t, w.nodes[0].cmd.Process.Kill())
	_ = w.nodes[0].cmd.Wait()
	short, cancel := context.WithTimeout(t.Context(), 20*time.Second) // that nobody answers is found out sooner
	defer cancel()
	if _, err = holocompute.RotateUserKey(short, o); err == nil {
		t.Fatal("a key was replaced in a cluster that is not there")
	}
	local := holocompute.Options{Config: w.config, Socket: node.SocketPath(w.dir(0))}
	must(t, os.RemoveAll(local.Socket))
	if _, err = holocompute.RotateUserKey(t.Context(), local); holocompute.ReasonOf(err) != "no_node" {
		t.Fatalf("the key of a node that does not run: %v", err)
	}
	if after, err := holocompute.UserKey(o); err != nil || before != after {
		t.Fatalf("the key is %s, %v, was %s", after, err, before)
	}
	w.nodes[0] = startNode(t, w.dir(0))
	var r *holocompute.KeyRotation
	await(t, "the rotation goes on", func() bool { r, err = holocompute.RotateUserKey(t.Context(), o); return err == nil })
	if after, err := holocompute.UserKey(o); err != nil || after != r.New || after == before {
		t.Errorf("the key is %s, %v, want %s", after, err, r.New)
	}
	for _, at := range []string{w.nodes[0].addr, other.nodes[0].addr} {
		await(t, "the new key opens both", func() bool { return opens(t, holocompute.Options{Config: config, Address: at}) })
	}
}
