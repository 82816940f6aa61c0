// Package protocol numbers what programs say to each other, so that those of
// two releases in a row can be one cluster, and all others are told why not.
//
// Its one idea: a program speaks a range of versions, two programs talk in the
// highest that both speak, and a cluster is at one version, which every member
// speaks and which never falls. A version that is out stays as it is: its
// messages are neither changed nor given another meaning, and what is new has a
// message and a version of its own (wire.Since). It decides and does no I/O.
package protocol

import (
	"fmt"

	"github.com/holocompute/holocompute/internal/holo"
)

// Version counts what the program can say: 1 was the first.
type Version uint8

// The versions that this program speaks: its own, and the one before.
//
//	1  the first
//	2  each member says which program it runs (wire.NodeProgram)
const (
	Oldest Version = 1
	Newest Version = 2
)

// First is the version of a cluster that nobody has raised yet.
const First Version = 1

// ReasonSkew is the reason of every refusal for a version.
const ReasonSkew = "version_skew"

// Range is the versions that a program speaks, both ends included.
type Range struct{ Oldest, Newest Version }

// Spoken is the range of this program.
func Spoken() Range { return Range{Oldest, Newest} }

// Valid reports whether it is a range at all. The zero Range is none.
func (r Range) Valid() bool { return r.Oldest >= 1 && r.Oldest <= r.Newest }

// Has reports whether v is in it.
func (r Range) Has(v Version) bool { return r.Oldest <= v && v <= r.Newest }

// Meets reports whether the two have a version in common.
func (r Range) Meets(o Range) bool { return max(r.Oldest, o.Oldest) <= min(r.Newest, o.Newest) }

// String is "1" or "1 to 2".
func (r Range) String() string {
	if r.Oldest == r.Newest {
		return fmt.Sprint(r.Newest)
	}
	return fmt.Sprintf("%d to %d", r.Oldest, r.Newest)
}

// Offer is what one side of a session says of itself. Cluster is the version
// that its cluster is at, 0 where it knows of none: a client, a newcomer.
type Offer struct {
	Range
	Cluster Version
}

// Valid reports whether an offer can be meant: a member speaks its cluster's
// version.
func (o Offer) Valid() bool { return o.Range.Valid() && (o.Cluster == 0 || o.Has(o.Cluster)) }

// Agree gives the version of a session with a peer: the highest that both speak.
// Its error, of kind Denied, says who speaks what and which side is to be
// upgraded. Both sides come to the same.
func (o Offer) Agree(peer Offer) (Version, error) {
	switch {
	case !o.Meets(peer.Range):
		return 0, skew("the peer speaks version %s of the protocol, this program %s: upgrade the program of %s", peer.Range, o.Range, older(o, peer))
	case o.Cluster != 0 && !peer.Has(o.Cluster):
		return 0, skew("the cluster is at version %d of the protocol, the peer speaks %s: %s", o.Cluster, peer.Range, advice(o.Cluster, peer.Range, "the peer"))
	case peer.Cluster != 0 && !o.Has(peer.Cluster):
		return 0, skew("the peer's cluster is at version %d of the protocol, this program speaks %s: %s", peer.Cluster, o.Range, advice(peer.Cluster, o.Range, "this machine"))
	}
	return min(o.Newest, peer.Newest), nil
}

// older is the side that is to be upgraded.
func older(mine, peer Offer) string {
	if mine.Newest < peer.Oldest {
		return "this machine"
	}
	return "the peer"
}

// advice is what to do where one side does not speak a cluster's version.
func advice(cluster Version, r Range, who string) string {
	if r.Newest < cluster {
		return "upgrade the program of " + who
	}
	return fmt.Sprintf("bring every member to version %d first, one after the other", r.Oldest)
}

// CheckCluster refuses to take part in a cluster at a version that a program
// does not speak.
func CheckCluster(cluster Version, r Range) error {
	if r.Has(cluster) {
		return nil
	}
	return skew("the cluster is at version %d of the protocol, this program speaks %s: %s", cluster, r, advice(cluster, r, "this machine"))
}

// CheckKnown refuses what was written at a version after this program's: it
// cannot read it. What was written before can be read still.
func CheckKnown(at Version) error {
	if at <= Newest {
		return nil
	}
	return CheckCluster(at, Spoken())
}

func skew(format string, args ...any) error {
	return holo.Refuse(holo.Denied, ReasonSkew, format, args...)
}
