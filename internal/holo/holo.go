// Package holo holds the nouns of HoloCompute: the names that every other
// package uses for nodes, arrays, pages, shards, epochs and times. A noun
// parses, prints and compares; it has no other behaviour and does no I/O.
//
// The words and their meanings are listed in ARCHITECTURE.md. When two
// arguments could be swapped by mistake they have two types here.
package holo

import (
	"bytes"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// PageSize is the number of bytes in a page: 64 KiB, the unit of transfer,
// versioning and checksum. It equals one page of WebAssembly memory, so a
// kernel sees whole pages (decision record 0001).
const PageSize = 64 << 10

// NodeID names a node: it is the node's Ed25519 public key. Identity is the
// key, never the address.
type NodeID [32]byte

// PrincipalID names somebody who asks (a user, the owner): it is an Ed25519
// public key. It is a type of its own so that a node's key can never be used
// where a principal's is meant.
type PrincipalID [32]byte

// ClusterID names a cluster: 16 random bytes drawn by `holo init`.
type ClusterID [16]byte

// Incarnation is a random number drawn at each start of a process. Memory
// belongs to an incarnation: a restarted node is a new, empty one. Zero is
// never drawn.
type Incarnation uint64

var short = base32.StdEncoding.WithPadding(base32.NoPadding)

// String is the short form for people: 10 base32 characters (50 bits).
func (id NodeID) String() string { return strings.ToLower(short.EncodeToString(id[:])[:10]) }

// Hex is the whole key in hexadecimal.
func (id NodeID) Hex() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether the ID is the zero value, which names no node.
func (id NodeID) IsZero() bool { return id == NodeID{} }

// Compare orders IDs by their bytes: -1, 0 or 1.
func (id NodeID) Compare(other NodeID) int { return bytes.Compare(id[:], other[:]) }

// String is the short form for people, as for NodeID.
func (id PrincipalID) String() string { return strings.ToLower(short.EncodeToString(id[:])[:10]) }

// Hex is the whole key in hexadecimal.
func (id PrincipalID) Hex() string { return hex.EncodeToString(id[:]) }

// String is the cluster's ID in hexadecimal.
func (id ClusterID) String() string { return hex.EncodeToString(id[:]) }

// Equal compares in constant time.
func (id ClusterID) Equal(other ClusterID) bool {
	return subtle.ConstantTimeCompare(id[:], other[:]) == 1
}

// ParseNodeID reads the hexadecimal form.
func ParseNodeID(s string) (id NodeID, err error) { return id, parseHex(id[:], s, "node ID") }

// ParsePrincipalID reads the hexadecimal form.
func ParsePrincipalID(s string) (id PrincipalID, err error) {
	return id, parseHex(id[:], s, "principal ID")
}

// ParseClusterID reads the hexadecimal form.
func ParseClusterID(s string) (id ClusterID, err error) { return id, parseHex(id[:], s, "cluster ID") }

func parseHex(dst []byte, s, what string) error {
	if len(s) != 2*len(dst) || strings.ToLower(s) != s {
		return Errorf(Invalid, "parse %s: want %d lower-case hexadecimal digits, have %d characters", what, 2*len(dst), len(s))
	}
	if _, err := hex.Decode(dst, []byte(s)); err != nil {
		return Errorf(Invalid, "parse %s: %v", what, err)
	}
	return nil
}

// ArrayID names an array within a cluster. IDs are drawn from the catalogue's
// counter and never used again.
type ArrayID uint64

// PageIndex counts the pages of one array from 0.
type PageIndex uint64

// PageID names one page.
type PageID struct {
	Array ArrayID
	Index PageIndex
}

// String is "a7/12": array 7, page 12.
func (p PageID) String() string { return fmt.Sprintf("a%d/%d", uint64(p.Array), uint64(p.Index)) }

// Epoch counts the configurations of one shard. A message that carries an
// older epoch is refused: it is fenced.
type Epoch uint64

// Seq counts the entries that one shard's primary has ordered.
type Seq uint64

// Version says which write made a page what it is. The zero Version is that
// of a page never written.
type Version struct {
	Epoch Epoch
	Seq   Seq
}

// String is "e3.17".
func (v Version) String() string { return fmt.Sprintf("e%d.%d", uint64(v.Epoch), uint64(v.Seq)) }

// Before reports whether v is older than w.
func (v Version) Before(w Version) bool {
	return v.Epoch < w.Epoch || v.Epoch == w.Epoch && v.Seq < w.Seq
}

// SessionID names a client's session with a node; OpID one mutation in it.
// Both are chosen at random by the session's node; an OpID takes effect at
// most once per shard however often it is sent.
type SessionID uint64

// LeaseID names a write lease. Whoever takes it draws it at random; zero is none.
type LeaseID uint64

// Token is a write lease as a shard's home gave it out. Whoever shows it writes
// under it. The home numbers what it gives, and another home has another epoch:
// the same name given out again is another token.
type Token struct {
	Lease  LeaseID
	Epoch  Epoch
	Number uint64
}

// OpID names one mutation, for exactly-once effect over retries.
type OpID struct {
	Session SessionID
	Num     uint64
}

// JobID names a job, TaskID one of its tasks (numbered from 0 in the order of
// the extents), Attempt one try at a task, counted from 1. JobEpoch counts the
// coordinators that a job has had, from 1: what an older one ordered is refused.
type (
	JobID    uint64
	JobEpoch uint64
	TaskID   uint32
	Attempt  uint32
)

// Gas is the unit of metered work; one unit is about one WebAssembly
// instruction (price table gas/1).
type Gas uint64

// ModuleID names a WebAssembly module: the SHA-256 of its original bytes.
type ModuleID [32]byte

// String is the first 12 hexadecimal digits, for people.
func (m ModuleID) String() string { return hex.EncodeToString(m[:6]) }

// Hex is the whole hash in hexadecimal.
func (m ModuleID) Hex() string { return hex.EncodeToString(m[:]) }

// ParseModuleID reads the hexadecimal form.
func ParseModuleID(s string) (m ModuleID, err error) { return m, parseHex(m[:], s, "module ID") }

// Digest is a BLAKE3-256 hash, of a page or of a list of digests.
type Digest [32]byte

// String is the first 12 hexadecimal digits, for people.
func (d Digest) String() string { return hex.EncodeToString(d[:6]) }

// Hex is all of the digest.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

// Time is a reading of one machine's monotonic clock in nanoseconds. Readings
// of two machines cannot be compared.
type Time int64

// Add returns the time d nanoseconds later.
func (t Time) Add(d Duration) Time { return t + Time(d) }

// Sub returns the nanoseconds from u to t.
func (t Time) Sub(u Time) Duration { return Duration(t - u) }

// Duration is a span of time in nanoseconds, equal to time.Duration.
type Duration int64

// Spans of time.
const (
	Microsecond Duration = 1000
	Millisecond          = 1000 * Microsecond
	Second               = 1000 * Millisecond
)

// Seconds is the span as a fraction.
func (d Duration) Seconds() float64 { return float64(d) / float64(Second) }

// String prints seconds or milliseconds.
func (d Duration) String() string {
	if d%Second == 0 {
		return strconv.FormatInt(int64(d/Second), 10) + "s"
	}
	return strconv.FormatFloat(float64(d)/float64(Millisecond), 'g', 6, 64) + "ms"
}

// StandardKernels is the namespace of the kernels that are part of the program.
// They are in no catalogue, and nothing that is handed over may be called so.
const StandardKernels = "std"

// IsStandardKernel reports whether a kernel's name is in that namespace.
func IsStandardKernel(name string) bool {
	return name == StandardKernels || strings.HasPrefix(name, StandardKernels+"/")
}
