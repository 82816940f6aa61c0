package memory

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// The catalogue was asked, then something changed, then its answer came.
func TestRecordsOfBeforeAreNotRemembered(t *testing.T) {
	t.Parallel()
	for _, changed := range []holo.ArrayID{1, 2, 0} {
		r := newRecords()
		asked := r.ask(0)
		r.forget(changed)
		r.put(asked, &wire.ArrayRecord{ID: 1})
		if _, ok := r.get(0, 1); ok {
			t.Errorf("an answer of before array %d changed is remembered", changed)
		}
		r.put(r.ask(0), &wire.ArrayRecord{ID: 1})
		if _, ok := r.get(0, 1); !ok {
			t.Error("no answer is remembered")
		}
		if _, ok := r.get(holo.Time(recordLife), 1); ok {
			t.Error("an answer is remembered for longer than recordLife")
		}
	}
}
