package node

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// joinUnder joins with a policy into a fresh folder and gives the error.
func (c *cluster) joinUnder(name string, p Policy) (dir string, err error) {
	dir = filepath.Join(c.root, name)
	_, err = Join(context.Background(), JoinConfig{
		Dir: dir, ConfigDir: dir + "-config", Invite: c.invite(time.Hour).Text(), NodeName: name, Policy: p,
	})
	return dir, err
}

// A node without the hybrid key exchange is refused by one that requires it:
// nothing falls back.
func TestNodeWithoutTheHybridIsRefusedByOneThatRequiresIt(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	before := n.refusals.all()["suite_refused"]
	_, err := c.joinUnder("classical", Policy{PostQuantum: "off"})
	wantRefused(t, err, holo.Denied, "suite_refused")
	refused(t, n, "suite_refused", before)
	if _, err := c.joinUnder("willing", Policy{PostQuantum: "prefer"}); err != nil {
		t.Errorf("a node that prefers the hybrid: %v", err)
	}
}

// A node of one cipher only meets the others on it, and the session says so.
func TestNodesMeetOnTheCipherThatBothHave(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	dir, err := c.joinUnder("n1", Policy{Cipher: "xchacha"})
	must(t, err)
	n, err := Start(context.Background(), Config{Dir: dir, MemoryBytes: 64 << 20, Policy: Policy{Cipher: "xchacha"}})
	must(t, err)
	t.Cleanup(func() { n.Close() })
	await(t, "a lease over a link of the other cipher", n.holdsLease)
	for _, s := range c.nodes[0].peers.Sessions(n.self) {
		if !strings.Contains(s.Protocol(), "_XChaChaPoly_") || !strings.Contains(s.Protocol(), "MLKEM768") {
			t.Errorf("a session of protocol %s", s.Protocol())
		}
	}
}

func TestPoliciesOfNoMeaningAreRefused(t *testing.T) {
	for _, p := range []Policy{{PostQuantum: "maybe"}, {Cipher: "des"}} {
		if _, err := Start(context.Background(), Config{Dir: t.TempDir(), Policy: p}); holo.KindOf(err) != holo.Invalid {
			t.Errorf("start with %+v: %v", p, err)
		}
		if _, err := Join(context.Background(), JoinConfig{Policy: p}); holo.KindOf(err) != holo.Invalid {
			t.Errorf("join with %+v: %v", p, err)
		}
	}
}
