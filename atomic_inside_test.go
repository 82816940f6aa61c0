package holocompute

import (
	"context"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// An attempt that may have taken effect stays a doubt, whatever later ones say,
// until one says what came of it.
func TestRefusalAfterADoubtStaysADoubt(t *testing.T) {
	doubt, refused, denied := holo.Errorf(Indeterminate, "perhaps"), holo.Errorf(Unavailable, "not now"), holo.Errorf(Denied, "no")
	for _, k := range []struct {
		what  string
		tries []error
		want  Kind
	}{
		{"a doubt, then done", []error{doubt, refused, nil}, 0},
		{"a doubt, then denied", []error{doubt, denied}, Indeterminate},
		{"refused", []error{refused}, Unavailable},
		{"denied", []error{denied}, Denied},
	} {
		i := 0
		_, err := untilKnown(context.Background(), func() (int, error) {
			i++
			return 0, k.tries[i-1]
		})
		if i != len(k.tries) || k.want == 0 && err != nil || k.want != 0 && KindOf(err) != k.want {
			t.Errorf("%s: %v after %d attempts", k.what, err, i)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	_, err := untilKnown(ctx, func() (int, error) {
		stop()
		return 0, doubt
	})
	if KindOf(err) != Indeterminate {
		t.Errorf("given up in doubt: %v", err)
	}
}
