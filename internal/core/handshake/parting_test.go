package handshake

import (
	"bytes"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// partingSides is a responder that knows of one node that was put out, and the key
// and question of that node.
func partingSides(t *testing.T) (r Local, k PSK, question []byte) {
	t.Helper()
	_, r, _ = sides(t, KindNode)
	k = PartingKey(secretFrom(t, repeated(9, 32)), testCluster, holo.NodeID{4})
	r.Parting = func(id [8]byte) (PSK, []byte, bool) { return k, []byte("the owner's word"), id == k.ID }
	return r, k, WhyRefused(k, r.Exporter)
}

func TestNodeThatWasPutOutIsToldTheOwnersWordAndNothingElse(t *testing.T) {
	r, k, question := partingSides(t)
	m := Respond(r)
	answer, done, err := m.Process(question)
	wantReason(t, err, ReasonParted)
	word, err := ReadParting(k, r.Exporter, answer)
	if err != nil || string(word) != "the owner's word" || done || m.Session() != nil {
		t.Errorf("%q, done %v, %v", word, done, err)
	}
	if bytes.Contains(answer, word) || bytes.Contains(answer, r.Static.certificate.node[:]) {
		t.Error("it is said in clear, or more than it")
	}
	if again, _, err := m.Process(question); err == nil || again != nil {
		t.Error("the machine answers twice under one key")
	}
	// On another connection neither is worth anything.
	if _, err := ReadParting(k, repeated(6, 32), answer); err == nil {
		t.Error("the answer opens on another connection")
	}
	r.Exporter = repeated(6, 32)
	answer, _, err = Respond(r).Process(question)
	wantReason(t, err, ReasonUnknownPSK)
	if answer != nil {
		t.Error("a question was answered on another connection")
	}
}

// Who does not hold the key is answered as with any key that nobody knows.
func TestStrangersAreNotToldWhoWasPutOut(t *testing.T) {
	r, k, question := partingSides(t)
	other := PartingKey(secretFrom(t, repeated(9, 32)), testCluster, holo.NodeID{5})
	guessed := other
	guessed.ID = k.ID
	for name, q := range map[string][]byte{
		"another node's key":       WhyRefused(other, r.Exporter),
		"the ID alone":             WhyRefused(guessed, r.Exporter),
		"a changed mac":            append(slices.Clone(question[:len(question)-1]), question[len(question)-1]^1),
		"the link key's own ID":    WhyRefused(ClusterPSK(secretFrom(t, repeated(9, 32)), testCluster), r.Exporter),
		"another cluster, as such": WhyRefused(PartingKey(secretFrom(t, repeated(9, 32)), holo.ClusterID{1}, holo.NodeID{4}), r.Exporter),
	} {
		answer, _, err := Respond(r).Process(q)
		wantReason(t, err, ReasonUnknownPSK)
		if answer != nil {
			t.Errorf("%s: answered %x", name, answer)
		}
	}
	for n := range question {
		if n < len(whyRefused) {
			continue
		}
		answer, _, err := Respond(r).Process(question[:n])
		wantReason(t, err, ReasonBadHello)
		if answer != nil {
			t.Fatalf("%d bytes are answered", n)
		}
	}
	r.Parting = nil
	answer, _, err := Respond(r).Process(question)
	wantReason(t, err, ReasonBadHello)
	if answer != nil {
		t.Error("somebody who tells nobody answers")
	}
	for _, bad := range [][]byte{nil, []byte(partingWord), append([]byte(partingWord), 1, 2, 3), []byte(refusal)} {
		if _, err := ReadParting(k, repeated(5, 32), bad); holo.ReasonOf(err) != ReasonBadHello {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
