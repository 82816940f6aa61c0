package node

import (
	"context"
	"encoding/hex"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// ListTokens tells what the catalogue holds about tokens.
func (n *Node) ListTokens(ctx context.Context, _ door.Caller) (*holov1.ListTokensResponse, error) {
	found, err := n.query(ctx, wire.CatalogQuery{What: wire.QueryTokens})
	if err != nil {
		return nil, err
	}
	out := &holov1.ListTokensResponse{}
	for _, msg := range found {
		switch m := msg.(type) {
		case *wire.TokenFeed:
			out.AccessEpoch = m.Epoch
			for i := range m.Keys {
				out.Keys = append(out.Keys, tokenKeyOut(&m.Keys[i]))
			}
			for i := range m.Revocations {
				out.Revocations = append(out.Revocations, revocationOut(&m.Revocations[i]))
			}
		case *wire.TokenRecord:
			out.Tokens = append(out.Tokens, &holov1.Token{
				Id: m.ID.Hex(), Key: m.Key.Hex(), Subject: m.Subject.Hex(), Client: m.Client.Hex(), IssuedUnix: m.Issued, ExpiresUnix: m.Expires,
			})
		}
	}
	return out, nil
}

func tokenKeyOut(r *wire.TokenKeyRecord) *holov1.TokenKey {
	return &holov1.TokenKey{
		Id: key.Thumbprint(r.Key).Hex(), PublicKey: r.Key[:], Registrant: r.Registrant.Hex(), State: r.State.String(),
		RegisteredUnix: r.Registered, RetiredUnix: r.Retired,
	}
}

func revocationOut(r *wire.Revocation) *holov1.Revocation {
	name := r.Name[:]
	if r.Kind == wire.RevokeToken {
		name = r.Name[:len(holo.TokenID{})]
	}
	return &holov1.Revocation{Kind: r.Kind.String(), Name: hex.EncodeToString(name), BeforeUnix: r.Before, ExpiresUnix: r.Expires}
}

// ChangeTokenKey puts a token key into a state, by the authority that the
// request carries the signature of.
func (n *Node) ChangeTokenKey(ctx context.Context, _ door.Caller, m *holov1.ChangeTokenKeyRequest) (*holov1.TokenKey, error) {
	to, ok := wire.ParseTokenKeyState(m.GetState())
	if !ok {
		return nil, holo.Errorf(holo.Invalid, "change token key: state %q, want prepared, active, verify_only or revoked", m.GetState())
	}
	cmd := &wire.TokenKeyChange{
		To: to, Key: [32]byte(m.GetPublicKey()), Authority: holo.PrincipalID(m.GetAuthority()), Epoch: m.GetEpoch(), Sig: [64]byte(m.GetSignature()),
	}
	if to == wire.TokenKeyPrepared {
		cmd.Registrant, cmd.KeySig = holo.PrincipalID(m.GetRegistrant()), [64]byte(m.GetKeySignature())
	}
	r, err := proposeFor[*wire.TokenKeyRecord](ctx, n, cmd)
	if err != nil {
		return nil, n.refusals.addErr(err)
	}
	return tokenKeyOut(r), nil
}

// RecordToken lists a token by the word of its token key.
func (n *Node) RecordToken(ctx context.Context, _ door.Caller, m *holov1.RecordTokenRequest) error {
	_, err := n.propose(ctx, &wire.TokenIssued{
		Token: wire.TokenRecord{
			ID: holo.TokenID(m.GetId()), Key: holo.Thumbprint(m.GetKey()), Subject: holo.PrincipalID(m.GetSubject()),
			Client: holo.Thumbprint(m.GetClient()), Issued: m.GetIssuedUnix(), Expires: m.GetExpiresUnix(),
		},
		Sig: [64]byte(m.GetSignature()),
	})
	return n.refusals.addErr(err)
}

// RevokeTokens revokes, by the authority that the request carries the signature
// of.
func (n *Node) RevokeTokens(ctx context.Context, _ door.Caller, m *holov1.RevokeTokensRequest) (*holov1.Revocation, error) {
	kind, ok := wire.ParseRevokeKind(m.GetKind())
	if !ok {
		return nil, holo.Errorf(holo.Invalid, "revoke token: kind %q, want token, key or subject", m.GetKind())
	}
	r, err := proposeFor[*wire.Revocation](ctx, n, &wire.TokenRevoke{
		Kind: kind, Name: [32]byte(m.GetName()), Authority: holo.PrincipalID(m.GetAuthority()), Epoch: m.GetEpoch(), Sig: [64]byte(m.GetSignature()),
	})
	if err != nil {
		return nil, n.refusals.addErr(err)
	}
	return revocationOut(r), nil
}
