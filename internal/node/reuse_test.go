package node

import (
	"bytes"
	"context"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/memory"
)

// onlyZeros reads an array into a buffer that held somebody's bytes, and wants
// zeros but where its owner wrote.
func onlyZeros(t *testing.T, n *Node, id holo.ArrayID, size, every int, written []byte) {
	t.Helper()
	const piece = 1 << 20
	got := make([]byte, piece)
	for at := 0; at < size; at += piece {
		copy(got, bytes.Repeat([]byte("another's"), piece/9+1))
		must(t, n.ReadRange(context.Background(), id, uint64(at), got))
		for page := 0; every > 0 && page < piece; page += every {
			if !bytes.Equal(got[page:page+len(written)], written) {
				t.Fatalf("at %d: what was written there is not", at+page)
			}
			clear(got[page : page+len(written)])
		}
		if i := bytes.IndexFunc(got, func(r rune) bool { return r != 0 }); i >= 0 {
			t.Fatalf("at %d a new array holds %x, which nobody wrote to it", at+i, got[i:min(i+16, piece)])
		}
	}
}

// TestMemoryAndDiskThatWereAnothersHoldZeros (row I2-4): an array of twice a node's
// memory is written and deleted, and another is made at once. It reads as zeros as
// it is made, and where its owner wrote a few bytes into each page, in all the rest,
// in memory and, since it does not fit there either, from the disk.
func TestMemoryAndDiskThatWereAnothersHoldZeros(t *testing.T) {
	t.Parallel()
	c := spillCluster(t, 1)
	n, ctx := c.nodes[0], context.Background()
	const size = 2 * memory.LeastSpillMemory
	secret := bytes.Repeat([]byte("secret!!"), size/8)
	for _, name := range []string{"first", "second"} {
		a := c.create(n, name, size)
		writeAll(t, n, holo.ArrayID(a.Id), secret)
		wantBytes(t, n, a.Id, 0, secret)
		_, err := c.deletes(ctx, n, holo.ArrayID(a.Id))
		must(t, err)

		b := c.create(n, name+"-of-another", size)
		id, mine := holo.ArrayID(b.Id), []byte("mine")
		onlyZeros(t, n, id, size, 0, nil)
		for at := 0; at < size; at += holo.PageSize {
			must(t, n.WriteRange(ctx, id, uint64(at), mine))
		}
		if u, _ := n.held(t); u.Away < memory.LeastSpillMemory/2 {
			t.Errorf("only %d bytes went to the disk", u.Away)
		}
		onlyZeros(t, n, id, size, holo.PageSize, mine)
		_, err = c.deletes(ctx, n, id)
		must(t, err)
	}
}
