package door

import (
	"errors"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/holo"
)

// Who asks for too much is told when to ask again, and nobody else is.
func TestWhoAsksForTooMuchIsToldWhenToAskAgain(t *testing.T) {
	for reason, want := range map[string]string{"too_many_jobs": "1", "rate_limited": "1", "not_granted": ""} {
		err := holo.Refuse(holo.Exhausted, reason, "no")
		made, ok := errors.AsType[*connect.Error](toConnect(err))
		if !ok || made.Meta().Get("Retry-After") != want {
			t.Errorf("%s: %v", reason, made.Meta())
		}
		w := httptest.NewRecorder()
		writeError(w, err)
		if got := w.Header().Get("Retry-After"); got != want {
			t.Errorf("%s: Retry-After %q, want %q", reason, got, want)
		}
	}
}
