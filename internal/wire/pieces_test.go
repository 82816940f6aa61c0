package wire

import (
	"bytes"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// Pages on their way to another node are sealed from where they lie: none is copied
// into a message before.
func TestPagesAreSentFromWhereTheyLie(t *testing.T) {
	page := bytes.Repeat([]byte{7}, holo.PageSize)
	snap, repl := &Snap{}, &Repl{}
	for i := range holo.PageIndex(8) {
		snap.Images = append(snap.Images, PageImage{Page: holo.PageID{Index: i}, Kind: PageData, Data: page})
		repl.Entries = append(repl.Entries, Entry{Applied: true, Mutation: Mutation{Kind: MutateTask, Changes: []Change{{Page: i, Kind: PageData, Data: page}}}})
	}
	mutate := &Mutate{Mutation: repl.Entries[0].Mutation}
	for m, pages := range map[Message]int{snap: 8, &Recon{Transfer: snap.Transfer}: 8, repl: 8, mutate: 1, &PageFrame{Count: 1, Kind: PageData, Data: page}: 1} {
		pieces := Pieces([]byte("in front"), m)
		if got, want := bytes.Join(pieces, nil), Append([]byte("in front"), m); !bytes.Equal(got, want) {
			t.Errorf("%T: pieces of %d bytes are not the message of %d", m, len(got), len(want))
		}
		there := 0
		for _, p := range pieces {
			if len(p) == holo.PageSize && &p[0] == &page[0] {
				there++
			}
		}
		if there != pages {
			t.Errorf("%T: %d of %d pages are sent from where they lie", m, there, pages)
		}
	}
}
