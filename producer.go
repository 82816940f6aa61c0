package holocompute

import (
	"context"
	"sync"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
)

// Producer appends records to a buffer, in order. All of its records are in one
// lane. It is safe for use by several goroutines, whose records follow one
// another. It needs the right to write the buffer. A lane remembers 64
// producers, 16 of one user: when more are opened, the one that was idle longest
// is forgotten, and what it appends then is refused as ErrForgotten.
type Producer struct {
	b      *Buffer
	number uint64
	mu     struct {
		sync.Mutex
		next   uint64
		broken error // an append whose outcome is not known
	}
}

// Producer opens a new producer.
func (b *Buffer) Producer(ctx context.Context) (*Producer, error) {
	p := &Producer{b: b, number: drawn()}
	p.mu.next = 1
	if err := p.open(ctx, false); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Producer) open(ctx context.Context, shut bool) error {
	req := &holov1.OpenBufferRequest{Array: p.b.raw.info.ID, Producer: p.number, Close: shut}
	c, what := p.b.raw.c, p.b.what("open a producer of")
	_, err := untilKnown(ctx, func() (*holov1.OpenBufferResponse, error) {
		return change(ctx, c.client, what, holov1connect.BufferServiceOpenProcedure, c.buffers.Open, req)
	})
	return err
}

// Number names the producer in the records that it appends.
func (p *Producer) Number() uint64 { return p.number }

// Close gives up the producer's place. What it appended stays.
func (p *Producer) Close(ctx context.Context) error { return p.open(ctx, true) }

// Append appends records, in batches of at most 1,024 and 62 KiB, each of which
// is there as a whole, and once, or not at all. It says how many of the records
// are certainly there. While the producer's lane is full it waits for room. After
// an error of kind Indeterminate or Cancelled it is not known whether the next
// batch is there; the producer appends nothing any more.
func (p *Producer) Append(ctx context.Context, records ...[]byte) (appended int, err error) {
	return p.append(ctx, longPoll, records)
}

// TryAppend is Append that does not wait for room: the error is ErrFull.
func (p *Producer) TryAppend(ctx context.Context, records ...[]byte) (appended int, err error) {
	return p.append(ctx, 0, records)
}

func (p *Producer) append(ctx context.Context, wait time.Duration, records [][]byte) (appended int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.broken != nil {
		return 0, p.mu.broken
	}
	for appended < len(records) {
		n, err := batch(records[appended:])
		if err == nil {
			err = p.send(ctx, wait, records[appended:appended+n])
		}
		if err != nil {
			if KindOf(err) == Indeterminate || KindOf(err) == Cancelled {
				p.mu.broken = holo.Errorf(Indeterminate, "%s: what became of record %d is not known: open a new producer: %w", p.b.what("append to"), p.mu.next, err)
			}
			return appended, err
		}
		appended += n
		p.mu.next += uint64(n)
	}
	return appended, nil
}

// batch is how many of the records go together.
func batch(records [][]byte) (n int, err error) {
	size := 0
	for n < min(len(records), maxBatchRecords) {
		r := records[n]
		if len(r) > MaxRecord {
			return 0, holo.Errorf(Invalid, "append a record of %d bytes: at most %d", len(r), MaxRecord)
		}
		if size += 4 + len(r); size > maxBatchBytes {
			break
		}
		n++
	}
	return n, nil
}

// send appends one batch, again and again while there is no room, if it is to
// wait.
func (p *Producer) send(ctx context.Context, wait time.Duration, records [][]byte) error {
	c, what := p.b.raw.c, p.b.what("append to")
	req := &holov1.AppendRequest{
		Array: p.b.raw.info.ID, Producer: p.number, Sequence: p.mu.next, Records: records, WaitMilliseconds: uint32(wait.Milliseconds()),
	}
	for {
		_, err := untilKnown(ctx, func() (*holov1.AppendResponse, error) {
			return change(ctx, c.client, what, holov1connect.BufferServiceAppendProcedure, c.buffers.Append, req)
		})
		if ReasonOf(err) != reasonFull || wait == 0 || ctx.Err() != nil {
			return err
		}
	}
}
