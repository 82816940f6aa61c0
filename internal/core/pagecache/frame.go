package pagecache

// transfer is what the disk is doing with a frame.
type transfer uint8

const (
	idle transfer = iota
	writing
	reading
)

// place is the queue that a frame belongs to.
type place uint8

const (
	nowhere place = iota
	inSmall
	inMain
)

// maxHeat bounds the count of uses: more would only make what was hot once
// stay longer.
const maxHeat = 3

// frame is one version of one page.
type frame struct {
	Page
	link [2]link // in small or main; in clean
	uses uint32  // that hold it
	left uint64  // the count of evictions when it was one, if ghost

	heat    uint8 // times used since it came into its queue, up to maxHeat
	place   place // where it is, or was when it was taken out for I/O or use
	queued  bool  // is in that queue
	listed  bool  // is in clean
	memory  bool  // has a copy in memory
	disk    bool  // has a copy on disk
	io      transfer
	ghost   bool // was let go of from the small queue
	dead    bool // replaced or dropped
	damaged bool // its copy on disk is not what was written
	probe   bool // its write began after one that failed
}

// heated counts a use.
func (f *frame) heated() { f.heat = min(f.heat+1, maxHeat) }

// free reports whether nothing holds the frame where it is.
func (f *frame) free() bool { return f.uses == 0 && f.io == idle }

// link is a place in a queue.
type link struct{ older, newer *frame }

// The lists that a frame can be in, as indices of its links: one of the two
// queues, and clean.
const (
	links = iota
	cleanLinks
)

// queue is a list of frames from the oldest to the newest.
type queue struct {
	which          int
	oldest, newest *frame
	len            int
}

func (q *queue) push(f *frame) {
	f.link[q.which] = link{older: q.newest}
	if q.newest != nil {
		q.newest.link[q.which].newer = f
	} else {
		q.oldest = f
	}
	q.newest = f
	q.len++
}

func (q *queue) remove(f *frame) {
	l := f.link[q.which]
	if l.older != nil {
		l.older.link[q.which].newer = l.newer
	} else {
		q.oldest = l.newer
	}
	if l.newer != nil {
		l.newer.link[q.which].older = l.older
	} else {
		q.newest = l.older
	}
	f.link[q.which] = link{}
	q.len--
}

// queue is the queue that the frame belongs to.
func (m *Machine) queue(f *frame) *queue {
	if f.place == inMain {
		return &m.main
	}
	return &m.small
}

// enqueue puts a frame at the end of its queue, if it is not there yet.
func (m *Machine) enqueue(f *frame, p place) {
	m.dequeue(f)
	f.place, f.queued = p, true
	m.queue(f).push(f)
}

func (m *Machine) dequeue(f *frame) {
	if f.queued {
		m.queue(f).remove(f)
		f.queued = false
	}
}

// settle brings the lists in line with the frame after its state changed: it
// is busy or not, clean or not, and one that was taken out of its queue while
// something held it goes back.
func (m *Machine) settle(f *frame) {
	if f.free() {
		delete(m.busy, f.Ref)
	} else {
		m.busy[f.Ref] = f
	}
	if f.free() && f.dead {
		m.finish(f)
		return
	}
	if f.free() && f.memory && !f.queued {
		m.enqueue(f, f.place)
	}
	if clean := f.free() && f.memory && f.disk && !f.dead; clean != f.listed {
		if f.listed = clean; clean {
			m.clean.push(f)
		} else {
			m.clean.remove(f)
		}
	}
}

// finish ends a dead frame that nothing holds any more.
func (m *Machine) finish(f *frame) {
	if f.memory {
		f.memory = false
		m.resident--
	}
	if f.disk {
		f.disk = false
		m.spilled--
		m.out.Forget = append(m.out.Forget, f.Page)
	}
}
