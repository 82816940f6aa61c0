package demo

import (
	"path/filepath"

	"github.com/holocompute/holocompute/internal/audit"
	"github.com/holocompute/holocompute/internal/holo"
)

// Audit is what one node's audit log holds when the attacks are over, as it
// verifies with the node's public key alone.
type Audit struct {
	Node    string `json:"node"`    // hexadecimal
	Records uint64 `json:"records"` // in all
	Proven  uint64 `json:"proven"`  // that hold a client's signature
	Head    string `json:"head"`    // root of the records' tree, hexadecimal
}

// audited verifies the log of the node that was worked with and attacked.
func (s *story) audited(c *cluster) error {
	id, err := holo.ParseNodeID(c.at.id)
	if err != nil {
		return err
	}
	cluster, err := holo.ParseClusterID(c.id)
	if err != nil {
		return err
	}
	log, err := audit.Verify(filepath.Join(c.at.dir, "audit"), audit.Source{Cluster: cluster, Node: id})
	if err != nil {
		return err
	}
	if log.Proven == 0 {
		return holo.Errorf(holo.Internal, "the audit log of %s holds nothing that a client signed", c.at.name)
	}
	s.report.Audit = Audit{Node: c.at.id, Records: log.Records, Proven: log.Proven, Head: log.Head}
	s.say.audited(c.at, s.report.Audit)
	return nil
}
