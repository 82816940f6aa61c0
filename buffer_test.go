package holocompute_test

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"sync"
	"testing"

	"github.com/holocompute/holocompute"
)

// appended is how many records each producer appends: make buffers gives 100,000.
var appended = flag.Int("records", 400, "records of each producer in TestFourProducersAndTwoConsumers")

func produce(t *testing.T, b *holocompute.Buffer, count int) {
	p, err := b.Producer(t.Context())
	if err != nil {
		t.Error(err)
		return
	}
	for next := 1; next <= count; {
		var records [][]byte
		for range min(100, count-next+1) {
			records = append(records, binary.LittleEndian.AppendUint64(make([]byte, next%50), uint64(next)))
			next++
		}
		if n, err := p.Append(t.Context(), records...); err != nil || n != len(records) {
			t.Errorf("%d of %d records appended: %v", n, len(records), err)
			return
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// M-04 through a door: four producers, each request signed and recorded, and two
// consumers. Nothing is lost, nothing comes twice, each producer's in its order.
func TestFourProducersAndTwoConsumers(t *testing.T) {
	const producers = 4
	b, err := connect(t).CreateBuffer(t.Context(), "records", holocompute.BufferOptions{Lanes: 4, LaneBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range producers {
		wg.Go(func() { produce(t, b, *appended) })
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var mu sync.Mutex
	last, total := map[uint64]uint64{}, 0
	for range 2 {
		wg.Go(func() {
			for c := b.Consumer(20_000); ; {
				batch, err := c.Next(ctx)
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					t.Error(err)
					stop()
					return
				}
				mu.Lock() // who takes what follows waits for this
				for _, r := range batch.Records {
					says := binary.LittleEndian.Uint64(r.Data[len(r.Data)-8:])
					if last[r.Producer]++; r.Sequence != last[r.Producer] || says != r.Sequence {
						t.Errorf("record %d of producer %x comes after %d, and says %d", r.Sequence, r.Producer, last[r.Producer]-1, says)
					}
				}
				err = batch.Commit(t.Context())
				if total += len(batch.Records); err != nil || total >= producers**appended || t.Failed() {
					stop()
				}
				mu.Unlock()
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if total != producers**appended || len(last) != producers {
		t.Errorf("%d records of %d producers, want %d of %d", total, len(last), producers**appended, producers)
	}
	lanes, err := b.Lanes(t.Context())
	sum := holocompute.Lane{}
	for _, l := range lanes {
		sum.Appended, sum.Consumed, sum.Bytes = sum.Appended+l.Appended, sum.Consumed+l.Consumed, sum.Bytes+l.Bytes
	}
	if err != nil || int(sum.Appended) != total || int(sum.Consumed) != total || sum.Bytes != 0 {
		t.Errorf("the lanes say %+v: %v", sum, err)
	}
}

func TestFullBufferSaysSo(t *testing.T) {
	b, err := connect(t).CreateBuffer(t.Context(), "small", holocompute.BufferOptions{Lanes: 1, LaneBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.Producer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	big := make([]byte, holocompute.MaxRecord)
	n, err := p.TryAppend(t.Context(), big, big, big)
	if n != 2 || !errors.Is(err, holocompute.ErrFull) {
		t.Fatalf("%d records of 60 KiB are in 128 KiB: %v", n, err)
	}
	c := b.Consumer(1)
	first, err := c.TryNext(t.Context())
	if err != nil || len(first.Records) != 1 || first.Records[0].Sequence != 1 {
		t.Fatalf("%+v: %v", first, err)
	}
	if other, err := b.Consumer(0).TryNext(t.Context()); other != nil || err != nil {
		t.Errorf("somebody else is handed %+v: %v", other, err)
	}
	if err := first.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := p.TryAppend(t.Context(), big); n != 1 || err != nil {
		t.Errorf("after one was consumed: %d, %v", n, err)
	}
}

func TestReleasedRecordsComeAgain(t *testing.T) {
	b, err := connect(t).CreateBuffer(t.Context(), "returned", holocompute.BufferOptions{Lanes: 2, LaneBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.Producer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Append(t.Context(), []byte("one"), []byte("two")); err != nil {
		t.Fatal(err)
	}
	first, err := b.Consumer(0).Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.Commit(t.Context()); !errors.Is(err, holocompute.ErrHandoutOver) {
		t.Errorf("commit of what was given back: %v", err)
	}
	again, err := b.Consumer(0).Next(t.Context())
	if err != nil || len(again.Records) != 2 || string(again.Records[0].Data) != "one" {
		t.Fatalf("%+v: %v", again, err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Append(t.Context(), []byte("three")); !errors.Is(err, holocompute.ErrForgotten) {
		t.Errorf("a closed producer appends: %v", err)
	}
}

// What is an array's is refused of a buffer, and the other way round.
func TestBufferIsNoArray(t *testing.T) {
	c := connect(t)
	b, err := c.CreateBuffer(t.Context(), "neither", holocompute.BufferOptions{Lanes: 1, LaneBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := c.OpenRaw(t.Context(), "neither")
	if err != nil {
		t.Fatal(err)
	}
	_, lease := raw.Lease(t.Context(), 0, 1, 1e9)
	for what, err := range map[string]error{
		"write": raw.WriteBytes(t.Context(), 0, []byte{1}), "fill": raw.Fill(t.Context(), 0, 1, []byte{1}), "seal": raw.Seal(t.Context()), "lease": lease,
	} {
		if holocompute.KindOf(err) != holocompute.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := holocompute.Create[uint8](t.Context(), c, "plain", 8, holocompute.ArrayOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.OpenBuffer(t.Context(), "plain"); holocompute.KindOf(err) != holocompute.Invalid {
		t.Errorf("an array opened as a buffer: %v", err)
	}
	for _, o := range []holocompute.BufferOptions{{LaneBytes: 3 << 16}, {LaneBytes: 65 << 16}, {LaneBytes: 1000}, {Lanes: 257}, {Copies: 4}} {
		if _, err := c.CreateBuffer(t.Context(), "odd", o); holocompute.KindOf(err) != holocompute.Invalid {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := b.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Producer(t.Context()); holocompute.KindOf(err) != holocompute.NotFound {
		t.Errorf("a producer of a deleted buffer: %v", err)
	}
}
