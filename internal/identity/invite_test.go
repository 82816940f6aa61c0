package identity

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

func testInvite(addresses ...string) Invite {
	i := NewInvite(holo.ClusterID{7}, holo.PrincipalID(key.GenerateSigner().Public()), time.Unix(1_800_000_000, 999))
	i.Addresses = addresses
	return i
}

func wantReason(t *testing.T, what string, err error, kind holo.Kind, reason string) {
	t.Helper()
	if err == nil || holo.KindOf(err) != kind || holo.ReasonOf(err) != reason {
		t.Errorf("%s: %v (kind %s, reason %q)", what, err, holo.KindOf(err), holo.ReasonOf(err))
	}
}

func same(a, b Invite) bool {
	return a.Cluster == b.Cluster && a.Owner == b.Owner && a.Expires.Equal(b.Expires) && a.Seed.Equal(b.Seed) &&
		strings.Join(a.Addresses, " ") == strings.Join(b.Addresses, " ")
}

func TestInviteComesBackFromText(t *testing.T) {
	long := strings.Repeat("h", maxAddress-5) + ":7117"
	for _, addresses := range [][]string{
		{"192.168.1.10:7117"}, {"[fe80::1]:1", "host.example:65535"}, {long, long, long, long, long, long, long, long},
	} {
		i := testInvite(addresses...)
		text := i.Text()
		if !strings.HasPrefix(text, "holo1-") || strings.ToLower(text) != text || strings.ContainsAny(text, " \n=") {
			t.Errorf("not one word to paste: %s", text)
		}
		for _, pasted := range []string{text, "  " + text + "\n"} {
			if got, err := ParseInvite(pasted); err != nil || !same(got, i) {
				t.Errorf("%v, %v", got, err)
			}
		}
	}
}

func TestBothEndsOfAnInviteDeriveTheSame(t *testing.T) {
	i := testInvite("a:1")
	got, err := ParseInvite(i.Text())
	if err != nil {
		t.Fatal(err)
	}
	if got.PSK().ID != i.PSK().ID || !got.PSK().Key.Equal(i.PSK().Key) || got.Signer().Public() != i.Signer().Public() {
		t.Error("the machine that joins has other keys")
	}
	other := i
	other.Cluster[0]++
	if other.PSK().ID == i.PSK().ID || other.Signer().Public() == i.Signer().Public() {
		t.Error("the keys do not depend on the cluster")
	}
	seed := i.Signer().Seed()
	if seed.Equal(i.PSK().Key) {
		t.Error("one key serves twice")
	}
}

// TestEveryTypingErrorIsNoticed in any of the characters.
func TestEveryTypingErrorIsNoticed(t *testing.T) {
	text := testInvite("a:1").Text()
	for n := range text {
		for _, c := range []string{"a", "7", "A", "1", "", "-"} {
			bad := text[:n] + c + text[n+1:]
			if bad == text {
				continue
			}
			_, err := ParseInvite(bad)
			wantReason(t, fmt.Sprint(n, c), err, holo.Invalid, "bad_invite")
		}
		if _, err := ParseInvite(text[:n]); err == nil {
			t.Errorf("cut after %d characters", n)
		}
	}
	for _, bad := range []string{"", "holo1-", "holo2-" + text[6:], text + "a", text + text, text + strings.Repeat("a", 1<<16)} {
		_, err := ParseInvite(bad)
		wantReason(t, "malformed", err, holo.Invalid, "bad_invite")
	}
}

// TestInviteHasOneSpelling: base32 decoders skip line breaks, and ignore bits
// of the last character that do not fill a byte.
func TestInviteHasOneSpelling(t *testing.T) {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	spellings := 0
	for _, address := range []string{"a:1", "aa:1", "aaa:1", "aaaa:1", "aaaaa:1"} { // every remainder of 5 bytes
		text := testInvite(address).Text()
		payload, err := inviteText.DecodeString(text[len(invitePrefix):])
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range letters {
			other := text[:len(text)-1] + string(c)
			if b, err := inviteText.DecodeString(other[len(invitePrefix):]); err != nil || string(b) != string(payload) || other == text {
				continue
			}
			spellings++
			if _, err := ParseInvite(other); err == nil {
				t.Errorf("%s is another spelling of %s", other, text)
			}
		}
		for _, cut := range []string{"\n", "\r\n", " "} {
			if _, err := ParseInvite(text[:40] + cut + text[40:]); err == nil {
				t.Errorf("%q in the middle is taken", cut)
			}
		}
	}
	if spellings == 0 {
		t.Error("control: no other spelling was found")
	}
}

// TestInviteThatMakesNoSenseIsRefused although its checksum is right.
func TestInviteThatMakesNoSenseIsRefused(t *testing.T) {
	for what, change := range map[string]func(i *Invite){
		"no address":       func(i *Invite) { i.Addresses = nil },
		"nine addresses":   func(i *Invite) { i.Addresses = strings.Fields(strings.Repeat("a:1 ", maxAddresses+1)) },
		"no port":          func(i *Invite) { i.Addresses = []string{"host"} },
		"no host":          func(i *Invite) { i.Addresses = []string{":7117"} },
		"port 0":           func(i *Invite) { i.Addresses = []string{"a:0"} },
		"port by name":     func(i *Invite) { i.Addresses = []string{"a:ssh"} },
		"long address":     func(i *Invite) { i.Addresses = []string{strings.Repeat("h", maxAddress) + ":1"} },
		"owner no key":     func(i *Invite) { i.Owner = holo.PrincipalID{1} },
		"never ends":       func(i *Invite) { i.Expires = time.Unix(1<<50, 0) },
		"before the epoch": func(i *Invite) { i.Expires = time.Unix(-1, 0) },
	} {
		i := testInvite("a:1")
		change(&i)
		_, err := ParseInvite(i.Text())
		wantReason(t, what, err, holo.Invalid, "bad_invite")
	}
}

func TestInviteDoesNotPrintItsSeed(t *testing.T) {
	i := testInvite("a:1")
	text := i.Text()
	out := fmt.Sprintf("%v %+v %#v %x", i, i, i, i.Seed)
	if strings.Contains(out, fmt.Sprintf("%x", i.Seed.Bytes())) || strings.Contains(out, text) || !strings.Contains(out, "[secret]") {
		t.Error(out)
	}
	_, err := ParseInvite(text[:len(text)-1])
	if err == nil || strings.Contains(err.Error(), text[20:40]) {
		t.Errorf("the error tells the invite: %v", err)
	}
}

func FuzzInvite(f *testing.F) {
	f.Add(testInvite("a:1").Text())
	f.Add(testInvite("192.168.1.10:7117", "[::1]:7117").Text())
	f.Add(newClientInvite().Text())
	f.Add("holo1-")
	f.Fuzz(func(t *testing.T, text string) {
		i, err := ParseInvite(text)
		if err != nil {
			if holo.ReasonOf(err) != "bad_invite" {
				t.Error(err)
			}
			return
		}
		if again := i.Text(); again != strings.TrimSpace(text) {
			t.Errorf("%q reads and prints as %q", text, again)
		}
	})
}

// FuzzInvitePayload goes past the checksum.
func FuzzInvitePayload(f *testing.F) {
	payload := func(i Invite) []byte {
		b, err := inviteText.DecodeString(strings.TrimPrefix(i.Text(), invitePrefix))
		if err != nil {
			f.Fatal(err)
		}
		return b[:len(b)-inviteCheck]
	}
	f.Add(payload(testInvite("a:1")))
	f.Add(payload(testInvite("a:1", "[::1]:7117")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < inviteFixed || len(b) > maxInvite {
			return
		}
		i, err := decodeInvite(b)
		if err != nil {
			return
		}
		again, err := ParseInvite(i.Text())
		if err != nil || !same(again, i) {
			t.Errorf("%x reads as %v and then as %v, %v", b, i, again, err)
		}
	})
}
