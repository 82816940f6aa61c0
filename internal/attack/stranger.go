package attack

import (
	"context"
	"fmt"
	"time"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	// answerDeadline is how long an attacker who seems to be let in waits for
	// an answer.
	answerDeadline = 5 * time.Second
	// countDeadline is how long the target has to count the refusal, and
	// countEvery how often it is asked.
	countDeadline = 5 * time.Second
	countEvery    = 50 * time.Millisecond
)

// stranger is a machine with a node key of its own that wants a session.
type stranger struct {
	signer  key.Signer
	kind    handshake.Kind
	psk     handshake.PSK
	request func(hash [32]byte) wire.Message // what it asks once it is in
	because []string                         // the counters by which a refusal is known
}

// UnknownNode comes with the cluster's own key, stolen, and a node key that
// nobody admitted. It must be refused as an unknown node.
func UnknownNode(ctx context.Context, t Target, clusterKey key.Secret) (Outcome, error) {
	if clusterKey.Len() != key.Size {
		return Outcome{}, holo.Errorf(holo.Invalid, "attack as unknown node: a cluster key of %d bytes, want %d", clusterKey.Len(), key.Size)
	}
	s := asNode(key.GenerateSigner(), handshake.ClusterPSK(clusterKey, t.Cluster))
	s.because = []string{handshake.ReasonUnknownNode}
	return s.carry(ctx, t)
}

// WrongClusterKey comes with a cluster key and a node key that it drew itself.
func WrongClusterKey(ctx context.Context, t Target) (Outcome, error) {
	s := asNode(key.GenerateSigner(), handshake.ClusterPSK(key.Random(), t.Cluster))
	s.because = []string{handshake.ReasonUnknownPSK, handshake.ReasonBadHandshake}
	return s.carry(ctx, t)
}

// ForgedInvite asks to be admitted by an invite that nobody made.
func ForgedInvite(ctx context.Context, t Target) (Outcome, error) {
	invite := identity.NewInvite(t.Cluster, holo.PrincipalID{}, time.Now().Add(time.Hour))
	s := withInvite(key.GenerateSigner(), invite)
	s.because = []string{handshake.ReasonUnknownPSK, handshake.ReasonBadHandshake}
	return s.carry(ctx, t)
}

// asNode asks the catalogue who the nodes are, as any member may.
func asNode(signer key.Signer, psk handshake.PSK) *stranger {
	query := wire.Encode(&wire.CatalogQuery{What: wire.QueryNodes})
	return &stranger{signer: signer, kind: handshake.KindNode, psk: psk, request: func([32]byte) wire.Message {
		return &wire.ControlRequest{Body: query}
	}}
}

// withInvite asks to be admitted, as a joining node does.
func withInvite(signer key.Signer, invite identity.Invite) *stranger {
	return &stranger{signer: signer, kind: handshake.KindJoin, psk: invite.PSK(), request: func(hash [32]byte) wire.Message {
		by := invite.Signer()
		r := &wire.JoinRequest{Name: "stranger", Capacity: 1 << 30, InviteKey: by.Public()}
		copy(r.Signature[:], by.Sign(wire.AdmitProof(invite.Cluster, signer.Public(), hash)))
		return r
	}}
}

// carry carries the attack out and looks what the target made of it.
func (s *stranger) carry(ctx context.Context, t Target) (Outcome, error) {
	before, err := t.Refusals(ctx)
	if err != nil {
		return Outcome{}, err
	}
	answer, failed := s.knock(ctx, t)
	if err := ctx.Err(); err != nil {
		return Outcome{}, holo.Errorf(holo.Cancelled, "attack %s: %w", t.Address, err)
	}
	if holo.KindOf(failed) == holo.Invalid && failed != nil {
		return Outcome{}, failed // the attack itself is made wrongly
	}
	if answer != nil {
		return Outcome{Detail: fmt.Sprintf("it was let in as %s, and answered with message %#04x", s.kind, uint16(answer.Type()))}, nil
	}
	reason, err := s.counted(ctx, t, before)
	if err != nil {
		return Outcome{}, err
	}
	if reason == "" {
		return Outcome{Detail: fmt.Sprintf("no answer (%v), but the node counted no refusal of it", failed)}, nil
	}
	return Outcome{Refused: true, Reason: reason, Detail: fmt.Sprintf("refused as %s; the attacker saw: %v", reason, failed)}, nil
}

// knock tries for a session and, with one, for an answer. A session without an
// answer, or with a Failure for one, is an error that says so.
func (s *stranger) knock(ctx context.Context, t Target) (wire.Message, error) {
	link, err := transport.Listen(transport.Config{Listen: anyLoopback, Local: func() handshake.Local { return handshake.Local{} }, Logger: quiet})
	if err != nil {
		return nil, err
	}
	defer link.Close()
	static, err := handshake.NewStatic(s.signer, t.Cluster, "stranger", time.Now().Unix())
	if err != nil {
		return nil, err
	}
	local := handshake.Local{Kind: s.kind, Static: static, PSK: s.psk, Admit: anybody}
	session, err := link.Dial(ctx, t.Address, local, transport.Control, t.Node)
	if err != nil {
		return nil, err
	}
	defer session.Close("attacked")
	return s.ask(ctx, session)
}

// anybody is admitted by an attacker.
func anybody(handshake.Kind, holo.NodeID, string, []byte) error { return nil }

func (s *stranger) ask(ctx context.Context, session *transport.Session) (wire.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, answerDeadline)
	defer cancel()
	stream, err := session.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, stream.Reset)()
	if err := stream.WriteMessage(s.request(session.Hash())); err != nil {
		return nil, err
	}
	answer, err := stream.ReadMessage()
	if err != nil {
		return nil, holo.Errorf(holo.Unavailable, "a session, but no answer in it: %w", err)
	}
	if f, refused := answer.(*wire.Failure); refused {
		return nil, holo.Errorf(holo.Denied, "a session, but refused in it: %w", f.Err())
	}
	return answer, nil
}

// counted waits until the target has counted the refusal, which it does on its
// own time.
func (s *stranger) counted(ctx context.Context, t Target, before map[string]uint64) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, countDeadline)
	defer cancel()
	again := time.NewTicker(countEvery)
	defer again.Stop()
	for {
		now, err := t.Refusals(ctx)
		for _, reason := range s.because {
			if err == nil && now[reason] > before[reason] {
				return reason, nil
			}
		}
		if err != nil && ctx.Err() == nil {
			return "", err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return "", nil
		}
	}
}
