package handshake

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
)

// A client that meets a cluster for the first time has no name for it to say
// in a hello. It asks, in the place of a first message, and is told in clear:
//
//	question  "holo-which-cluster/1" 0
//	answer    "holo-this-cluster/1" 0 cluster(16) owner(32)
//
// Nothing authenticates the answer. It is what the client may decide to pin;
// only the handshake that follows, on another connection, proves that who
// answers was admitted by that owner to that cluster. Whoever lies here names a
// cluster of their own, under a fingerprint of its own.
const (
	question     = "holo-which-cluster/1\x00"
	introduction = "holo-this-cluster/1\x00"
)

// ReasonIntroduced is the reason with which a connection ends that only asked
// which cluster this is. It counts who asked; nothing was refused.
const ReasonIntroduced = "introduced"

// Introduction is what a node says of its cluster to whoever asks.
type Introduction struct {
	Cluster holo.ClusterID
	Owner   holo.PrincipalID // whose signatures admit nodes
}

// Question is the first message of a connection that only asks which cluster
// answers.
func Question() []byte { return []byte(question) }

func (i Introduction) encode() []byte {
	b := append([]byte(introduction), i.Cluster[:]...)
	return append(b, i.Owner[:]...)
}

// ReadIntroduction reads the answer to a Question.
func ReadIntroduction(b []byte) (i Introduction, err error) {
	r := reader{rest: b}
	magic := string(r.take(len(introduction)))
	copy(i.Cluster[:], r.take(len(i.Cluster)))
	copy(i.Owner[:], r.take(len(i.Owner)))
	if r.short || len(r.rest) > 0 || magic != introduction || i.Cluster == (holo.ClusterID{}) || i.Owner == (holo.PrincipalID{}) {
		return Introduction{}, badHello("the answer is no introduction")
	}
	return i, nil
}

// introduce answers a question, where clients are let in at all.
func (m *Machine) introduce() (reply []byte, err error) {
	l := &m.local
	if !slices.Contains(l.Accept, KindClient) {
		return nil, refuse(ReasonWrongKind, "sessions of kind %s are not accepted here", KindClient)
	}
	i := Introduction{Cluster: l.Static.cluster, Owner: l.Owner}
	return i.encode(), refuse(ReasonIntroduced, "somebody asked which cluster this is")
}
