// Package audit is the device that keeps a node's record of who asked for
// what: an append-only log in a folder, which anybody who has the node's
// public key can check without the node.
//
// Its one idea: the records are the leaves of an RFC 6962 tree, and every group
// of them is written together with a signed checkpoint of the tree, in one
// write and one sync of one file. So nothing is acknowledged that is not on
// disk and signed, and nothing that was signed can be changed, left out, moved
// or added to without a signature that no longer fits. What a principal was
// allowed carries the principal's own signature: the node's key alone makes no
// such record.
//
// The log fails closed. An action that must be recorded is refused when it
// cannot be; a sync that failed is never tried again; a log that is not what
// its node signed is not opened. A reserve of disk space keeps refusals and the
// node's own events recorded when the disk is full.
//
// It does not find that the whole folder, the file head included, was put back
// to an older copy: that needs somebody else who remembers a newer checkpoint.
// It forgets nothing, and it knows no rights.
//
// Formats: C2SP signed-note and tlog-checkpoint (golang.org/x/mod/sumdb).
// docs/protocol/audit.md has the bytes.
package audit

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// Reasons for which this package refuses.
const (
	ReasonUnavailable = "audit_unavailable" // the record cannot be written, so the action is not done
	ReasonDamaged     = "audit_damaged"     // the log is not what its node signed
)

// Sizes.
const (
	// segmentBytes is when a file is full and the next is begun.
	segmentBytes = 64 << 20
	// reserveBytes is the disk space that only refusals and the node's own
	// events may use: a thousand of them, each with a checkpoint.
	reserveBytes = 1 << 20
	// reserveStep is how much more is set aside at a time, so that the file
	// system is asked once in a thousand records.
	reserveStep = 1 << 20
	// maxGroup bounds the records of one write, and what a reader must hold
	// before it sees their checkpoint.
	maxGroup = 256
	// maxWaiting bounds those who wait for a write; one more is refused.
	maxWaiting = 4096
)

var errBroken = errors.New("bytes that are no frame")

// Config says whose log it is and where. All fields are required.
type Config struct {
	Dir     string // made with mode 0700 where there is none
	Cluster holo.ClusterID
	Signer  key.Signer // the node's
}

// Log is a node's open audit log. It is safe for concurrent use. Whoever opens
// it closes it.
type Log struct {
	folder folder
	origin string
	node   holo.NodeID
	signer note.Signer
	now    func() time.Time
	full   int64 // bytes at which a segment is full
	head   file

	waiting struct {
		sync.Mutex
		entries []*entry
	}

	// writing is held by the one caller who writes a group, for himself and
	// for all who wait. It guards what follows.
	writing struct {
		sync.Mutex
		file     file
		end      int64 // of the last checkpoint in file: where the next group goes
		reserved int64 // disk space of file is ours up to here
		tree     tree
		signed   checkpoint
		full     bool   // the disk was, when a record was last to be written
		turned   uint64 // records refused since
		failed   error  // after a sync that failed: for good
		closed   bool
	}

	mu struct { // what readers may see
		sync.RWMutex
		segments []segment
		size     int64
		full     bool
		failed   error
		changed  chan struct{} // closed when size grows
	}
}

// Open opens the log of a node, or begins one. It reads all of it and refuses
// one that is not, record for record, what the node signed. What a crash left
// behind the last checkpoint was never acknowledged; it is cut off, and a
// record tells how much.
func Open(c Config) (*Log, error) {
	d, err := openDirectory(c.Dir)
	if err != nil {
		return nil, opening(err)
	}
	return open(d, c)
}

// opening tells what failed, and keeps the kind of what already has one.
func opening(err error) error {
	if _, ok := errors.AsType[*holo.Error](err); ok || err == nil {
		return err
	}
	return holo.Refuse(holo.Unavailable, ReasonUnavailable, "open audit log: %w", err)
}

func open(f folder, c Config) (*Log, error) {
	l := &Log{folder: f, node: c.Signer.Public(), now: time.Now, full: segmentBytes}
	l.origin = origin(c.Cluster, l.node)
	v, err := verifierOf(l.origin, l.node)
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	l.signer = noteSigner{v, c.Signer}
	l.mu.changed = make(chan struct{})
	if err := l.load(v); err != nil {
		return nil, errors.Join(opening(err), l.closeFiles())
	}
	return l, nil
}

// load reads what is there, repairs the end and makes ready to append.
func (l *Log) load(v note.Verifier) error {
	w := &walk{folder: l.folder, origin: l.origin, verifier: v, node: l.node}
	if err := w.run(); err != nil {
		return err
	}
	if w.torn != "" {
		if err := l.discard(w.torn); err != nil {
			return err
		}
	}
	if len(w.segments) == 0 {
		return l.begin()
	}
	l.writing.tree, l.writing.signed = w.tree, w.signed
	l.mu.segments, l.mu.size = w.segments, w.tree.size
	if err := l.resume(w.loose > 0, w.headErr != nil); err != nil || w.loose == 0 {
		return err
	}
	return l.Report(&wire.AuditRecord{
		Event: "audit.repaired", Resource: looseText(w.loose), Actor: wire.Actor{Kind: wire.ActorNode, Key: l.node},
	})
}

// begin makes the first segment, and head after it: a folder with a head and
// without segments has lost them.
func (l *Log) begin() error {
	if err := l.startSegment(); err != nil {
		return err
	}
	return l.createHead()
}

func (l *Log) createHead() (err error) {
	if l.head, err = l.folder.create(headFile); err != nil {
		return err
	}
	return errors.Join(l.writeHead(), l.head.Sync(), l.folder.sync())
}

// resume opens the last segment for appending and cuts off what is loose. What
// was set aside behind the end stays where nothing is cut.
func (l *Log) resume(loose, headless bool) (err error) {
	last := l.mu.segments[len(l.mu.segments)-1]
	if l.writing.file, err = l.folder.open(last.name()); err != nil {
		return err
	}
	l.writing.end, l.writing.reserved = last.bytes, last.bytes
	if loose {
		if err := errors.Join(l.writing.file.Truncate(last.bytes), l.writing.file.Sync()); err != nil {
			return err
		}
	}
	if headless {
		return l.createHead()
	}
	if l.head, err = l.folder.open(headFile); err != nil {
		return err
	}
	return l.writeHead()
}

// Close makes everything durable and gives the folder free. A group that is
// being written is finished; who comes later is refused.
func (l *Log) Close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.writing.closed {
		return nil
	}
	l.writing.closed = true
	return errors.Join(l.head.Sync(), l.closeFiles())
}

func (l *Log) closeFiles() error {
	var errs []error
	for _, f := range []file{l.writing.file, l.head} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(append(errs, l.folder.close())...)
}

// State tells how many records there are and why, if so, no action can be
// recorded now.
func (l *Log) State() (records uint64, trouble error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch {
	case l.mu.failed != nil:
		trouble = l.mu.failed
	case l.mu.full:
		trouble = errFull
	}
	return uint64(l.mu.size), trouble
}
