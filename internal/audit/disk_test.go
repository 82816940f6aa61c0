package audit

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// disk is a folder on a disk that can be full, fail, and lose what was not
// synced.
type disk struct {
	mu       sync.Mutex
	files    map[string]*diskFile
	capacity int64                                // bytes, of contents and what is reserved
	fault    func(op string, written int64) error // asked before each write, sync, truncate; may be nil
	partial  int64                                // how many bytes a write that fails has written
	syncs    int
	writes   int
}

type diskFile struct {
	disk     *disk
	name     string
	data     []byte
	durable  []byte
	reserved int64
}

func newDisk() *disk { return &disk{files: map[string]*diskFile{}, capacity: 1 << 40} }

func (d *disk) used() (n int64) {
	for _, f := range d.files {
		n += max(int64(len(f.data)), f.reserved)
	}
	return n
}

// setFull makes the disk full to the last byte, or not.
func (d *disk) setFull(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.capacity = 1 << 40
	if full {
		d.capacity = d.used()
	}
}

// setFault has operations fail.
func (d *disk) setFault(f func(op string, written int64) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = f
}

// crash is the disk after a loss of power: what was synced, and of the rest of
// the segments the first bytes.
func (d *disk) crash(kept int) *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := newDisk()
	for name, f := range d.files {
		data := bytes.Clone(f.durable)
		if name != headFile && len(f.data) > len(data) {
			data = append(data, f.data[len(data):min(len(data)+kept, len(f.data))]...)
		}
		after.files[name] = &diskFile{disk: after, name: name, data: data, durable: bytes.Clone(data)}
	}
	return after
}

func (d *disk) copied() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := newDisk()
	for name, f := range d.files {
		after.files[name] = &diskFile{disk: after, name: name, data: bytes.Clone(f.data), durable: bytes.Clone(f.data)}
	}
	return after
}

func (d *disk) names() ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.files)), nil
}

func (d *disk) open(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.files[name]; f != nil {
		return f, nil
	}
	return nil, fs.ErrNotExist
}

func (d *disk) create(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files[name] = &diskFile{disk: d, name: name}
	return d.files[name], nil
}

func (d *disk) remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.files, name)
	return nil
}

func (d *disk) sync() error  { return nil }
func (d *disk) close() error { return nil }

func (d *disk) ask(op string, n int64) error {
	if d.fault == nil {
		return nil
	}
	return d.fault(op, n)
}

func (f *diskFile) ReadAt(b []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if at >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.data[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *diskFile) WriteAt(b []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.writes++
	err := f.disk.ask("write "+f.name, int64(len(b)))
	if err != nil {
		b = b[:min(f.disk.partial, int64(len(b)))]
	}
	end := at + int64(len(b))
	if free := f.disk.capacity - f.disk.used() + max(int64(len(f.data)), f.reserved); end > free {
		b, end, err = b[:max(0, free-at)], max(at, free), syscall.ENOSPC
	}
	if end > int64(len(f.data)) {
		f.data = append(f.data, make([]byte, end-int64(len(f.data)))...)
	}
	return copy(f.data[at:], b), err
}

func (f *diskFile) Sync() error {
	f.disk.mu.Lock()
	f.disk.syncs++
	err := f.disk.ask("sync "+f.name, 0)
	if err == nil {
		f.durable = bytes.Clone(f.data)
	}
	f.disk.mu.Unlock()
	return err
}

func (f *diskFile) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.ask("truncate "+f.name, 0); err != nil {
		return err
	}
	f.data, f.reserved = f.data[:min(size, int64(len(f.data)))], 0
	return nil
}

func (f *diskFile) Size() (int64, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return int64(len(f.data)), nil
}

func (f *diskFile) reserve(end int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if now := max(int64(len(f.data)), f.reserved); end > now && f.disk.used()-now+end > f.disk.capacity {
		return syscall.ENOSPC
	}
	f.reserved = max(f.reserved, end)
	return nil
}

func (f *diskFile) Close() error { return nil }

var errIO = errors.New("input/output error")

// failing fails the operation that is named so.
func failing(op string, err error) func(string, int64) error {
	return func(name string, _ int64) error {
		if name == op {
			return err
		}
		return nil
	}
}

var (
	testCluster = holo.ClusterID{1, 2, 3}
	testNode    = key.GenerateSigner()
	testUser    = key.GenerateSigner()
	firstName   = segmentName(0)
)

func testSource() Source { return Source{Cluster: testCluster, Node: testNode.Public()} }

func openDisk(t *testing.T, d *disk) *Log {
	t.Helper()
	l, err := open(d, Config{Cluster: testCluster, Signer: testNode})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// note is a record of the node's own.
func noteRecord(resource string) *wire.AuditRecord {
	return &wire.AuditRecord{Event: "test.note", Resource: resource, Actor: wire.Actor{Kind: wire.ActorNode, Key: testNode.Public()}}
}

// denial is a record of a refusal.
func denial(resource string) *wire.AuditRecord {
	return &wire.AuditRecord{Event: "test.deny", Resource: resource, Decision: wire.Refused, Reason: "bad_signature"}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantReason(t *testing.T, err error, kind holo.Kind, reason string) {
	t.Helper()
	if err == nil || holo.KindOf(err) != kind || holo.ReasonOf(err) != reason {
		t.Fatalf("%v: kind %s reason %q, want %s %q", err, holo.KindOf(err), holo.ReasonOf(err), kind, reason)
	}
}

// events lists the events of a log in order.
func events(t *testing.T, l *Log) []string {
	t.Helper()
	var out []string
	for next, size := uint64(0), sizeOf(l); next < size; {
		records, to, err := l.Select(t.Context(), Query{First: next, Limit: 1000})
		must(t, err)
		for _, r := range records {
			out = append(out, r.Event)
		}
		next = to
	}
	return out
}

func sizeOf(l *Log) uint64 {
	n, _ := l.State()
	return n
}
