// Package discover finds the nodes of a cluster on the local network, for a
// machine that holds an invite and reaches none of its addresses.
//
// Nothing is announced: a node that was told to listen for questions answers
// those about its own cluster, to whoever asks, with its port. A question does
// not name the cluster but a hash of its ID under a fresh nonce, so that who
// listens learns neither the ID nor that two questions are about one cluster.
// An answer proves nothing. Whom a newcomer then believes is decided by the
// invite, as always.
//
// A question and an answer, each one datagram:
//
//	"holo-find/1" nonce[16] hash[16] zeros to 64 bytes   to 239.255.76.79:7679
//	"holo-here/1" nonce[16] hash[16] port[2]             back to the asker
//
// An answer is shorter than the question, so that nobody is flooded by it.
package discover

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"

	"github.com/holocompute/holocompute/internal/holo"
)

// Group is where questions are sent: an address of the local network (RFC 2365).
var Group = netip.MustParseAddrPort("239.255.76.79:7679")

const (
	find = "holo-find/1"
	here = "holo-here/1"

	nonceSize    = 16
	hashSize     = 16
	questionSize = 64
	answerSize   = len(here) + nonceSize + hashSize + 2
)

type nonce [nonceSize]byte

// mark is what stands for a cluster in one exchange.
func mark(label string, cluster holo.ClusterID, n nonce) []byte {
	h := sha256.New()
	h.Write([]byte("holocompute/discover/1\x00" + label + "\x00"))
	h.Write(cluster[:])
	h.Write(n[:])
	return h.Sum(nil)[:hashSize]
}

func question(cluster holo.ClusterID, n nonce) []byte {
	b := make([]byte, questionSize)
	at := copy(b, find)
	at += copy(b[at:], n[:])
	copy(b[at:], mark(find, cluster, n))
	return b
}

// answerTo gives the answer of a node of a cluster to a datagram; nil where it
// is no question, or about another cluster.
func answerTo(b []byte, cluster holo.ClusterID, port uint16) []byte {
	if len(b) != questionSize || string(b[:len(find)]) != find {
		return nil
	}
	n := nonce(b[len(find):])
	if !bytes.Equal(b, question(cluster, n)) {
		return nil
	}
	a := append([]byte(here), n[:]...)
	a = append(a, mark(here, cluster, n)...)
	return binary.BigEndian.AppendUint16(a, port)
}

// portOf reads an answer; false where it is none to this question.
func portOf(b []byte, cluster holo.ClusterID, n nonce) (port uint16, ok bool) {
	if len(b) != answerSize {
		return 0, false
	}
	port = binary.BigEndian.Uint16(b[answerSize-2:])
	return port, port != 0 && bytes.Equal(b, answerTo(question(cluster, n), cluster, port))
}
