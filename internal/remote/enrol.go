package remote

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// enrolWithin bounds the enrolment at one node, which has the catalogue decide.
const enrolWithin = 20 * time.Second

// Enrol makes the client's key known to the cluster that an invite is for, pins
// the cluster in the folder by the invite's word, and makes it the one that is
// meant there when none is named. An attempt that broke off may be repeated with
// the same key.
func Enrol(ctx context.Context, config string, signer key.Signer, invite identity.Invite) (identity.Pin, error) {
	if !invite.Client {
		return identity.Pin{}, holo.Refuse(holo.Invalid, catalog.ReasonInviteKind, "enrol: this invite is for a node, not for a client: holo join INVITE")
	}
	invite.Addresses = elsewhere(invite.Addresses)
	pin := identity.Pin{Cluster: invite.Cluster, Owner: invite.Owner, Addresses: invite.Addresses}
	path := filepath.Join(config, identity.KnownFile)
	known, err := identity.ReadKnown(path)
	if err == nil {
		pin, err = pinFor(known, pin)
	}
	if err != nil {
		return identity.Pin{}, err
	}
	d, err := newDialler(signer)
	if err != nil {
		return identity.Pin{}, err
	}
	defer d.socket.Close()
	p := &proven{}
	if pin.Addresses, err = d.enrol(ctx, pin, invite, p); err != nil {
		return identity.Pin{}, err
	}
	pin = pin.Follow(p.owners)
	return pin, identity.ChangeKnown(path, func(k *identity.Known) error {
		k.Default = pin.Cluster
		return errors.Join(k.Follow(pin.Cluster, p.owners), k.Put(pin))
	})
}

// pinFor is the pin to verify the cluster of an invite by: the one that is known
// where there is one, even if the invite names a later owner. That one then has to
// vouch for it.
func pinFor(known *identity.Known, invited identity.Pin) (identity.Pin, error) {
	if pin, ok := known.Find(invited.Cluster); ok {
		pin.Addresses = invited.Addresses
		return pin, nil
	}
	return invited, known.Check(invited)
}

// enrol asks at the invite's addresses in turn, until one enrols or refuses, and
// gives the addresses to keep, the one that did first.
func (d *dialler) enrol(ctx context.Context, pin identity.Pin, invite identity.Invite, p *proven) ([]string, error) {
	var last error
	for _, address := range invite.Addresses {
		others, err := d.enrolAt(ctx, pin, invite, address, p)
		if err == nil {
			all := merge(merge([]string{address}, others), invite.Addresses)
			if !loopback(address) {
				all = elsewhere(all)
			}
			return all, nil
		}
		last = err
		if decided := holo.KindOf(err) == holo.Denied || holo.KindOf(err) == holo.Exists; ctx.Err() != nil || decided && holo.ReasonOf(err) != transport.ReasonRefused {
			break
		}
	}
	reason := holo.ReasonOf(last)
	if reason == transport.ReasonRefused { // before the handshake is done a node says no more
		reason = ReasonInviteRefused
	}
	return nil, holo.Refuse(holo.KindOf(last), reason, "enrol: %w", last)
}

func (d *dialler) enrolAt(ctx context.Context, pin identity.Pin, invite identity.Invite, address string, p *proven) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, enrolWithin)
	defer cancel()
	local, err := d.local(pin, address, p)
	if err != nil {
		return nil, err
	}
	local.Admit = also(local.Admit, pin, invite, p)
	local.Kind, local.PSK = handshake.KindJoin, invite.PSK()
	var s *transport.Session
	err = patiently(ctx, func() error {
		s, err = d.socket.Dial(ctx, address, local, transport.Control, holo.NodeID{})
		return err
	})
	if err != nil {
		return nil, err
	}
	defer s.Close("enrolled")
	answer, err := ask(ctx, s, enrolRequest(pin, invite, d.signer, s.Hash()))
	if err != nil {
		return nil, err
	}
	switch m := answer.(type) {
	case *wire.Failure:
		return nil, m.Err()
	case *wire.EnrolAnswer:
		return m.Addresses, nil
	}
	return nil, holo.Errorf(holo.Corrupt, "node %s answers with message %#04x", s.Peer(), uint16(answer.Type()))
}

// also wants the owner that the invite names to be one of the cluster's, besides
// the one that is pinned.
func also(admit func(handshake.Kind, holo.NodeID, string, []byte) error, pin identity.Pin, invite identity.Invite, p *proven) func(handshake.Kind, holo.NodeID, string, []byte) error {
	return func(kind handshake.Kind, peer holo.NodeID, name string, proof []byte) error {
		if err := admit(kind, peer, name, proof); err != nil {
			return err
		}
		if !slices.Contains(p.owners, invite.Owner) && !pin.Succeeds(invite.Owner) {
			return identity.Mismatch("enrol", pin, identity.Pin{Cluster: invite.Cluster, Owner: invite.Owner})
		}
		return nil
	}
}

func enrolRequest(pin identity.Pin, invite identity.Invite, client key.Signer, hash [32]byte) *wire.EnrolRequest {
	signer := invite.Signer()
	r := &wire.EnrolRequest{Label: Label(), InviteKey: signer.Public()}
	copy(r.Signature[:], signer.Sign(wire.EnrolProof(pin.Cluster, holo.PrincipalID(client.Public()), hash)))
	return r
}

// ask sends one message over a session and reads the one answer.
func ask(ctx context.Context, s *transport.Session, m wire.Message) (wire.Message, error) {
	st, err := s.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	defer context.AfterFunc(ctx, st.Reset)()
	if err := st.WriteMessage(m); err != nil {
		return nil, err
	}
	return st.ReadMessage()
}
