package audit

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// Source names whose log it is.
type Source struct {
	Cluster holo.ClusterID
	Node    holo.NodeID
}

// Summary is what a log that verified holds.
type Summary struct {
	Source
	Records  uint64
	Segments int
	Head     string // root of the tree, hexadecimal
	Proven   uint64 // records that hold a client's signature, each of which verifies
	Loose    int64  // bytes behind the last checkpoint: a write that was never acknowledged
}

// SourceOf reads whose log a folder says it is. It is a claim: Verify proves
// it, for the node that the caller means.
func SourceOf(dir string) (s Source, err error) {
	b, err := os.ReadFile(filepath.Join(dir, headFile))
	if err != nil {
		return s, noLog(dir, err)
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	rest, ok := strings.CutPrefix(string(line), originLabel)
	cluster, node, found := strings.Cut(rest, "/")
	if !ok || !found {
		return s, damage(0, "the file %s does not say whose log it is", headFile)
	}
	if s.Cluster, err = holo.ParseClusterID(cluster); err != nil {
		return s, damage(0, "the file %s: %w", headFile, err)
	}
	if s.Node, err = holo.ParseNodeID(node); err != nil {
		return s, damage(0, "the file %s: %w", headFile, err)
	}
	return s, nil
}

// Verify reads a whole log, such as a copy of the folder on another machine,
// with nothing but whose it is to be. It checks every frame, the tree, every
// checkpoint's signature, and the signature of every client. The error of what
// is wrong is Corrupt, with ReasonDamaged, and names the record.
//
// A log that is put back to an older state, head included, verifies: compare
// Records and Head with what was noted before.
func Verify(dir string, s Source) (*Summary, error) {
	if _, err := os.Stat(filepath.Join(dir, headFile)); err != nil {
		return nil, noLog(dir, err)
	}
	return verify(&directory{path: dir}, s)
}

// noLog is the error of a folder whose head cannot be read: there is no log in
// it, or one that lost its head.
func noLog(dir string, err error) error {
	names, _ := (&directory{path: dir}).names()
	switch {
	case !slices.ContainsFunc(names, isSegment):
		return holo.Errorf(holo.NotFound, "verify audit log %s: there is none", dir)
	case os.IsNotExist(err):
		return damage(0, "the file %s is missing, which says where the log ends", headFile)
	}
	return opening(err)
}

func verify(f folder, s Source) (*Summary, error) {
	name := origin(s.Cluster, s.Node)
	v, err := verifierOf(name, s.Node)
	if err != nil {
		return nil, err
	}
	out := &Summary{Source: s}
	w := &walk{folder: f, origin: name, verifier: v, node: s.Node, visit: out.proof}
	if err := w.run(); err != nil {
		return nil, opening(err)
	}
	if w.headErr != nil {
		return nil, damage(0, "the file %s: %w", headFile, w.headErr)
	}
	out.Records, out.Segments, out.Loose = uint64(w.tree.size), len(w.segments), w.loose
	out.Head = hex.EncodeToString(w.signed.root[:])
	return out, nil
}

// proof checks that the principal of a record did ask for what it tells. The
// codec lets no principal's act pass without a proof.
func (s *Summary) proof(r *wire.AuditRecord) error {
	p := r.Proof
	if p == nil {
		return nil
	}
	if api.Event(p.Procedure) != r.Event {
		return damage(int64(r.Seq), "it tells of %s, and what was signed is %s", r.Event, p.Procedure)
	}
	if !api.SessionOf(p.Session[:], s.Source.Cluster, r.Node) {
		return damage(int64(r.Seq), "what was signed for %s was asked of another node", r.Event)
	}
	if !key.Verify(r.Actor.Key, api.RequestProof(p.Procedure, p.Session[:], p.Digest), p.Signature[:]) {
		return damage(int64(r.Seq), "%s is not signed by the key %s that it names", r.Event, holo.PrincipalID(r.Actor.Key))
	}
	s.Proven++
	return nil
}
