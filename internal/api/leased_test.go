package api

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func TestLeasedPathHasOneSpelling(t *testing.T) {
	path, token := DataPath(3, 4, 5), holo.Token{Lease: 1 << 63, Epoch: 7, Number: 9}
	if got, back, err := CutLease(LeasedPath(path, token)); err != nil || got != path || back != token {
		t.Fatalf("%q, %+v, %v", got, back, err)
	}
	if got, back, err := CutLease(path); err != nil || got != path || back != (holo.Token{}) {
		t.Fatalf("without a lease: %q, %+v, %v", got, back, err)
	}
	for _, s := range []string{"", "1", "1.2", "0.1.2", "1.2.3.4", "01.2.3", "+1.2.3", "1.2.3 ", "1.2.x", "1.2.18446744073709551616", "1.2.3&lease=1.2.3"} {
		if _, _, err := CutLease(path + "&lease=" + s); holo.KindOf(err) != holo.Invalid {
			t.Errorf("lease=%s: %v, want it refused", s, err)
		}
	}
}
