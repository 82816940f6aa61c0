package door

import (
	"context"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
)

func (s tokenService) List(ctx context.Context, _ *connect.Request[holov1.ListTokensRequest]) (*connect.Response[holov1.ListTokensResponse], error) {
	return reply(s.b.ListTokens(ctx, callerOf(ctx)))
}

func (s tokenService) ChangeKey(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.TokenKey], error) {
	return reply(s.b.ChangeTokenKey(ctx, callerOf(ctx), messageOf[*holov1.ChangeTokenKeyRequest](ctx)))
}

func (s tokenService) Record(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.RecordTokenResponse], error) {
	return reply(&holov1.RecordTokenResponse{}, s.b.RecordToken(ctx, callerOf(ctx), messageOf[*holov1.RecordTokenRequest](ctx)))
}

func (s tokenService) Revoke(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.Revocation], error) {
	return reply(s.b.RevokeTokens(ctx, callerOf(ctx), messageOf[*holov1.RevokeTokensRequest](ctx)))
}

// sized refuses byte strings of another length than they must have.
func sized(what string, length int, all ...[]byte) error {
	for _, b := range all {
		if len(b) != length {
			return holo.Errorf(holo.Invalid, "%s: a key, name or signature of %d bytes, want %d", what, len(b), length)
		}
	}
	return nil
}

func checkTokenKey(m *holov1.ChangeTokenKeyRequest) error {
	const what = "change token key"
	prepared := error(nil)
	if m.GetState() == "prepared" {
		prepared = firstOf(sized(what, 32, m.GetRegistrant()), sized(what, 64, m.GetKeySignature()))
	}
	return firstOf(sized(what, 32, m.GetPublicKey(), m.GetAuthority()), sized(what, 64, m.GetSignature()), prepared)
}

func checkRecordToken(m *holov1.RecordTokenRequest) error {
	const what = "list token"
	if m.GetIssuedUnix() < 0 || m.GetExpiresUnix() < 0 {
		return holo.Errorf(holo.Invalid, "%s: its times are none", what)
	}
	return firstOf(sized(what, 16, m.GetId()), sized(what, 32, m.GetKey(), m.GetSubject(), m.GetClient()), sized(what, 64, m.GetSignature()))
}

func checkRevokeTokens(m *holov1.RevokeTokensRequest) error {
	const what = "revoke token"
	return firstOf(sized(what, 32, m.GetName(), m.GetAuthority()), sized(what, 64, m.GetSignature()))
}
