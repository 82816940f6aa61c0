package audit

import "errors"

// roll begins the next segment when this one is full. Where that fails, as on
// a full disk, this one goes on.
func (l *Log) roll() {
	if l.writing.end < l.full {
		return
	}
	old := l.writing.file
	if err := l.startSegment(); err != nil {
		return
	}
	// Every byte of the old one was synced when it was written.
	_ = old.Close()
	_ = l.writeHead()
}

// startSegment makes the file of the records that follow, with the checkpoint
// of those before them, and has it appended to. What fails leaves the log as it
// was, and at most a file without a checkpoint, which is no segment.
func (l *Log) startSegment() error {
	w := &l.writing
	signed, b, err := l.seal(w.tree, nil)
	if err != nil {
		return err
	}
	s := segment{first: w.tree.size, bytes: int64(len(b))}
	f, err := l.folder.create(s.name())
	if err != nil {
		return err
	}
	if err := l.lay(f, b); err != nil {
		if left := errors.Join(f.Close(), l.discard(s.name())); left != nil {
			return l.poison(errors.Join(err, left)) // it would come between the records that follow
		}
		return err
	}
	w.file, w.end, w.reserved, w.signed = f, s.bytes, s.bytes, signed
	l.mu.Lock()
	l.mu.segments = append(l.mu.segments, s)
	l.mu.Unlock()
	return nil
}

// discard removes a file for good.
func (l *Log) discard(name string) error {
	return errors.Join(l.folder.remove(name), l.folder.sync())
}

// lay puts the first checkpoint on disk. The reserve comes before it: a segment
// that cannot have one is not begun.
func (l *Log) lay(f file, b []byte) error {
	if err := f.reserve(reserveBytes); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		return err
	}
	return errors.Join(f.Sync(), l.folder.sync())
}

// writeHead writes the newest checkpoint in place, without a sync: after a
// crash of the machine it may be an older one, never one that the log has not
// reached.
func (l *Log) writeHead() error {
	b := make([]byte, maxNote)
	n, err := l.writing.signed.sign(l.origin, l.signer)
	if err != nil {
		return err
	}
	copy(b, n)
	_, err = l.head.WriteAt(b, 0)
	return err
}
