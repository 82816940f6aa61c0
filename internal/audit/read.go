package audit

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"math"
	"slices"

	"github.com/holocompute/holocompute/internal/wire"
)

// mark is the segment that is appended to, for a writer to extend a copy of.
func (l *Log) mark() *segment {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return &l.mu.segments[len(l.mu.segments)-1]
}

// advance lets readers see what was written.
func (l *Log) advance(last segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.segments[len(l.mu.segments)-1] = last
	l.mu.size = l.writing.tree.size
	close(l.mu.changed)
	l.mu.changed = make(chan struct{})
}

// publish lets readers see what hinders writing.
func (l *Log) publish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.full, l.mu.failed = l.writing.full, l.writing.failed
}

// Changed is closed when there are more records than there are now.
func (l *Log) Changed() <-chan struct{} {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.mu.changed
}

// Query says which records to read.
type Query struct {
	First  uint64 // index of the first
	Newest bool   // instead of First: the last ones
	Event  string // only these; "": all
	Limit  int    // at most so many, 1 to 1000
}

// readBlocks bounds what one Select reads for a question whose answers are far
// apart: 64 times markEvery records. With Newest it reads on to the beginning.
const readBlocks = 64

// Select reads records, the oldest first. next is the index up to which it has
// looked: where to go on.
func (l *Log) Select(ctx context.Context, q Query) (found []*wire.AuditRecord, next uint64, err error) {
	segments, size := l.view()
	q.Limit = min(max(q.Limit, 1), 1000)
	if q.Newest {
		found, err = l.newest(ctx, segments, size, q)
		return found, uint64(size), err
	}
	at := int64(min(q.First, uint64(size)))
	for range readBlocks {
		if at == size || len(found) == q.Limit || ctx.Err() != nil {
			break
		}
		block, err := l.block(segments, at, size)
		if err != nil {
			return nil, 0, err
		}
		for _, r := range block {
			if len(found) == q.Limit {
				break
			}
			at++
			if q.Event == "" || r.Event == q.Event {
				found = append(found, r)
			}
		}
	}
	return found, uint64(at), ctx.Err()
}

// newest reads backwards, block by block.
func (l *Log) newest(ctx context.Context, segments []segment, size int64, q Query) (found []*wire.AuditRecord, err error) {
	for end := size; end > 0 && len(found) < q.Limit; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, _ := segmentOf(segments, end-1)
		first := end - 1 - (end-1-s.first)%markEvery
		block, err := l.block(segments, first, end)
		if err != nil {
			return nil, err
		}
		for _, r := range slices.Backward(block) {
			if len(found) < q.Limit && (q.Event == "" || r.Event == q.Event) {
				found = append(found, r)
			}
		}
		end = first
	}
	slices.Reverse(found)
	return found, nil
}

func (l *Log) view() ([]segment, int64) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.Clone(l.mu.segments), l.mu.size
}

// segmentOf finds the segment that holds a record, and where the next begins.
func segmentOf(segments []segment, index int64) (s segment, next int64) {
	i, found := slices.BinarySearchFunc(segments, index, func(s segment, index int64) int { return cmp.Compare(s.first, index) })
	if !found {
		i--
	}
	if i+1 < len(segments) {
		return segments[i], segments[i+1].first
	}
	return segments[i], math.MaxInt64
}

// block reads the records from first on up to the next mark or to end.
func (l *Log) block(segments []segment, first, end int64) ([]*wire.AuditRecord, error) {
	s, next := segmentOf(segments, first)
	mark := (first - s.first) / markEvery
	at := s.first + mark*markEvery
	end = min(end, next, at+markEvery)
	f, err := l.folder.open(s.name())
	if err != nil {
		return nil, opening(err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(io.NewSectionReader(f, s.marks[mark], s.bytes-s.marks[mark]), 64<<10)
	var out []*wire.AuditRecord
	for at < end {
		record, err := nextRecord(r, at)
		if err != nil {
			return nil, err
		}
		if at >= first {
			out = append(out, record)
		}
		at++
	}
	return out, nil
}

// nextRecord reads the next record of a file, which must be this one.
func nextRecord(r io.Reader, index int64) (*wire.AuditRecord, error) {
	for {
		f, err := readFrame(r)
		if err != nil {
			return nil, damage(index, "it was written, and does not read any more: %w", err)
		}
		if f.kind != kindRecord {
			continue
		}
		m, err := wire.Decode(f.content)
		record, ok := m.(*wire.AuditRecord)
		if err != nil || !ok || record.Seq != uint64(index) {
			return nil, damage(index, "it was written, and is another one now")
		}
		return record, nil
	}
}
