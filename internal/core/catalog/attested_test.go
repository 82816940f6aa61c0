package catalog

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// said wants a node's word refused, with no trace but that it is used up where
// the node has signed it.
func (w *town) said(reason string, m *wire.Attested) {
	w.Helper()
	before := w.state()
	if err := w.JudgeNode(m); holo.ReasonOf(err) != reason {
		w.Fatalf("a leader that asks before hears %v, want %q", err, reason)
	}
	_, err := w.propose(now, "", m)
	if err == nil || holo.ReasonOf(err) != reason {
		w.Fatalf("%T: %v, want a refusal with reason %q", m.Body, err, reason)
	}
	if !bytes.Equal(before, w.state()) {
		w.Fatalf("%T was refused and left a trace", m.Body)
	}
}

// sealing is a town of three nodes, an array that node 2 was asked to seal, and
// a job that node 2 coordinates.
func sealing(t *testing.T) (w *town, a holo.ArrayID, j holo.JobID) {
	w = settled(t, 3)
	r := w.array("a", 1, 1)
	procedure, q := requestOf(&wire.ArraySealing{Array: r.ID})
	w.do(w.askedAt("maker", node(2), w.ask("maker", procedure, q)))
	job := w.do(&wire.JobPut{Job: wire.JobRecord{Coordinator: node(2), Module: holo.ModuleID{1}, Kind: wire.TaskMap}}).(*wire.JobRecord)
	return w, r.ID, job.ID
}

// words are what node 2 may say in that town.
func words(a holo.ArrayID, j holo.JobID) map[string]wire.Message {
	return map[string]wire.Message{
		"where it is":      &wire.NodeAddress{Node: node(2), Place: place(512), Speaks: spoken},
		"which key it has": &wire.ClusterKeyConfirm{Node: node(2), Epoch: 1},
		"what it sealed":   &wire.ArraySealed{Array: a, Root: holo.Digest{5}},
		"a job ends":       &wire.JobState{Job: j, Epoch: 1, End: wire.JobEnd{Phase: wire.JobDone}},
		"a job goes on":    &wire.JobTake{Job: j, Epoch: 1, Coordinator: node(2)},
	}
}

// The attack: whoever leads makes up what another node says, or a member speaks
// in another's name. Every voter refuses what that node has not signed.
func TestNodesWordsNeedTheirSignature(t *testing.T) {
	w, a, j := sealing(t)
	for name, body := range words(a, j) {
		t.Log(name)
		w.forged(ReasonUnsigned, body)
		m := w.attest(1, body)
		m.Node = node(2)
		w.said(ReasonNodeSig, m)
		w.said(ReasonNotTheirs, w.attest(3, body)) // by its own key
	}
	w.forged(ReasonUnsigned, &wire.ArrayPurge{Array: a})
	w.forged(ReasonUnsigned, &wire.ArrayExpire{Array: a})
	stranger := w.attest(7, &wire.ArrayPurge{Array: a})
	if _, err := w.propose(now, "", stranger); holo.KindOf(err) != holo.NotFound {
		t.Errorf("a node that is no member: %v", err)
	}
	for name, body := range words(a, j) { // and node 2 may
		if name != "a job goes on" {
			w.do(w.attest(2, body))
		}
	}
}

func TestEachFieldOfANodesWordCounts(t *testing.T) {
	w, _, j := sealing(t)
	changes := map[string]func(*wire.Attested){
		"Node":  func(m *wire.Attested) { m.Node = node(1) },
		"Stamp": func(m *wire.Attested) { m.Stamp[15]++ },
		"Sig":   func(m *wire.Attested) { m.Sig[0]++ },
		"Body": func(m *wire.Attested) {
			m.Body = &wire.JobState{Job: j, Epoch: 1, End: wire.JobEnd{Phase: wire.JobFailed}}
		},
	}
	for i := range reflect.TypeFor[wire.Attested]().NumField() {
		field := reflect.TypeFor[wire.Attested]().Field(i).Name
		m := w.attest(2, &wire.JobState{Job: j, Epoch: 1, End: wire.JobEnd{Phase: wire.JobDone}})
		if changes[field] == nil {
			t.Errorf("nobody attacks the field %s", field)
			continue
		}
		changes[field](m)
		t.Log(field)
		w.said(ReasonNodeSig, m)
	}
}

// The attack: whoever leads keeps what a node said, and says it again when it is
// not so any more.
func TestNodesWordIsUsedOnce(t *testing.T) {
	w, a, j := sealing(t)
	first := w.attest(2, words(a, j)["where it is"])
	w.do(first)
	w.do(&wire.NodeAddress{Node: node(2), Place: place(300), Speaks: spoken})
	w.said(ReasonReplayed, first)
	if r, _ := w.Node(node(2)); r.Place.Capacity != 300<<20 {
		t.Errorf("the node offers %d bytes", r.Place.Capacity)
	}
}

// A job is taken from a node that does not live, and by nobody else before; an
// array's root is said by a node that was asked to seal it.
func TestNodesSayOnlyWhatIsTheirs(t *testing.T) {
	w, a, j := sealing(t)
	root := func(n int) *wire.Attested { return w.attest(n, &wire.ArraySealed{Array: a, Root: holo.Digest{5}}) }
	take := func(n int) *wire.Attested { return w.attest(n, &wire.JobTake{Job: j, Epoch: 1, Coordinator: node(n)}) }
	w.said(ReasonNotTheirs, root(1))
	w.said(ReasonNotTheirs, take(3))
	w.said(ReasonNotTheirs, w.attest(3, &wire.JobTake{Job: j, Epoch: 1, Coordinator: node(1)}))
	w.do(&wire.ArraySealing{Array: a}) // the next client asks at node 1, as the first broke off
	w.bury(2)
	if r := w.do(root(1)).(*wire.ArrayRecord); r.State != wire.ArrayFrozen || len(r.Sealers) != 0 {
		t.Errorf("array %+v", r)
	}
	if r := w.do(take(3)).(*wire.JobRecord); r.Coordinator != node(3) || r.Epoch != 2 {
		t.Errorf("job %+v", r)
	}
	w.said(ReasonNotTheirs, w.attest(2, &wire.JobState{Job: j, Epoch: 2, End: wire.JobEnd{Phase: wire.JobFailed}})) // the deposed coordinator
}

// A member that says what is its to say again and again makes no client's stamp
// stale, and no other node's that knows where the catalogue is.
func TestTalkativeNodePushesOutNobody(t *testing.T) {
	w, a, _ := sealing(t)
	ask, word := w.deletion("maker", a), w.attest(3, &wire.NodeAddress{Node: node(3), Place: place(300), Speaks: spoken})
	for i := range uint64(wire.MaxStamps) {
		w.words.spend(wire.StampUse{Version: w.version - 1, Use: [16]byte{byte(i), byte(i >> 8), byte(i >> 16), 1}})
	}
	w.do(&wire.NodeAddress{Node: node(2), Place: place(512), Speaks: spoken})
	w.do(ask)
	if _, err := w.propose(now, "", word); err != nil {
		t.Error(err)
	}
}
