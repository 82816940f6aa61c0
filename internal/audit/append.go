package audit

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// entry is a record that waits to be written.
type entry struct {
	record wire.AuditRecord
	urgent bool // may use the reserve
	done   bool // guarded by Log.writing, as err is
	err    error
}

var errFull = holo.Refuse(holo.Exhausted, ReasonUnavailable, "write audit record: the disk is full, and what cannot be recorded is not done: free space where the node's folder is")

// Permit records what is about to be done, and returns when the record is on
// disk. Where it returns an error (ReasonUnavailable) it MUST NOT be done.
// The log fills in Seq, Time and Node; Decision is Allowed, Count 1 and Action
// the Event unless the record says otherwise.
func (l *Log) Permit(r *wire.AuditRecord) error { return l.append(r, false) }

// Report records what was refused or has happened already. It is as Permit,
// but may use the space that is kept for when the disk is full.
func (l *Log) Report(r *wire.AuditRecord) error { return l.append(r, true) }

// append waits for its turn to write and then writes for everybody who waits:
// so many callers at once cost one sync.
func (l *Log) append(r *wire.AuditRecord, urgent bool) error {
	e := &entry{record: *r, urgent: urgent}
	if e.record.Decision == 0 {
		e.record.Decision = wire.Allowed
	}
	if e.record.Action == "" {
		e.record.Action = e.record.Event
	}
	e.record.Count = max(e.record.Count, 1)
	if err := e.record.Check(); err != nil {
		return holo.Errorf(holo.Internal, "write audit record of %q: %w", r.Event, err)
	}
	if err := l.enqueue(e); err != nil {
		return err
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	for !e.done {
		l.write(l.take())
	}
	return e.err
}

func (l *Log) enqueue(e *entry) error {
	l.waiting.Lock()
	defer l.waiting.Unlock()
	if len(l.waiting.entries) >= maxWaiting {
		return holo.Refuse(holo.Unavailable, ReasonUnavailable, "write audit record: %d wait already", maxWaiting)
	}
	l.waiting.entries = append(l.waiting.entries, e)
	return nil
}

// take gives the oldest who wait, and leaves room in the group for an event of
// the log's own.
func (l *Log) take() []*entry {
	l.waiting.Lock()
	defer l.waiting.Unlock()
	n := min(len(l.waiting.entries), maxGroup-1)
	taken := l.waiting.entries[:n:n]
	l.waiting.entries = l.waiting.entries[n:]
	return taken
}

// write writes a group and tells its entries. The caller holds writing.
func (l *Log) write(entries []*entry) {
	group, full, err := l.admit(entries)
	if err == nil && len(group) > 0 {
		err = l.commit(group)
	}
	if err == nil {
		l.noteSpace(full)
	}
	for _, e := range entries {
		e.done = true
		if e.err == nil {
			e.err = err
		}
		if e.err == errFull && !e.urgent {
			l.writing.turned++
		}
	}
	l.publish()
}

// noteSpace keeps what the records now say about the disk.
func (l *Log) noteSpace(full bool) {
	l.writing.full = full
	if !full {
		l.writing.turned = 0
	}
}

// admit decides whose records are written now: where the disk is full, those
// that may use the reserve. It adds the log's own event when that has changed.
func (l *Log) admit(entries []*entry) (group []*entry, full bool, err error) {
	w := &l.writing
	if w.closed {
		return nil, false, holo.Refuse(holo.Unavailable, ReasonUnavailable, "write audit record: the log is closed")
	}
	if l.roll(); w.failed != nil {
		return nil, false, w.failed
	}
	full = l.room(groupBound(len(entries)+1)) != nil
	for _, e := range entries {
		if full && !e.urgent {
			e.err = errFull
			continue
		}
		group = append(group, e)
	}
	if full != w.full {
		group = append(group, l.fullness(full))
	}
	return group, full, nil
}

// fullness is the event that the disk has become full, or no longer is.
func (l *Log) fullness(full bool) *entry {
	r := wire.AuditRecord{Event: "audit.degraded", Decision: wire.Allowed, Count: 1}
	if !full {
		r.Event, r.Resource = "audit.recovered", fmt.Sprintf("%d actions were refused while the disk was full", l.writing.turned)
	}
	r.Action, r.Actor = r.Event, wire.Actor{Kind: wire.ActorNode, Key: l.node}
	return &entry{record: r, urgent: true}
}

// groupBound is the most that so many records and their checkpoint take.
func groupBound(records int) int64 {
	return int64(records)*(frameHead+1+wire.MaxAuditRecord) + frameHead + 1 + maxNote
}

// room makes sure that n more bytes fit, and the reserve after them.
func (l *Log) room(n int64) error {
	w := &l.writing
	want := w.end + n + reserveBytes
	if want <= w.reserved {
		return nil
	}
	for _, end := range []int64{want + reserveStep, want} {
		err := w.file.reserve(end)
		if err == nil || errors.Is(err, errors.ErrUnsupported) {
			w.reserved = end
			return nil
		}
		if end == want {
			return err
		}
	}
	return nil
}

// commit puts a group and its checkpoint on disk, with one write and one sync.
// Only then is the new tree the log's.
func (l *Log) commit(group []*entry) error {
	w := &l.writing
	next := *l.mark()
	tree, now := w.tree, l.now().UnixNano()
	var b []byte
	for _, e := range group {
		e.record.Seq, e.record.Time, e.record.Node = uint64(tree.size), now, l.node
		next.mark(tree.size, w.end+int64(len(b)))
		content := wire.Encode(&e.record)
		b = appendFrame(b, kindRecord, content)
		if err := tree.add(content); err != nil {
			return holo.Errorf(holo.Internal, "write audit record: %w", err)
		}
	}
	signed, b, err := l.seal(tree, b)
	if err != nil {
		return err
	}
	if err := l.put(b); err != nil {
		return err
	}
	w.end += int64(len(b))
	w.tree, w.signed, next.bytes = tree, signed, w.end
	l.advance(next)
	// The head only helps to find a lost end; one that is old is still right.
	_ = l.writeHead()
	return nil
}

// seal appends the checkpoint of a tree to b.
func (l *Log) seal(t tree, b []byte) (checkpoint, []byte, error) {
	root, err := t.root()
	if err != nil {
		return checkpoint{}, nil, holo.Errorf(holo.Internal, "write audit record: %w", err)
	}
	c := checkpoint{size: t.size, previous: l.writing.signed.size, root: root}
	n, err := c.sign(l.origin, l.signer)
	return c, appendFrame(b, kindCheckpoint, n), err
}

// put writes b at the end and syncs it. A write that failed is cut off again,
// so that the next one begins where the last good one ended. After a sync that
// failed nobody knows what is on disk, and asking again may say yes without its
// being so: the log takes nothing more.
func (l *Log) put(b []byte) error {
	w := &l.writing
	if _, err := w.file.WriteAt(b, w.end); err != nil {
		w.reserved = w.end
		if cut := w.file.Truncate(w.end); cut != nil {
			return l.poison(errors.Join(err, cut))
		}
		if errors.Is(err, syscall.ENOSPC) {
			w.full = true
			return errFull
		}
		return holo.Refuse(holo.Unavailable, ReasonUnavailable, "write audit record: %w", err)
	}
	if err := w.file.Sync(); err != nil {
		return l.poison(err)
	}
	return nil
}

// poison ends the log's taking of records.
func (l *Log) poison(err error) error {
	l.writing.failed = holo.Refuse(holo.Unavailable, ReasonUnavailable, "write audit record: an earlier one may not be on disk, so no more are taken until the node starts again: %w", err)
	return l.writing.failed
}
