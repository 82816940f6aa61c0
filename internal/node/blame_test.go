package node

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/consensus"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// blameless wants that no node blamed another. It is held for every cluster of
// this package's tests in which nobody lies: they restart, kill, cut off, drain
// and evict nodes, change leaders and keys, and let clients ask for what they
// may not.
func (c *cluster) blameless() {
	for _, n := range c.live() {
		for who, count := range n.blames.all() {
			c.t.Errorf("node %s blames node %s for %s, %d times, and nobody lied", n.home.settings.NodeName, n.members.name(who.node), who.reason, count)
		}
	}
}

// utter sends bytes as one message, and waits until the node has let the stream
// go.
func utter(t *testing.T, from, to *Node, message []byte) {
	t.Helper()
	st, err := from.peers.Open(t.Context(), to.self, transport.Control)
	must(t, err)
	defer st.Close()
	must(t, st.SetDeadline(time.Now().Add(patience)))
	st.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(message))), message...))
	st.CloseWrite()  // fails where the node has closed the stream already
	for err == nil { // its answer, if any, and then its end
		_, err = st.ReadMessage()
	}
}

// TestMemberIsBlamedForWhatItAloneCanHaveSent (TB-1): each lie leaves a record
// at the node that heard it, which names the liar, and nobody else is named.
func TestMemberIsBlamedForWhatItAloneCanHaveSent(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.lies = true
	lead := c.leads()
	n, liar, other := c.nodes[lead], c.nodes[(lead+1)%3], c.nodes[(lead+2)%3]
	call := func(body wire.Message) []byte {
		return wire.Encode(&wire.ControlRequest{Request: newRequestID(), Body: wire.Encode(body)})
	}
	unsigned := liar.attest(&wire.ClusterKeyConfirm{Node: liar.self, Epoch: 9})
	unsigned.Sig[3] ^= 1
	forged := liar.asked(c.asks(liar, "holo.v1.ArrayService/Delete", nil))
	forged.Sig[3] ^= 1
	spoilt := wire.Mutate{Mutation: wire.Mutation{Op: liar.memory.NextOp(), Kind: wire.MutateWrite, Array: 1, Changes: []wire.Change{{Kind: wire.PageData, Data: make([]byte, holo.PageSize)}}}}
	lies := []struct {
		reason  string
		message []byte
	}{
		{reasonMalformed, []byte{0xfe, 0xff}},
		{reasonMalformed, wire.Encode(&wire.ControlRequest{Body: []byte{1, 2, 3}})},
		{reasonUnknownRoute, wire.Encode(&wire.Usage{})},
		{reasonNotAllowed, wire.Encode(&wire.JoinRequest{Name: "x", Capacity: 1})},
		{reasonNotAllowed, call(&wire.NodeDead{Node: other.self, Incarnation: other.incarnation, Life: 1})},
		{catalog.ReasonNodeSig, call(unsigned)},
		{catalog.ReasonRequestSig, call(forged)},
		{reasonBadDigest, wire.Encode(&spoilt)},
	}
	want := map[string]uint64{}
	for _, lie := range lies {
		before := n.refusals.all()[lie.reason]
		utter(t, liar, n, lie.message)
		refused(t, n, lie.reason, before)
		want[lie.reason]++
		await(t, "it is blamed for "+lie.reason, func() bool { return n.blames.all()[blame{liar.self, lie.reason}] == want[lie.reason] })
	}
	await(t, "the first of each is on record at once", func() bool {
		of := map[string]bool{}
		for _, r := range recordsOf(t, n, "member.blamed") {
			of[r.Reason] = true
		}
		return len(of) == len(want)
	})
	n.recordBlames(n.blames.due(n.clock.now().Add(recordEvery)))
	got := map[string]uint64{}
	for _, r := range recordsOf(t, n, "member.blamed") {
		if r.Actor.Key != liar.self || r.Actor.Kind != wire.ActorNode || r.Decision != wire.Refused || !strings.HasSuffix(r.Resource, " "+liar.home.settings.NodeName) {
			t.Errorf("record %+v, want it to name %s", r, liar.self)
		}
		got[r.Reason] += r.Count
	}
	for reason, count := range want {
		if got[reason] != count {
			t.Errorf("%s: %d recorded, %d happened", reason, got[reason], count)
		}
	}
	if len(got) != len(want) {
		t.Errorf("records of %v, want %v", got, want)
	}
	status, err := n.Status(context.Background(), door.Caller{})
	must(t, err)
	if !warns(status, "Node "+liar.home.settings.NodeName+" sent what no node") {
		t.Errorf("the status does not name it: %q", status.Warnings)
	}
	for _, m := range []*Node{liar, other} {
		if blamed := m.blames.all(); len(blamed) > 0 {
			t.Errorf("a node that heard no lie blames %v", blamed)
		}
	}
	c.verifyAudit(lead)
}

// TestNobodyIsBlamedForAnothersDoing: what an honest member can come to send,
// because it is late, or because a client, a leader or a third node had it so.
func TestNobodyIsBlamedForAnothersDoing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	lead := c.leads()
	n, member := c.nodes[lead], c.nodes[(lead+1)%3]
	word := member.attest(&wire.ClusterKeyConfirm{Node: member.self, Epoch: 9})
	id := newRequestID()
	call := func(id wire.RequestID, body wire.Message) []byte {
		return wire.Encode(&wire.ControlRequest{Request: id, Body: wire.Encode(body)})
	}
	denied := member.asked(door.Ask(member, newStranger(t).signer, "holo.v1.ArrayService/Delete", nil)) // a client without rights
	shard := wire.ShardHead{Shard: 300, Epoch: 1, From: 7, To: 9}                                       // of configurations that are over
	for what, message := range map[string][]byte{
		"a word":               call(id, word),
		"the same word again":  call(newRequestID(), word),
		"a client's wish":      call(newRequestID(), denied),
		"a lease of yesterday": wire.Encode(&wire.Grant{Incarnation: n.incarnation}),
		"a shard of yesterday": wire.Encode(&wire.Seal{ShardHead: shard}),
		"a question":           wire.Encode(&wire.DigestRead{Array: 77, Run: wire.PageRun{Shard: 300, Count: 1}}),
		"a chain that is old":  wire.Encode(&wire.Farewell{First: 9}),
	} {
		utter(t, member, n, message)
		if blamed := n.blames.all(); len(blamed) > 0 {
			t.Errorf("%s: %v", what, blamed)
		}
	}
	n.blameRaft(consensus.ReasonStranger, member.self) // it was a voter a moment ago
	n.blameFor(newStranger(t).signer.Public(), reasonMalformed)
	n.blameFor(n.self, reasonMalformed)
	c.blameless()
}
