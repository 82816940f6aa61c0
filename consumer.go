package holocompute

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
)

// HandoutLife is how long a consumer may have records before they are handed out
// to others: it commits or releases them before.
const HandoutLife = 30 * time.Second

// Consumer takes records from a buffer. It is for one goroutine; any number of
// consumers share a buffer, each on its own. It needs the rights to read and to write the
// buffer.
type Consumer struct {
	b      *Buffer
	number uint64
	asked  uint64
	most   uint32
}

// Consumer makes a new consumer. Of a hand-out it gets at most so many bytes, but
// one record at least; 0 and more than 256 KiB are 256 KiB.
func (b *Buffer) Consumer(mostBytes int) *Consumer {
	return &Consumer{b: b, number: drawn(), most: uint32(max(0, min(mostBytes, 4*holo.PageSize)))}
}

// Record is one record of a buffer.
type Record struct {
	Producer uint64 `json:"producer"`
	Sequence uint64 `json:"sequence"` // counts the producer's records, from 1
	Lane     int    `json:"lane"`
	Offset   uint64 `json:"offset"` // grows with each record of the lane
	Data     []byte `json:"data"`
}

// Batch is records that were handed out to one consumer: the oldest of a lane.
// Until it is committed or released, or HandoutLife is over, its lane hands out
// nothing more.
type Batch struct {
	Records []Record
	c       *Consumer
	lane    uint32
	number  uint64
}

// Next waits for records and takes them, until ctx ends.
func (c *Consumer) Next(ctx context.Context) (*Batch, error) {
	for {
		b, err := c.take(ctx, longPoll.Milliseconds())
		if b != nil || err != nil {
			return b, err
		}
		if err := ctx.Err(); err != nil {
			return nil, holo.Errorf(Cancelled, "%s: %w", c.b.what("take from"), err)
		}
	}
}

// TryNext takes records if there are any that nobody has: nil and no error where
// there are none.
func (c *Consumer) TryNext(ctx context.Context) (*Batch, error) { return c.take(ctx, 0) }

func (c *Consumer) take(ctx context.Context, milliseconds int64) (*Batch, error) {
	c.asked++
	req := &holov1.TakeRequest{
		Array: c.b.raw.info.ID, Consumer: c.number, Sequence: c.asked, MostBytes: c.most, WaitMilliseconds: uint32(milliseconds),
	}
	cl, what := c.b.raw.c, c.b.what("take from")
	m, err := untilKnown(ctx, func() (*holov1.Taken, error) {
		return change(ctx, cl.client, what, holov1connect.BufferServiceTakeProcedure, cl.buffers.Take, req)
	})
	if err != nil || m.GetNumber() == 0 {
		return nil, err
	}
	b := &Batch{c: c, lane: m.GetLane(), number: m.GetNumber()}
	for _, r := range m.GetRecords() {
		b.Records = append(b.Records, Record{r.GetProducer(), r.GetSequence(), int(b.lane), r.GetOffset(), r.GetData()})
	}
	return b, nil
}

// Commit says that the records are consumed: they are gone. Where others have got
// them meanwhile it is refused as ErrHandoutOver, and what was done with them here
// has to be undone or to be the same when it is done twice.
func (b *Batch) Commit(ctx context.Context) error { return b.settle(ctx, false) }

// Release gives the records back, for any consumer to take.
func (b *Batch) Release(ctx context.Context) error { return b.settle(ctx, true) }

func (b *Batch) settle(ctx context.Context, release bool) error {
	req := &holov1.SettleRequest{Array: b.c.b.raw.info.ID, Consumer: b.c.number, Lane: b.lane, Number: b.number, Release: release}
	c, what := b.c.b.raw.c, b.c.b.what("settle records of")
	_, err := untilKnown(ctx, func() (*holov1.SettleResponse, error) {
		return change(ctx, c.client, what, holov1connect.BufferServiceSettleProcedure, c.buffers.Settle, req)
	})
	return err
}
