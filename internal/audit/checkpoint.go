package audit

import (
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// originLabel begins the text that a node signs, so that such a signature can
// never serve another purpose.
const originLabel = "holo/audit/1/"

// maxNote bounds a checkpoint, and with it the file head.
const maxNote = 512

// checkpoint is what a node signs about its log: that it has so many records,
// whose tree has this root, and how many the checkpoint before it spoke of.
type checkpoint struct {
	size, previous int64
	root           tlog.Hash
}

// origin names a log: whose it is, of which cluster. It is the first line of
// every checkpoint and the name of the key that signs them.
func origin(cluster holo.ClusterID, node holo.NodeID) string {
	return originLabel + cluster.String() + "/" + node.Hex()
}

// text is what is signed: a C2SP tlog-checkpoint with one extension line.
func (c checkpoint) text(origin string) string {
	return fmt.Sprintf("%s\n%d\n%s\nprevious %d\n", origin, c.size, c.root, c.previous)
}

// noteSigner signs notes with a node's key.
type noteSigner struct {
	note.Verifier
	signer key.Signer
}

// Sign implements note.Signer.
func (s noteSigner) Sign(msg []byte) ([]byte, error) { return s.signer.Sign(msg), nil }

// verifierOf is the verifier of a node's checkpoints. Package note would take
// keys of small order, with which a signature proves nothing.
func verifierOf(origin string, node holo.NodeID) (note.Verifier, error) {
	if err := key.CheckPublic(node); err != nil {
		return nil, err
	}
	encoded, err := note.NewEd25519VerifierKey(origin, node[:])
	if err != nil {
		return nil, holo.Errorf(holo.Invalid, "audit log of node %s: %w", node, err)
	}
	v, err := note.NewVerifier(encoded)
	if err != nil {
		return nil, holo.Errorf(holo.Invalid, "audit log of node %s: %w", node, err)
	}
	return v, nil
}

// sign makes the note of a checkpoint.
func (c checkpoint) sign(origin string, s note.Signer) ([]byte, error) {
	b, err := note.Sign(&note.Note{Text: c.text(origin)}, s)
	if err != nil || len(b) > maxNote {
		return nil, holo.Errorf(holo.Internal, "sign checkpoint: %d bytes: %w", len(b), err)
	}
	return b, nil
}

// openCheckpoint verifies a note and reads it. It takes only the one encoding
// that sign gives.
func openCheckpoint(b []byte, origin string, v note.Verifier) (c checkpoint, err error) {
	n, err := note.Open(b, note.VerifierList(v))
	if err != nil {
		return c, fmt.Errorf("the checkpoint is not signed by this node: %w", err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 5 || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 0 {
		return c, fmt.Errorf("the checkpoint has %d lines and %d signatures", len(lines)-1, len(n.Sigs)+len(n.UnverifiedSigs))
	}
	if c.root, err = tlog.ParseHash(lines[2]); err != nil {
		return c, err
	}
	_, err1 := fmt.Sscanf(lines[1], "%d", &c.size)
	_, err2 := fmt.Sscanf(lines[3], "previous %d", &c.previous)
	if err1 != nil || err2 != nil || c.size < 0 || c.previous < 0 || c.text(origin) != n.Text {
		return c, fmt.Errorf("the checkpoint does not read as this log's")
	}
	return c, nil
}
