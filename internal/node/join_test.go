package node

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// stranger is a machine with a key of its own that dials a node.
type stranger struct {
	t      *testing.T
	signer key.Signer
	link   *transport.Transport
}

func newStranger(t *testing.T) *stranger {
	s := &stranger{t: t, signer: key.GenerateSigner()}
	var err error
	s.link, err = transport.Listen(transport.Config{Listen: anyLoopback, Local: func() handshake.Local { return handshake.Local{} }})
	must(t, err)
	t.Cleanup(func() { s.link.Close() })
	return s
}

func (s *stranger) local(cluster holo.ClusterID, kind handshake.Kind, psk handshake.PSK) handshake.Local {
	static, err := handshake.NewStatic(s.signer, cluster, "stranger", unixNow())
	must(s.t, err)
	return handshake.Local{
		Kind: kind, Static: static, PSK: psk,
		Admit: func(handshake.Kind, holo.NodeID, string, []byte) error { return nil },
	}
}

func (s *stranger) dial(n *Node, l handshake.Local) (*transport.Session, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return s.link.Dial(ctx, n.Addr(), l, transport.Control, holo.NodeID{})
}

// refused waits until a node has counted a refusal and, where the reason is not
// routine, has it in its audit log, which must verify then from a copy with the
// node's public key alone.
func refused(t *testing.T, n *Node, reason string, before uint64) {
	t.Helper()
	await(t, "refusal "+reason+" is counted", func() bool { return n.refusals.all()[reason] > before })
	if slices.Contains(routine, reason) {
		return
	}
	await(t, "refusal "+reason+" is on record", func() bool {
		return slices.ContainsFunc(recordsOf(t, n, ""), func(r *wire.AuditRecord) bool { return r.Reason == reason && r.Decision == wire.Refused })
	})
	verifyLog(t, n.home.dir)
}

func TestStrangerIsRefusedAndCounted(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n, s := c.nodes[0], newStranger(t)
	wrong := handshake.ClusterPSK(key.Random(), n.cluster)
	right := n.clusterPSK()
	cases := []struct {
		name   string
		local  handshake.Local
		reason string
	}{
		{"an unknown cluster key", s.local(n.cluster, handshake.KindNode, wrong), handshake.ReasonUnknownPSK},
		{"the right ID of a wrong key", s.local(n.cluster, handshake.KindNode, handshake.PSK{ID: right.ID, Key: wrong.Key}), handshake.ReasonBadHandshake},
		{"the cluster key, but no member", s.local(n.cluster, handshake.KindNode, right), reasonMembership},
		{"another cluster", s.local(holo.ClusterID{1}, handshake.KindNode, right), handshake.ReasonWrongCluster},
		{"an invite that nobody made", s.local(n.cluster, handshake.KindJoin, handshake.NewPSK(key.Random())), handshake.ReasonUnknownPSK},
		{"a client session", s.local(n.cluster, handshake.KindClient, handshake.PSK{}), handshake.ReasonWrongKind},
	}
	for _, k := range cases {
		before := n.refusals.all()[k.reason]
		if session, err := s.dial(n, k.local); err == nil {
			session.Close("test")
			t.Errorf("%s: a session was made", k.name)
		}
		refused(t, n, k.reason, before)
	}
	if len(n.members.ids()) != 1 || len(n.transport.Addr().String()) == 0 {
		t.Errorf("the stranger changed the membership: %v", n.members.ids())
	}
}

// askToJoin joins with an invite into a fresh folder and gives the error.
func (c *cluster) askToJoin(name string, invite identity.Invite) (string, error) {
	dir := filepath.Join(c.root, name)
	_, err := Join(context.Background(), JoinConfig{Dir: dir, ConfigDir: dir + "-config", Invite: invite.Text(), NodeName: name})
	return dir, err
}

func TestInviteAdmitsOneNodeAndItMayResume(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	invite := c.invite(time.Hour)
	dir, err := c.askToJoin("first", invite)
	must(t, err)

	before := n.refusals.all()["invite_bound"]
	second, err := c.askToJoin("second", invite)
	wantRefused(t, err, holo.Denied, "invite_bound")
	refused(t, n, "invite_bound", before)
	if _, err := os.Stat(filepath.Join(second, identity.ClusterKeyFile)); err == nil {
		t.Error("a refused node was given the cluster's key")
	}

	// The answer got lost: only the node's key is on its disk.
	for _, file := range []string{identity.ClusterFile, identity.ClusterKeyFile, identity.ChainFile} {
		must(t, os.Remove(filepath.Join(dir, file)))
	}
	_, err = c.askToJoin("first", invite)
	must(t, err)
	if got := len(n.members.ids()); got != 2 {
		t.Errorf("%d members after one node joined twice, want 2", got)
	}
	if _, err := c.askToJoin("first", invite); holo.KindOf(err) != holo.Exists {
		t.Errorf("joining again from a folder that belongs to a cluster: %v", err)
	}
}

func TestForeignAndExpiredInvitesAreRefused(t *testing.T) {
	t.Parallel()
	c, other := newCluster(t, 1), newCluster(t, 1)
	n := c.nodes[0]

	foreign := other.invite(time.Hour)
	foreign.Addresses = []string{n.Addr()}
	before := n.refusals.all()[handshake.ReasonWrongCluster]
	if _, err := c.askToJoin("foreign", foreign); err == nil {
		t.Error("an invite of another cluster admitted a node")
	}
	refused(t, n, handshake.ReasonWrongCluster, before)

	relabelled := foreign
	relabelled.Cluster = n.cluster
	before = n.refusals.all()[handshake.ReasonUnknownPSK]
	if _, err := c.askToJoin("relabelled", relabelled); err == nil {
		t.Error("another cluster's invite with this cluster's name on it admitted a node")
	}
	refused(t, n, handshake.ReasonUnknownPSK, before)

	impostor := c.invite(time.Hour)
	impostor.Owner = other.nodes[0].home.settings.Owner
	if _, err := c.askToJoin("impostor", impostor); err == nil {
		t.Error("the newcomer believed a node whose owner is not the one that its invite names")
	}

	short := c.invite(2 * time.Second)
	await(t, "the invite expires", func() bool { return unixNow() > short.Expires.Unix() })
	before = n.refusals.all()[handshake.ReasonUnknownPSK]
	if _, err := c.askToJoin("late", short); err == nil {
		t.Error("an expired invite admitted a node")
	}
	refused(t, n, handshake.ReasonUnknownPSK, before)
	if got := len(n.members.ids()); got != 1 {
		t.Errorf("%d members, want 1", got)
	}
	c.answers(n)
}

func TestJoinSessionHasNoRouteButJoin(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n, s := c.nodes[0], newStranger(t)
	invite := c.invite(time.Hour)
	for _, msg := range []wire.Message{
		&wire.ControlRequest{Body: wire.Encode(&wire.CatalogQuery{What: wire.QueryNodes})}, &wire.UsageRead{}, &wire.RaftOpen{},
		&wire.RangeRead{Array: 1, Run: wire.PageRun{Count: 1}}, &wire.ModuleRead{}, &wire.Heartbeat{},
	} {
		session, err := s.dial(n, s.local(n.cluster, handshake.KindJoin, invite.PSK()))
		must(t, err)
		st, err := session.Open(context.Background())
		must(t, err)
		must(t, st.WriteMessage(msg))
		answer, err := st.ReadMessage()
		must(t, err)
		f, ok := answer.(*wire.Failure)
		if !ok || f.Kind != holo.Denied || f.Reason != reasonNotAllowed {
			t.Errorf("message %T in a join session was answered with %+v", msg, answer)
		}
		session.Close("test")
	}
	if got := n.refusals.all()[reasonNotAllowed]; got != 6 {
		t.Errorf("%d refusals counted, want 6", got)
	}
}

// Machines are often called alike. A node that nobody named takes its machine's
// name, and where that is taken adds its own.
func TestMachinesThatAreCalledAlikeJoin(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	for _, dir := range []string{"one", "two"} {
		dir = filepath.Join(c.root, dir)
		_, err := Join(context.Background(), JoinConfig{Dir: dir, ConfigDir: dir + "-config", Invite: c.invite(time.Hour).Text()})
		must(t, err)
	}
	names := map[string]bool{}
	for _, id := range n.members.ids() {
		names[n.members.name(id)] = true
	}
	if len(names) != 3 {
		t.Errorf("members are called %v", names)
	}
}
