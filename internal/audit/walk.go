package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"golang.org/x/mod/sumdb/note"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// walk reads a whole log from its first byte and believes nothing that the
// node did not sign. Opening and verifying are both this one.
type walk struct {
	folder   folder
	origin   string
	verifier note.Verifier
	node     holo.NodeID
	visit    func(*wire.AuditRecord) error // of each signed record, in order; may be nil

	// What was found; all of it up to the last checkpoint.
	tree     tree
	signed   checkpoint
	segments []segment
	loose    int64  // bytes behind the last checkpoint
	torn     string // a last file that was begun and has no checkpoint yet

	pending []pending // records since the last checkpoint
	head    *checkpoint
	headErr error // why there is none
	met     bool  // the head's checkpoint was among those read
}

type pending struct {
	at      int64 // where the frame begins
	content []byte
}

// damage says which record is not what it should be.
func damage(index int64, format string, args ...any) error {
	err := holo.Errorf(holo.Corrupt, format, args...)
	return holo.Refuse(holo.Corrupt, ReasonDamaged, "audit log, record %d: %w", index, err)
}

// run reads everything.
func (w *walk) run() error {
	w.head, w.headErr = w.readHead()
	names, err := w.folder.names()
	if err != nil {
		return err
	}
	slices.Sort(names)
	names = slices.DeleteFunc(names, func(n string) bool { return !isSegment(n) })
	for i, name := range names {
		if err := w.file(name, i == len(names)-1); err != nil {
			return err
		}
	}
	return w.judgeEnd()
}

// readHead reads the checkpoint that the end must reach.
func (w *walk) readHead() (*checkpoint, error) {
	f, err := w.folder.open(headFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("it is missing")
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, maxNote)
	if n, err := f.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("%d bytes, want %d: %w", n, maxNote, err)
	}
	c, err := openCheckpoint(bytes.TrimRight(b, "\x00"), w.origin, w.verifier)
	return &c, err
}

// file reads one segment.
func (w *walk) file(name string, last bool) error {
	first, _ := parseSegment(name)
	if first > w.tree.size {
		return damage(w.tree.size, "%d records are missing: the next file is %s", first-w.tree.size, name)
	}
	if first < w.tree.size {
		return damage(first, "the file %s tells again what was told before", name)
	}
	f, err := w.folder.open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return err
	}
	w.segments = append(w.segments, segment{first: first})
	if err := w.frames(bufio.NewReaderSize(io.NewSectionReader(f, 0, size), 64<<10)); err != nil {
		return err
	}
	s := &w.segments[len(w.segments)-1]
	w.loose = size - s.bytes
	switch {
	case !last && (w.loose > 0 || s.bytes == 0):
		return damage(w.tree.size+int64(len(w.pending)), "the file %s ends without a checkpoint", name)
	case s.bytes == 0: // a crash while it was begun
		w.segments = w.segments[:len(w.segments)-1]
		w.torn, w.loose = name, 0
	}
	return nil
}

// frames reads frames up to the end, or to what is none.
func (w *walk) frames(r io.Reader) error {
	for at := int64(0); ; {
		f, err := readFrame(r)
		if err == io.EOF || err == errBroken {
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.frame(at, f); err != nil {
			return err
		}
		at += f.bytes
	}
}

func (w *walk) frame(at int64, f frame) error {
	index := w.tree.size + int64(len(w.pending))
	switch {
	case f.kind == kindCheckpoint:
		return w.checkpoint(at, f)
	case f.kind != kindRecord:
		return damage(index, "a frame of unknown kind %d", f.kind)
	case at == 0:
		return damage(index, "the file does not begin with a checkpoint")
	case len(w.pending) == maxGroup:
		return damage(index, "more than %d records without a checkpoint", maxGroup)
	}
	w.pending = append(w.pending, pending{at, f.content})
	return nil
}

// checkpoint holds what was read since the last one against what was signed.
func (w *walk) checkpoint(at int64, f frame) error {
	first := w.tree.size
	c, err := openCheckpoint(f.content, w.origin, w.verifier)
	if err != nil {
		return damage(first, "%w", err)
	}
	records, err := w.decode()
	if err != nil {
		return err
	}
	if err := w.judge(at, c); err != nil {
		return err
	}
	for _, r := range records {
		if w.visit == nil {
			break
		}
		if err := w.visit(r); err != nil {
			return err
		}
	}
	s := &w.segments[len(w.segments)-1]
	for i, p := range w.pending {
		s.mark(first+int64(i), p.at)
	}
	s.bytes = at + f.bytes
	w.signed, w.pending = c, w.pending[:0]
	if w.headErr == nil && w.head.size == c.size && w.head.root == c.root {
		w.met = true
	}
	return nil
}

// decode reads the records since the last checkpoint and adds them to the tree.
func (w *walk) decode() ([]*wire.AuditRecord, error) {
	out := make([]*wire.AuditRecord, len(w.pending))
	for i, p := range w.pending {
		index := w.tree.size
		m, err := wire.Decode(p.content)
		r, ok := m.(*wire.AuditRecord)
		switch {
		case err != nil:
			return nil, damage(index, "%w", err)
		case !ok:
			return nil, damage(index, "it is a message of type %#04x", uint16(m.Type()))
		case r.Seq != uint64(index):
			return nil, damage(index, "here is what was record %d: records were removed, added or moved", r.Seq)
		case r.Node != w.node:
			return nil, damage(index, "it is of node %s", r.Node)
		}
		if err := w.tree.add(p.content); err != nil {
			return nil, err
		}
		out[i] = r
	}
	return out, nil
}

// judge holds a checkpoint against the tree, and its place against the one
// before it.
func (w *walk) judge(at int64, c checkpoint) error {
	first := w.signed.size
	root, err := w.tree.root()
	switch {
	case err != nil:
		return err
	case c.size != w.tree.size:
		return damage(first, "the checkpoint speaks of %d records, here are %d", c.size, w.tree.size)
	case c.root != root:
		return damage(first, "records %d to %d are not those that were signed", first, c.size-1)
	case c.previous != first:
		return damage(c.previous, "the checkpoint of %d records is missing, or is not the one before that of %d", c.previous, c.size)
	case (c.size == first) != (at == 0):
		return damage(first, "a checkpoint of %d records where none belongs", c.size)
	}
	return nil
}

// judgeEnd decides whether the end was lost, or was never acknowledged. A log
// that has reached its head lacks nothing; what lies behind it is loose.
func (w *walk) judgeEnd() error {
	next := w.tree.size + int64(len(w.pending))
	w.pending = nil
	switch {
	case w.headErr != nil && w.tree.size > 0:
		return damage(next, "the file %s, which says where the log ends: %w", headFile, w.headErr)
	case w.headErr != nil: // a crash while the log was begun
		return nil
	case w.head.size > w.tree.size:
		return damage(next, "it is damaged or missing: the node signed %d records, here are %d", w.head.size, w.tree.size)
	case len(w.segments) == 0:
		return damage(0, "there is no file of records")
	case !w.met:
		return damage(w.head.size, "the file %s is of another log", headFile)
	}
	return nil
}
