package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
)

func (n *Node) resident(t *testing.T) uint64 {
	t.Helper()
	u, err := n.memory.Usage(context.Background())
	must(t, err)
	return u.Resident
}

func TestDeletedArrayFreesItsMemoryEverywhere(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	a := c.create(c.nodes[0], "short-lived", 8<<20)
	must(t, c.nodes[0].WriteRange(ctx, holo.ArrayID(a.Id), 0, noise(6, 8<<20)))
	await(t, "two copies of 8 MiB are resident", func() bool {
		var sum uint64
		for _, n := range c.nodes {
			sum += n.resident(t)
		}
		return sum == 16<<20
	})
	freed, err := c.deletes(ctx, c.nodes[1], holo.ArrayID(a.Id))
	must(t, err)
	if freed != 16<<20 {
		t.Errorf("%d bytes freed, want %d", freed, 16<<20)
	}
	await(t, "no page is resident", func() bool {
		var sum uint64
		for _, n := range c.nodes {
			sum += n.resident(t)
		}
		return sum == 0
	})
	if _, err := c.nodes[2].GetArray(ctx, door.Caller{}, "short-lived"); holo.KindOf(err) != holo.NotFound {
		t.Errorf("the deleted array's name gives %v", err)
	}
	err = c.nodes[0].ReadRange(ctx, holo.ArrayID(a.Id), 0, make([]byte, 8))
	if holo.KindOf(err) != holo.NotFound {
		t.Errorf("reading a deleted array gives %v", err)
	}
}

func TestFillWriteAndReadMeetAtAnyOffset(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n, ctx := c.nodes[0], context.Background()
	const elements = 300_000 // three extents, the last page partly used
	a, err := c.makes(ctx, n, &holov1.CreateArrayRequest{Name: "mixed", Type: "i64", Length: elements, ExtentElements: 16 * 8192})
	must(t, err)
	id, model := holo.ArrayID(a.Id), make([]byte, elements*8)
	wantBytes(t, n, a.Id, 0, model)

	value := binary.LittleEndian.AppendUint64(nil, 0x0102030405060708)
	must(t, n.FillRange(ctx, id, 1000, 250_000, value))
	for i := 1000; i < 251_000; i++ {
		copy(model[i*8:], value)
	}
	wantBytes(t, n, a.Id, 0, model)

	part := noise(7, 1<<20)
	must(t, n.WriteRange(ctx, id, 8*12_345, part))
	copy(model[8*12_345:], part)
	must(t, n.WriteRange(ctx, id, 8*elements-8*3, part[:24]))
	copy(model[8*elements-24:], part[:24])
	wantBytes(t, n, a.Id, 0, model)
	wantBytes(t, n, a.Id, 8*777, model[8*777:8*200_000])

	err = n.WriteRange(ctx, id, 8*elements-8, part[:16])
	if holo.KindOf(err) != holo.Invalid {
		t.Errorf("a write beyond the end gives %v", err)
	}
}

func TestSealedArrayRefusesWritesAndIsReadFromAnyMember(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	a := c.create(c.nodes[0], "sealed", 4<<20)
	id, data := holo.ArrayID(a.Id), noise(8, 4<<20)
	must(t, c.nodes[0].WriteRange(ctx, id, 0, data))
	sealed, err := c.seals(ctx, c.nodes[1], id)
	must(t, err)
	if sealed.State != "sealed" || len(sealed.Root) != 64 {
		t.Fatalf("sealed array is %v", sealed)
	}
	again, err := c.seals(ctx, c.nodes[2], id)
	must(t, err)
	if again.Root != sealed.Root {
		t.Errorf("sealing again gives root %s, was %s", again.Root, sealed.Root)
	}
	for _, n := range c.nodes {
		n.memory.Forget(0)
		wantRefused(t, n.WriteRange(ctx, id, 0, data[:8]), holo.Conflict, reasonNotOpen)
		wantBytes(t, n, a.Id, 0, data)
	}
	if string(bytes.Repeat([]byte{0}, 8)) == string(data[:8]) {
		t.Fatal("the data is zeros")
	}
}

func TestArrayBeyondTheMemoryOfAllNodesIsRefusedWithTheFigures(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	_, err := c.makes(context.Background(), c.nodes[0], &holov1.CreateArrayRequest{Name: "big", Type: "i64", Length: 128 << 20 / 8})
	wantRefused(t, err, holo.Exhausted, "quota")
	if !bytes.Contains([]byte(err.Error()), []byte("128 MiB")) || !bytes.Contains([]byte(err.Error()), []byte("64 MiB")) {
		t.Errorf("the refusal does not tell the figures: %v", err)
	}
}
