package protocol

import (
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func offer(oldest, newest, cluster Version) Offer { return Offer{Range{oldest, newest}, cluster} }

// TestNeighboursAgreeOnTheHighestVersionOfBoth, and who is two versions away is
// refused, with what to do: from both sides alike.
func TestNeighboursAgreeOnTheHighestVersionOfBoth(t *testing.T) {
	for _, c := range []struct {
		mine, peer Offer
		want       Version // 0: refused
		here       string  // in the text of the first
		there      string  // and of the second
	}{
		{offer(1, 2, 0), offer(1, 2, 0), 2, "", ""},
		{offer(1, 2, 0), offer(1, 1, 0), 1, "", ""},
		{offer(1, 2, 1), offer(2, 3, 0), 0, "bring every member to version 2 first", "bring every member to version 2 first"},
		{offer(1, 2, 2), offer(2, 3, 0), 2, "", ""},
		{offer(1, 2, 2), offer(2, 3, 2), 2, "", ""},
		{offer(1, 2, 1), offer(1, 2, 2), 2, "", ""}, // one has not heard of the rise yet
		{offer(1, 2, 0), offer(3, 4, 0), 0, "peer speaks version 3 to 4 of the protocol, this program 1 to 2: upgrade the program of this machine", "upgrade the program of the peer"},
		{offer(1, 2, 2), offer(1, 1, 0), 0, "at version 2 of the protocol, the peer speaks 1: upgrade the program of the peer", "upgrade the program of this machine"},
		{offer(1, 1, 1), offer(2, 2, 2), 0, "upgrade the program of this machine", "upgrade the program of the peer"},
	} {
		got, err := c.mine.Agree(c.peer)
		back, backErr := c.peer.Agree(c.mine)
		if got != c.want || back != c.want || (err != nil) != (c.want == 0) || (backErr != nil) != (c.want == 0) {
			t.Errorf("%v and %v: %d, %v, and back %d, %v; want %d", c.mine, c.peer, got, err, back, backErr, c.want)
			continue
		}
		if err != nil && (holo.ReasonOf(err) != ReasonSkew || !strings.Contains(err.Error(), c.here) || !strings.Contains(backErr.Error(), c.there)) {
			t.Errorf("%v and %v: %v, and back %v", c.mine, c.peer, err, backErr)
		}
	}
}

// TestOffersThatNobodyMeansAreNone: a range is not empty, and holds the version
// of the cluster.
func TestOffersThatNobodyMeansAreNone(t *testing.T) {
	for o, want := range map[Offer]bool{
		offer(1, 2, 0): true, offer(1, 2, 1): true, offer(2, 2, 2): true,
		offer(0, 2, 0): false, offer(2, 1, 0): false, offer(1, 2, 3): false, offer(2, 3, 1): false, {}: false,
	} {
		if o.Valid() != want {
			t.Errorf("%v: valid %v, want %v", o, o.Valid(), want)
		}
	}
}

// TestThisProgramSpeaksTheVersionBeforeItsOwn and no more: what is promised to
// those who upgrade.
func TestThisProgramSpeaksTheVersionBeforeItsOwn(t *testing.T) {
	if s := Spoken(); !s.Valid() || s.Newest-s.Oldest != 1 {
		t.Errorf("this program speaks %v", s)
	}
}
