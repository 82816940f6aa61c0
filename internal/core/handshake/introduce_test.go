package handshake

import (
	"bytes"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func TestWhoAsksIsToldTheClusterAndNothingElse(t *testing.T) {
	_, r, told := sides(t, KindClient)
	m := Respond(r)
	answer, done, err := m.Process(Question())
	wantReason(t, err, ReasonIntroduced)
	i, err := ReadIntroduction(answer)
	if err != nil || i != (Introduction{Cluster: testCluster, Owner: testOwner}) || done {
		t.Errorf("%+v, done %v, %v", i, done, err)
	}
	if bytes.Contains(answer, r.Static.certificate.node[:]) || len(told[1]) > 0 || m.Session() != nil {
		t.Error("a question got more than the names of the cluster and its owner")
	}
	if _, _, err := m.Process(Question()); err == nil {
		t.Error("the machine goes on after a question")
	}
	r.Accept = []Kind{KindNode, KindJoin}
	answer, _, err = Respond(r).Process(Question())
	wantReason(t, err, ReasonWrongKind)
	if answer != nil {
		t.Errorf("a node that lets no clients in answers %q", answer)
	}
}

func TestIntroductionsAreReadStrictly(t *testing.T) {
	good := Introduction{Cluster: testCluster, Owner: testOwner}.encode()
	if _, err := ReadIntroduction(good); err != nil {
		t.Fatal(err)
	}
	for n := range good {
		_, err := ReadIntroduction(good[:n])
		wantReason(t, err, ReasonBadHello)
	}
	for what, bad := range map[string][]byte{
		"longer":     append(slices.Clone(good), 0),
		"other name": append([]byte("x"), good[1:]...),
		"no cluster": Introduction{Owner: testOwner}.encode(),
		"no owner":   Introduction{Cluster: testCluster}.encode(),
		"refusal":    []byte(refusal),
	} {
		if _, err := ReadIntroduction(bad); holo.ReasonOf(err) != ReasonBadHello {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A responder that would have nothing to say is found before it listens.
func TestClientsAreNotLetInWithoutAnOwner(t *testing.T) {
	_, r, _ := sides(t, KindClient)
	r.Owner = holo.PrincipalID{}
	if _, _, err := Respond(r).Process(Question()); holo.KindOf(err) != holo.Invalid {
		t.Errorf("%v", err)
	}
}
