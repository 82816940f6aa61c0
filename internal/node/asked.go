package node

import (
	"context"
	"crypto/rand"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// What a client asks the catalogue for goes there as the client signed it: this
// node only passes it on, and no voter takes its word (core/catalog).

// CatalogVersion is how far the catalogue is, as far as this node knows.
func (n *Node) CatalogVersion() (version uint64) {
	n.catalog.read(func(c *catalog.Catalog) { version = c.Version() })
	known, _ := n.members.at()
	return max(version, known)
}

// asked is a caller's request as the catalogue takes it.
func (n *Node) asked(c door.Caller) *wire.Asked {
	m := &wire.Asked{
		Procedure: c.Procedure, Request: c.Request, Stamp: c.Stamp, Node: n.self, Session: c.Session, Key: c.Key, Token: c.Chain,
	}
	copy(m.Sig[:], c.Signature)
	return m
}

// attest signs a command that is this node's own word.
func (n *Node) attest(body wire.Message) *wire.Attested {
	m := &wire.Attested{Node: n.self, Body: body}
	var random [8]byte
	rand.Read(random[:])
	m.Stamp = api.NewStamp(n.CatalogVersion(), random, "")
	copy(m.Sig[:], n.home.signer.Sign(wire.AttestProof(n.cluster, m)))
	return m
}

// judgeSigned keeps a member from filling the log with what is refused anyway:
// the leader asks its own replica first. What that refuses is asked again when
// the replica has all that was committed before; then it is refused for good.
func (n *Node) judgeSigned(ctx context.Context, id wire.RequestID, msg wire.Message) (refusal, err error) {
	if n.judgeNow(id, msg) == nil {
		return nil, nil
	}
	if err := n.consensus.Read(ctx); err != nil {
		return nil, err
	}
	refusal = n.judgeNow(id, msg)
	if refusal != nil && holo.KindOf(refusal) == holo.Denied {
		n.refusals.addErr(refusal)
	}
	return refusal, nil
}

// judgeNow asks the replica as it is. What has its answer gets it again.
func (n *Node) judgeNow(id wire.RequestID, msg wire.Message) (err error) {
	n.catalog.read(func(c *catalog.Catalog) {
		if c.Answered(id) {
			return
		}
		switch m := msg.(type) {
		case *wire.Asked:
			err = c.Judge(m, unixNow())
		case *wire.Attested:
			err = c.JudgeNode(m)
		}
	})
	return err
}
