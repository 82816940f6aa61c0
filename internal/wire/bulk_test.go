package wire

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// Pages on their way to another node are copied once into a message. A buffer that
// grows under them is made anew some ten times.
func TestPagesAreEncodedIntoABufferMadeOnce(t *testing.T) {
	page := make([]byte, holo.PageSize)
	snap, repl := &Snap{}, &Repl{}
	for i := range holo.PageIndex(8) {
		snap.Images = append(snap.Images, PageImage{Page: holo.PageID{Index: i}, Kind: PageData, Data: page})
		repl.Entries = append(repl.Entries, Entry{Applied: true, Mutation: Mutation{Kind: MutateTask, Changes: []Change{{Page: i, Kind: PageData, Data: page}}}})
	}
	mutate := &Mutate{Mutation: repl.Entries[0].Mutation}
	for _, m := range []Message{snap, &Recon{Transfer: snap.Transfer}, repl, mutate} {
		var encoded []byte
		made := testing.AllocsPerRun(50, func() { encoded = Encode(m) })
		if made > 4 { // the buffer, the encoder, and what the runtime does meanwhile
			t.Errorf("%T: %.0f allocations to encode %d bytes, at most 4", m, made, len(encoded))
		}
		if room := m.(bulky).bulk(); room < len(encoded) || room > len(encoded)+len(encoded)/64 {
			t.Errorf("%T: room for %d bytes, of which it takes %d", m, room, len(encoded))
		}
	}
}
