package node

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// say sends a message from one node to another, as a member that was taken over
// can, and gives the answer.
func say(t *testing.T, from, to *Node, msg wire.Message) wire.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	st, err := from.peers.Open(ctx, to.self, transport.Control)
	must(t, err)
	defer st.Close()
	must(t, st.WriteMessage(msg))
	answer, err := st.ReadMessage()
	must(t, err)
	return answer
}

func wantFailure(t *testing.T, m wire.Message, kind holo.Kind, reason string) {
	t.Helper()
	f, ok := m.(*wire.Failure)
	if !ok || f.Kind != kind || f.Reason != reason {
		t.Fatalf("answered with %+v, want %s/%s", m, kind, reason)
	}
}

// The attack of S1-2. A node's ID is its key, so a known ID with another key
// cannot be; what can be is a known name, or a known address, with another key.
func TestNobodyTakesAMembersNameOrPlace(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	n := c.nodes[c.leads()]
	victim := c.nodes[(c.leads()+1)%3]
	invite := c.invite(time.Hour)
	before := n.refusals.all()["name_taken"] + c.live()[0].refusals.all()["name_taken"]
	_, err := c.askToJoin(victim.home.settings.NodeName, invite)
	wantRefused(t, err, holo.Exists, "name_taken")
	await(t, "it is counted", func() bool { return sum(c.live(), "name_taken") > before })

	// The victim is off, and somebody who has the cluster's key answers at its
	// address.
	place := victim.Addr()
	psk := victim.clusterPSK()
	for i := range c.nodes {
		if c.nodes[i] == victim {
			must(t, victim.Close())
			c.nodes[i] = nil
		}
	}
	impostor := newStranger(t)
	local := impostor.local(n.cluster, handshake.KindNode, psk)
	local.Accept, local.Proof = []handshake.Kind{handshake.KindNode}, victim.members.proof()
	local.FindPSK = func(handshake.Kind, [8]byte) (handshake.PSK, bool) { return psk, true }
	link, err := transport.Listen(transport.Config{Listen: place, Local: func() handshake.Local { return local }})
	must(t, err)
	defer link.Close()
	wrong := n.refusals.all()[transport.ReasonWrongPeer]
	await(t, "the impostor is noticed", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		n.peers.Open(ctx, victim.self, transport.Data)
		return n.refusals.all()[transport.ReasonWrongPeer] > wrong
	})
	onRecord(t, n, "auth.failed", transport.ReasonWrongPeer)
	c.answers(n)
	if at, _ := n.members.address(victim.self); at != place || !n.members.has(victim.self) || n.members.has(impostor.signer.Public()) {
		t.Errorf("what is known of the node changed: it is at %s", at)
	}
}

// The attack of S3-2: a member speaks in another's name. Whom a message is from
// is the session's peer, and a field that says otherwise is refused.
func TestMessageInAnothersNameIsRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.lies = true
	lead := c.leads()
	n, liar, other := c.nodes[lead], c.nodes[(lead+1)%3], c.nodes[(lead+2)%3]
	moved, _ := n.members.address(other.self)
	for _, body := range []wire.Message{
		&wire.NodeAddress{Node: other.self, Place: wire.Place{Addresses: []string{"127.0.0.1:1"}, Capacity: 1 << 20}},
		&wire.JobPut{Job: wire.JobRecord{Coordinator: other.self, Kernel: "k", Function: "f", Kind: 1}},
		&wire.JobTake{Job: 1, Epoch: 1, Coordinator: other.self},
		&wire.ClusterKeyConfirm{Node: other.self, Epoch: 1},
		&wire.NodeDead{Node: other.self, Incarnation: other.incarnation, Life: 1},
		&wire.NodeRegister{Node: other.self, Incarnation: 7, Life: 1},
		&wire.ClusterKeyPut{Epoch: 2, Key: key.Random()},
	} {
		before := n.refusals.all()[reasonNotAllowed]
		answer := say(t, liar, n, &wire.ControlRequest{Request: newRequestID(), Body: wire.Encode(body)})
		wantFailure(t, answer, holo.Denied, reasonNotAllowed)
		refused(t, n, reasonNotAllowed, before)
	}
	if at, _ := n.members.address(other.self); at != moved {
		t.Errorf("the node is at %s now, was at %s", at, moved)
	}
	if inc, err := n.registered(context.Background(), other.self); err != nil || inc != other.incarnation {
		t.Errorf("incarnation %x, %v", inc, err)
	}
	if epoch, _ := n.keys.at(); epoch > 1 {
		t.Errorf("the cluster key is %d", epoch)
	}
	onRecord(t, n, "msg.rejected", reasonNotAllowed)
	onRecord(t, n, "member.blamed", reasonNotAllowed)
	c.answers(n)
}

// The attack of S3-3: genuine membership messages, later, or in another cluster.
func TestMembershipMessagesOfThePastAndOfOthersChangeNothing(t *testing.T) {
	t.Parallel()
	c, foreign := newCluster(t, 4), newCluster(t, 2)
	lead := c.leads()
	n, liar, gone := c.nodes[lead], c.nodes[(lead+1)%4], c.nodes[(lead+2)%4]
	old := c.eviction(n, gone.self, false)
	must(t, n.EvictNode(context.Background(), door.Caller{}, old))
	rest := []*Node{n, liar, c.nodes[(lead+3)%4]}
	await(t, "everybody knows", func() bool {
		for _, m := range rest {
			if len(m.members.ids()) != 3 {
				return false
			}
		}
		return true
	})
	records, _ := n.members.state()
	at := len(records)

	// The eviction itself, again: its record is known, and its signature spent.
	before := sum(rest, "bad_chain") + sum(rest, "bad_owner_signature")
	if err := liar.EvictNode(context.Background(), door.Caller{}, old); holo.KindOf(err) != holo.Denied {
		t.Errorf("a replayed eviction: %v", err)
	}
	await(t, "it is counted", func() bool { return sum(rest, "bad_chain")+sum(rest, "bad_owner_signature") > before })
	say(t, liar, n, &wire.Farewell{First: uint32(at - 1), Chain: records[at-1:]})

	// A record of the past at the end, and those of another cluster.
	others, _ := foreign.nodes[0].members.state()
	for name, m := range map[string]*wire.Farewell{
		"an admission again":       {First: uint32(at), Chain: records[1:2]},
		"the eviction again":       {First: uint32(at), Chain: records[at-1:]},
		"another cluster's record": {First: uint32(at), Chain: others[1:2]},
		"another cluster's chain":  {First: 0, Chain: others},
		"a past that is other":     {First: 1, Chain: append(others[1:2:2], records[2:]...)},
		"a chain of before, cut":   {First: 0, Chain: records[:at-1]},
		"a record from beyond":     {First: uint32(at + 1), Chain: records[at-1:]},
	} {
		before := n.refusals.all()["bad_chain"]
		say(t, liar, n, m)
		if n.refusals.all()["bad_chain"] <= before {
			t.Errorf("%s: not counted", name)
		}
		if now, _ := n.members.state(); len(now) != at || n.Cause() != nil || len(n.members.ids()) != 3 {
			t.Fatalf("%s: the membership changed", name)
		}
	}
	onRecord(t, n, "msg.rejected", "bad_chain")
	c.answers(n)
}

// The attack of N-15: a machine whose clock is ten minutes ahead. It is refused
// with the reason, and the status says so.
func TestClockTenMinutesAheadIsRefusedAndTheStatusSaysSo(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	n := c.nodes[0]
	must(t, c.nodes[1].Close())
	ahead := func() time.Time { return time.Now().Add(10 * time.Minute) }
	noticed := newRefusals()
	link, err := transport.Listen(transport.Config{
		Listen: anyLoopback, Now: ahead, Local: func() handshake.Local { return handshake.Local{} }, Refused: noticed.add,
	})
	must(t, err)
	defer link.Close()
	signer, err := identity.ReadSigner(c.nodes[1].home.path(identity.NodeKeyFile))
	must(t, err)
	skewed := &stranger{t: t, signer: signer, link: link} // a member otherwise
	local := skewed.local(n.cluster, handshake.KindNode, n.clusterPSK())
	if status, err := n.Status(context.Background(), door.Caller{}); err != nil || warns(status, handshake.ReasonClockSkew) {
		t.Fatalf("warned without a reason: %v, %v", status, err)
	}
	local.Static, err = handshake.NewStatic(skewed.signer, n.cluster, "n1", ahead().Unix())
	must(t, err)
	if s, err := skewed.dial(n, local); err == nil {
		s.Close("test")
		t.Error("a clock ten minutes ahead was taken")
	} else if holo.ReasonOf(err) != handshake.ReasonClockSkew || noticed.all()[handshake.ReasonClockSkew] != 1 {
		t.Errorf("the skewed machine does not know why: %v", err)
	}
	local.Kind, local.Accept = 0, []handshake.Kind{handshake.KindNode} // and now it is dialled
	local.FindPSK = func(handshake.Kind, [8]byte) (handshake.PSK, bool) { return n.clusterPSK(), true }
	local.Admit = func(handshake.Kind, holo.NodeID, string, []byte) error { return nil }
	answering, err := transport.Listen(transport.Config{Listen: c.nodes[1].Addr(), Now: ahead, Local: func() handshake.Local { return local }})
	must(t, err)
	defer answering.Close()
	before := n.refusals.all()[handshake.ReasonClockSkew]
	await(t, "the node dials it, and refuses", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		n.peers.Open(ctx, skewed.signer.Public(), transport.Data)
		return n.refusals.all()[handshake.ReasonClockSkew] > before
	})
	status, err := n.Status(context.Background(), door.Caller{})
	must(t, err)
	if !warns(status, handshake.ReasonClockSkew) {
		t.Errorf("the status does not say it: %q", status.Warnings)
	}
	onRecord(t, n, "clock.skew", handshake.ReasonClockSkew)
}

func warns(s *holov1.StatusResponse, of string) bool {
	return strings.Contains(strings.Join(s.GetWarnings(), " "), of)
}
