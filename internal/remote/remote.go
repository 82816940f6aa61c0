// Package remote connects a client on a machine that is no node: it finds a
// cluster, proves it to be the one that the client has pinned, and carries the
// client's connections inside links to its nodes.
//
// A client has no secret of the cluster. It knows a pin, which is the cluster's
// ID and its owner's key, and says who it is only to a node that shows a record
// by which that owner let it in. The first contact has nothing to compare with:
// then somebody decides by the fingerprint, or an invite says it.
//
// What the client cannot see is whether a node that was let in was put out
// again since: the record does not show it.
//
// Package identity keeps the pins; what is said inside a connection is the
// SDK's business.
package remote

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/transport"
)

// Reasons of refusals, beside identity.ReasonPinMismatch.
const (
	ReasonUnknownCluster = "unknown_cluster" // a first contact that nobody decided about
	ReasonUnreachable    = "unreachable"     // no node answers at any address
	ReasonInviteRefused  = "invite_refused"  // no node knows the invite: it expired, or is another cluster's
	ReasonFormerOwner    = "former_owner"    // a node shows what only an owner before the one pinned has signed
)

// anywhere is the address that a client dials from.
const anywhere = ":0"

var quiet = slog.New(slog.DiscardHandler)

// dialler is what it takes to make one link: who we are, and the socket.
type dialler struct {
	signer key.Signer
	socket *transport.Transport
}

func newDialler(signer key.Signer) (*dialler, error) {
	socket, err := transport.Outgoing(transport.Config{Listen: anywhere, Logger: quiet})
	if err != nil {
		return nil, err
	}
	return &dialler{signer: signer, socket: socket}, nil
}

// proven is what a node has proven: the owners that the cluster had, the one of
// now last.
type proven struct{ owners []holo.PrincipalID }

// local is this side of a handshake with a pinned cluster. The node that
// answers is verified before it is told who we are.
func (d *dialler) local(pin identity.Pin, where string, p *proven) (handshake.Local, error) {
	static, err := handshake.NewStatic(d.signer, pin.Cluster, Label(), time.Now().Unix())
	return handshake.Local{
		Kind: handshake.KindClient, Static: static,
		Admit: func(_ handshake.Kind, peer holo.NodeID, _ string, proof []byte) error {
			owners, err := catalog.VerifyProof(pin.Cluster, pin.Owner, peer, proof)
			if err != nil {
				return unproven(pin, where, peer, proof, err)
			}
			p.owners = owners
			return nil
		},
	}, err
}

// unproven is the error of a node that the owner who is pinned has not let in. One
// that an owner before it has is behind, or somebody has that key: it is not told
// anything either, but another node may do. A successor whom the one pinned does
// not know is an alarm: an owner has one.
func unproven(pin identity.Pin, where string, peer holo.NodeID, proof []byte, err error) error {
	for _, former := range pin.Former {
		owners, once := catalog.VerifyProof(pin.Cluster, former, peer, proof)
		if once == nil && pin.Succeeds(owners[len(owners)-1]) {
			return holo.Refuse(holo.Unavailable, ReasonFormerOwner,
				"at %s: node %s shows only what an owner key has signed that was replaced: it does not know that yet, or the key was stolen; nothing was told to it: try again, or at another node", where, peer)
		}
	}
	return holo.Refuse(holo.Denied, identity.ReasonPinMismatch,
		"ALARM at %s: node %s was not let in by the owner that is pinned (fingerprint %s); nothing was told to it and the pin stays: %w",
		where, peer, pin.Fingerprint(), err)
}

// link makes a session with the node at an address, of the pinned cluster and
// no other.
func (d *dialler) link(ctx context.Context, pin identity.Pin, address string, p *proven) (*transport.Session, error) {
	local, err := d.local(pin, address, p)
	if err != nil {
		return nil, err
	}
	var s *transport.Session
	err = patiently(ctx, func() error {
		s, err = d.socket.Dial(ctx, address, local, transport.Data, holo.NodeID{})
		return err
	})
	if holo.ReasonOf(err) == ReasonFormerOwner { // a handshake only knows refusals for good
		return nil, holo.Refuse(holo.Unavailable, ReasonFormerOwner, "%w", err)
	}
	if err != nil {
		return nil, d.explain(ctx, pin, address, err)
	}
	return s, nil
}

// firstPause is how long patiently waits at first, then twice as long.
const firstPause = 200 * time.Millisecond

// patiently tries up to five times what a node turns away at once: it lets only
// so many connections of one network in at a time, and a script that runs one
// command after another reaches that.
func patiently(ctx context.Context, f func() error) error {
	for pause := firstPause; ; pause *= 2 {
		err := f()
		if holo.ReasonOf(err) != transport.ReasonBroken || pause > 8*firstPause {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// ask learns which cluster answers at an address.
func (d *dialler) ask(ctx context.Context, address string) (i handshake.Introduction, err error) {
	err = patiently(ctx, func() error {
		i, err = d.socket.Ask(ctx, address)
		return err
	})
	return i, err
}

// explain finds out why a node refused: because it is another cluster's, which
// is an alarm, or for a reason of its own. A node tells no stranger why.
func (d *dialler) explain(ctx context.Context, pin identity.Pin, address string, err error) error {
	if holo.ReasonOf(err) != transport.ReasonRefused {
		return err
	}
	i, asked := d.ask(ctx, address)
	switch found := (identity.Pin{Cluster: i.Cluster, Owner: i.Owner}); {
	case asked != nil:
		return silent(asked)
	case found.Cluster != pin.Cluster: // another owner of the same one proves itself, or does not
		return identity.Mismatch(address, pin, found)
	}
	return err
}

// silent is the error of a node that does not say which cluster it is of.
func silent(err error) error {
	if holo.ReasonOf(err) != transport.ReasonRefused {
		return err
	}
	return holo.Refuse(holo.Denied, transport.ReasonRefused, "%w: it lets no clients in", err)
}

// Label is what this machine calls itself: its name, with what a name may not
// hold left out.
func Label() string {
	host, _ := os.Hostname()
	clean := make([]byte, 0, handshake.MaxName)
	for i := range len(host) {
		b := host[i]
		plain := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
		if len(clean) < handshake.MaxName && (plain || len(clean) > 0 && (b == '-' || b == '.' || b == '_')) {
			clean = append(clean, b)
		}
	}
	if len(clean) == 0 {
		return "client"
	}
	return string(clean)
}
