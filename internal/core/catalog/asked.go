package catalog

import (
	"slices"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// A command that acts for a client is not believed of the node that hands it in,
// nor of the leader. It comes as the request that the client signed, and every
// voter checks alike, by what the catalogue holds: the signature, that it was
// not used before, whose rights count, and that they suffice. What is to be done
// is read out of the request, so there is nothing else that anybody could change.

// Reader reads what clients sign and what is not this machine's to parse:
// protobuf and tokens. It is a function of its arguments and nothing else:
// every voter must come to the same.
type Reader interface {
	// Standard finds a kernel that is part of the program, by its name or its
	// module's hash.
	Standard(reference string) (name string, module holo.ModuleID, ok bool)
	// Read gives the command that a request asks for, without what only the
	// catalogue knows: in whose name, within what.
	Read(procedure string, request []byte) (wire.Message, error)
	// Token verifies a chain at a time, by the token keys that there are and by
	// who may issue for whom. It gives the links, root first, each with the key
	// of the root, and what all of them cover.
	Token(chain string, cluster holo.ClusterID, now int64, keys func(holo.Thumbprint) (wire.TokenKeyRecord, bool),
		mayIssue func(registrant, subject holo.PrincipalID) bool) (links []wire.TokenRecord, covers func(action, resource string) bool, err error)
}

// asker is who asked for a command, and what narrows it.
type asker struct {
	principal holo.PrincipalID
	node      holo.NodeID                        // that was asked
	covers    func(action, resource string) bool // by the token; nil: all
	module    holo.ModuleID                      // that would run; zero: none
	grants    []wire.Access                      // the principal's
	now       int64
}

// asked carries out a client's command. Once the signature is good, it is used
// up: what was refused once is not carried out later by somebody who kept it.
func (c *Catalog) asked(m *wire.Asked, now int64) (wire.Message, error) {
	who, err := c.prove(m, now)
	if err != nil {
		return nil, err
	}
	c.stamps.spend(useOfAsked(m))
	cmd, err := c.claim(who, m)
	if err != nil {
		return nil, err
	}
	return c.perform(cmd, who.node, now)
}

// perform applies a client's command whose evidence was checked, asked of a node.
func (c *Catalog) perform(cmd wire.Message, at holo.NodeID, now int64) (wire.Message, error) {
	switch m := cmd.(type) {
	case *wire.ArrayCreate:
		return c.arrayCreate(m, now)
	case *wire.ArraySealing:
		return c.arraySealing(m.Array, at)
	case *wire.ArrayDelete:
		return c.arrayDelete(m)
	case *wire.NodeDrain:
		return nil, c.nodeDrain(m)
	case *wire.Rebalance:
		return nil, nil // the keeper of who leads is told, and it keeps nothing here
	case *wire.KernelPut:
		return c.kernelPut(m)
	case *wire.JobPut:
		return c.jobPut(m, now)
	}
	return nil, unclaimed(cmd)
}

// Judge tells why a client's command would be refused for its evidence, and
// changes nothing: a leader asks before it fills the log.
func (c *Catalog) Judge(m *wire.Asked, now int64) error {
	who, err := c.prove(m, now)
	if err == nil {
		_, err = c.claim(who, m)
	}
	return err
}

// prove finds out who asked. The signature comes first: who forges learns
// nothing else.
func (c *Catalog) prove(m *wire.Asked, now int64) (asker, error) {
	who := asker{principal: m.Key, node: m.Node, now: now}
	switch {
	case !key.Verify(m.Key, requestProof(m), m.Sig[:]):
		return who, holo.Refuse(holo.Denied, ReasonRequestSig, "signed request: %s has not signed it", m.Key)
	case !api.SessionOf(m.Session[:], c.cluster, m.Node) || c.chain.find(m.Node) < 0:
		return who, holo.Refuse(holo.Denied, ReasonSession, "signed request: it was asked in no session of a member, not of %s", m.Node)
	}
	if err := c.stamps.check(useOfAsked(m), c.version); err != nil {
		return who, err
	}
	switch {
	case !api.Stamp(m.Stamp).Under(m.Token):
		return who, holo.Refuse(holo.Denied, ReasonToken, "signed request: it was not signed under this token")
	case m.Token == "":
		return who, nil
	}
	return c.byToken(who, m)
}

// byToken makes the asker the token's subject: the chain must be good at this
// time, of a token key that verifies, bound to the key that signed, and nothing
// of it revoked.
func (c *Catalog) byToken(who asker, m *wire.Asked) (asker, error) {
	keyOf := func(id holo.Thumbprint) (wire.TokenKeyRecord, bool) {
		r, ok := c.tokenKeys[id]
		return r, ok
	}
	mayIssue := func(registrant, subject holo.PrincipalID) bool {
		return MayIssueFor(c.chain.owner, registrant, subject)
	}
	links, covers, err := c.reader.Token(m.Token, c.cluster, who.now, keyOf, mayIssue)
	switch {
	case err != nil:
		return who, holo.Refuse(holo.Denied, ReasonToken, "signed request: its token is not accepted: %s", holo.ReasonOf(err))
	case len(links) == 0 || links[len(links)-1].Client != key.Thumbprint(m.Key):
		return who, holo.Refuse(holo.Denied, ReasonToken, "signed request: its token is not bound to the key %s", m.Key)
	case slices.ContainsFunc(links, c.tokenRevoked):
		return who, holo.Refuse(holo.Denied, ReasonToken, "signed request: its token was revoked, or its key or subject")
	}
	who.principal, who.covers = links[len(links)-1].Subject, covers
	return who, nil
}

// tokenRevoked reports whether a link of a token was revoked.
func (c *Catalog) tokenRevoked(l wire.TokenRecord) bool {
	var id [32]byte
	copy(id[:], l.ID[:])
	_, byID := c.revocations[revoked{wire.RevokeToken, id}]
	_, byClient := c.revocations[revoked{wire.RevokeClient, l.Client}]
	subject, found := c.revocations[revoked{wire.RevokeSubject, l.Subject}]
	return byID || byClient || found && l.Issued <= subject.Before
}
