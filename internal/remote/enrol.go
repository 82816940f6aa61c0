package remote

import (
	"context"
	"path/filepath"
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
		err = known.Check(pin)
	}
	if err != nil {
		return identity.Pin{}, err
	}
	d, err := newDialler(signer)
	if err != nil {
		return identity.Pin{}, err
	}
	defer d.socket.Close()
	if pin.Addresses, err = d.enrol(ctx, pin, invite); err != nil {
		return identity.Pin{}, err
	}
	return pin, identity.ChangeKnown(path, func(k *identity.Known) error {
		k.Default = pin.Cluster
		return k.Put(pin)
	})
}

// enrol asks at the invite's addresses in turn, until one enrols or refuses, and
// gives the addresses to keep, the one that did first.
func (d *dialler) enrol(ctx context.Context, pin identity.Pin, invite identity.Invite) ([]string, error) {
	var last error
	for _, address := range invite.Addresses {
		others, err := d.enrolAt(ctx, pin, invite, address)
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

func (d *dialler) enrolAt(ctx context.Context, pin identity.Pin, invite identity.Invite, address string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, enrolWithin)
	defer cancel()
	local, err := d.local(pin, address)
	if err != nil {
		return nil, err
	}
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
