package identity

import (
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func newClientInvite() Invite {
	i := testInvite("192.0.2.1:7600", "[2001:db8::1]:7600")
	i.Client = true
	return i
}

func TestClientInviteReadsBackAsWritten(t *testing.T) {
	i := newClientInvite()
	got, err := ParseInvite(" " + i.Text() + "\n")
	if err != nil || !same(got, i) || !got.Client || !IsClientInvite(i.Text()) {
		t.Errorf("%+v, %v", got, err)
	}
	i.Client = false
	if got, err := ParseInvite(i.Text()); err != nil || got.Client || IsClientInvite(i.Text()) {
		t.Errorf("a node's invite: %+v, %v", got, err)
	}
}

func TestDamagedClientInvitesAreRefused(t *testing.T) {
	text := newClientInvite().Text()
	for n := range len(text) {
		for _, bad := range []string{text[:n], text[:n] + "x" + text[n:], text[:n] + string(text[n]^1) + text[n+1:]} {
			if _, err := ParseInvite(bad); holo.ReasonOf(err) != "bad_invite" {
				t.Fatalf("%q: %v", bad, err)
			}
		}
	}
}

// Who changes how an invite begins has mistyped it.
func TestInviteIsNotReadAsOneOfTheOtherSort(t *testing.T) {
	i := newClientInvite()
	forClient := i.Text()
	i.Client = false
	for _, bad := range []string{
		invitePrefix + strings.TrimPrefix(forClient, clientPrefix), clientPrefix + strings.TrimPrefix(i.Text(), invitePrefix),
	} {
		if got, err := ParseInvite(bad); err == nil {
			t.Errorf("%s... is read, for a client: %v", bad[:14], got.Client)
		}
	}
}
