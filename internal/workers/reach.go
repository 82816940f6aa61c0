package workers

import (
	"context"
	"encoding/binary"
	"errors"
	"os"

	"github.com/holocompute/holocompute/internal/core/handles"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/sandbox"
)

// Handle is what a general task reaches behind one of its handles. The worker is
// told none of it: this side decides about each question, and moves the bytes.
type Handle struct {
	handles.Grant
	// Read fills b with elements of a handle that reads, from element first of the
	// grant on. Its error ends the task, and its worker.
	Read func(ctx context.Context, first uint64, b []byte) error
	// Write is given all elements of a handle that writes, once, after the task has
	// succeeded: zeros where it wrote nothing. A task that fails writes nothing.
	Write func(b []byte)
}

// maxWritten bounds what an attempt holds back until it succeeds.
const maxWritten = 64 << 20

// reach is what an attempt may reach, and has written so far. It belongs to the
// attempt's goroutine.
type reach struct {
	table *handles.Table
	wrote [][]byte // of each handle that writes
	count func(reason string)
}

// replier answers one question of a worker.
type replier func(handles.Ask) (int64, error)

// reach makes the table of the task's handles, nil for none.
func (t *Task) reach(count func(string)) (*reach, error) {
	if len(t.Handles) == 0 {
		return nil, nil
	}
	r, grants, size := &reach{count: count, wrote: make([][]byte, len(t.Handles))}, []handles.Grant{}, uint64(0)
	for _, h := range t.Handles {
		grants = append(grants, h.Grant)
	}
	var err error
	if r.table, err = handles.New(grants); err != nil {
		return nil, holo.Errorf(holo.Invalid, "run %s: %w", t.who(), err)
	}
	for i, h := range t.Handles {
		if h.Right != handles.Write {
			continue
		}
		if h.Count > maxWritten || size+h.Count*h.Type.Size() > maxWritten {
			return nil, holo.Errorf(holo.Invalid, "run %s: its handles write more than %d MiB: choose smaller extents", t.who(), maxWritten>>20)
		}
		r.wrote[i] = make([]byte, h.Count*h.Type.Size())
		size += uint64(len(r.wrote[i]))
	}
	return r, nil
}

// exchangeBytes is the room for what is moved, none without handles.
func (t *Task) exchangeBytes() uint64 {
	if len(t.Handles) == 0 {
		return 0
	}
	return handles.MaxBytes
}

// hand gives what was written to those who take it. The attempt has succeeded.
func (r *reach) hand(list []Handle) {
	if r == nil {
		return
	}
	for i, h := range list {
		if h.Right == handles.Write {
			sandbox.View{Type: h.Type, Bytes: r.wrote[i]}.Canonicalise()
			h.Write(r.wrote[i])
		}
	}
}

// replier answers the questions of the task, until its deadline.
func (r *run) replier(ctx context.Context) replier {
	if r.reach == nil {
		return nil
	}
	return func(a handles.Ask) (int64, error) {
		if r.reach.table.Flooded() {
			return 0, r.fault("it asks more than %d times, which its kernel cannot", handles.MaxAsks)
		}
		n, status := r.reach.table.Decide(a)
		if status != handles.Done {
			r.reach.count(status.Reason())
			return int64(status), nil
		}
		limited, cancel := context.WithDeadline(ctx, r.deadline)
		defer cancel()
		err := r.move(limited, a)
		switch {
		case err != nil && ctx.Err() != nil:
			err = errCancelled
		case err != nil && limited.Err() != nil:
			err = errLate
		}
		return int64(n), err
	}
}

// move moves what was granted. Bytes of the region are copied out once.
func (r *run) move(ctx context.Context, a handles.Ask) error {
	if a.Op == handles.Length {
		return nil
	}
	h, there := r.Handles[a.Handle], r.exchange.in(r.worker.region)[:a.Bytes]
	if a.Op == handles.WriteOp {
		into := r.reach.wrote[a.Handle][a.Offset*h.Type.Size():]
		return r.worker.region.guarded(func() { copy(into, there) })
	}
	b := make([]byte, a.Bytes)
	if err := h.Read(ctx, a.Offset, b); err != nil {
		return err
	}
	return r.worker.region.guarded(func() { copy(there, b) })
}

// reply answers a question that came in the place of an answer.
func (w *process) reply(ctx context.Context, f frame, sequence uint32, answer replier) error {
	q, ok := decodeAsk(f.body)
	if !ok || answer == nil || f.sequence != sequence {
		return holo.Refuse(holo.Corrupt, WorkerFault, "it asks what is no question of its task")
	}
	n, err := answer(q)
	if err != nil {
		return err
	}
	body := binary.LittleEndian.AppendUint64(nil, uint64(n))
	if _, err := w.in.Write(frame{frameReply, sequence, body}.encode()); err != nil {
		return w.explain(ctx, err)
	}
	return nil
}

func encodeAsk(a handles.Ask) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{byte(a.Op)}, a.Handle)
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(b, a.Offset), a.Bytes)
}

func decodeAsk(body []byte) (handles.Ask, bool) {
	c := cursor{rest: body}
	a := handles.Ask{Op: handles.Op(c.u8()), Handle: c.u32(), Offset: c.u64(), Bytes: c.u32()}
	return a, c.done() && a.Op >= handles.Length && a.Op <= handles.WriteOp
}

// asker is the worker's end: it has no authority, and asks the node.
type asker struct {
	*request
	exchange []byte
}

// Ask passes a question on. What is too long for the exchange is refused there.
func (q *asker) Ask(_ context.Context, a handles.Ask, b []byte) (int64, error) {
	if a.Op == handles.WriteOp {
		copy(q.exchange, b)
	}
	if _, err := os.Stdout.Write(frame{frameAsk, q.sequence, encodeAsk(a)}.encode()); err != nil {
		return 0, err
	}
	n, err := q.reply()
	if err == nil && a.Op == handles.ReadOp && n == int64(handles.Done) {
		copy(b, q.exchange)
	}
	return n, err
}

// reply waits for the reply to the question that was asked.
func (r *request) reply() (int64, error) {
	for {
		f, err := r.next()
		switch {
		case err != nil:
			return 0, err
		case f.what == frameCancel && f.sequence == r.sequence:
			r.err = context.Canceled // and the reply comes, or the end
		case f.what == frameReply && f.sequence == r.sequence && len(f.body) == 8:
			return int64(binary.LittleEndian.Uint64(f.body)), nil
		case f.what != frameCancel:
			return 0, errors.New("no reply")
		}
	}
}

var _ sandbox.Reach = (*asker)(nil)
