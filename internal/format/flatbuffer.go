package format

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/holocompute/holocompute/internal/holo"
)

// Arrow's metadata are flatbuffers, and the library allocates what a vector's
// length says before it looks whether the vector is there: four bad bytes would
// end the process. So every vector of the metadata is measured first, against
// the bytes that hold it.

const (
	maxTables    = 1 << 16 // in one piece of metadata
	maxTableDeep = 32      // nested types
)

// layout says where a table refers to others: its slots by number. What is not
// listed is a number of fixed width and cannot lie about a length.
type layout map[int]ref

// ref is a reference: to a string or a vector of items of so many bytes, to a
// table, or to a vector of tables.
type ref struct {
	item   int // bytes; 0: tables
	table  func() layout
	vector bool
}

func items(bytes int) ref         { return ref{item: bytes, vector: true} }
func tables(of func() layout) ref { return ref{table: of, vector: true} }
func table(of func() layout) ref  { return ref{table: of} }
func keyValues() layout           { return layout{0: items(1), 1: items(1)} }
func plainTable() layout          { return layout{} }
func dictionaryLayout() layout    { return layout{1: table(plainTable)} }
func schemaLayout() layout        { return layout{1: tables(fieldLayout), 2: tables(keyValues), 3: items(8)} }
func recordBatchLayout() layout {
	return layout{1: items(16), 2: items(16), 3: table(plainTable), 4: items(8)}
}
func dictionaryBatchLayout() layout { return layout{1: table(recordBatchLayout)} }
func footerLayout() layout {
	return layout{1: table(schemaLayout), 2: items(24), 3: items(24), 4: tables(keyValues)}
}
func messageLayout(head ref) layout { return layout{2: head, 4: tables(keyValues)} }
func fieldLayout() layout {
	return layout{0: items(1), 4: table(dictionaryLayout), 5: tables(fieldLayout), 6: tables(keyValues)} // 3, the type, allocates nothing by length
}

// heads are the tables that a message may hold, by its header_type.
var heads = map[byte]ref{1: table(schemaLayout), 2: table(dictionaryBatchLayout), 3: table(recordBatchLayout)}

// measurer walks one flatbuffer.
type measurer struct {
	b    []byte
	seen int
}

func (m *measurer) u16(at int) (int, error) {
	if at < 0 || at+2 > len(m.b) {
		return 0, errOutside
	}
	return int(binary.LittleEndian.Uint16(m.b[at:])), nil
}

func (m *measurer) u32(at int) (int, error) {
	if at < 0 || at+4 > len(m.b) {
		return 0, errOutside
	}
	return int(binary.LittleEndian.Uint32(m.b[at:])), nil
}

var errOutside = fmt.Errorf("its metadata point outside themselves")

// slot finds a field of the table at pos: 0 where it has its default.
func (m *measurer) slot(pos, n int) (int, error) {
	back, err := m.u32(pos)
	if err != nil {
		return 0, err
	}
	vtable := pos - int(int32(back))
	size, err := m.u16(vtable)
	if err != nil || 4+2*n+2 > size {
		return 0, err
	}
	off, err := m.u16(vtable + 4 + 2*n)
	if err != nil || off == 0 {
		return 0, err
	}
	return pos + off, nil
}

// root is where the outermost table begins.
func (m *measurer) root() (int, error) { return m.u32(0) }

// walk measures the table at pos and all that it refers to.
func (m *measurer) walk(pos int, l layout, deep int) error {
	if m.seen++; m.seen > maxTables || deep > maxTableDeep {
		return fmt.Errorf("its metadata have more than %d tables or %d levels", maxTables, maxTableDeep)
	}
	for n, r := range l {
		at, err := m.slot(pos, n)
		if err != nil {
			return err
		}
		if at == 0 {
			continue
		}
		if err := m.follow(at, r, deep); err != nil {
			return err
		}
	}
	return nil
}

// follow measures what the reference at a place leads to.
func (m *measurer) follow(at int, r ref, deep int) error {
	off, err := m.u32(at)
	if err != nil {
		return err
	}
	to := at + off
	if !r.vector {
		return m.walk(to, r.table(), deep+1)
	}
	n, err := m.u32(to)
	if err != nil {
		return err
	}
	if n > (len(m.b)-to-4)/max(r.item, 1) || r.item == 0 && n > (len(m.b)-to-4)/4 {
		return fmt.Errorf("its metadata name %d items where there are not so many bytes", n)
	}
	if r.item > 0 {
		return nil
	}
	for i := range n {
		if err := m.follow(to+4+4*i, table(r.table), deep); err != nil {
			return err
		}
	}
	return nil
}

// measureFooter measures the footer of an Arrow file.
func measureFooter(r io.ReaderAt, size int64) error {
	var tail [10]byte
	if size < 20 {
		return holo.Errorf(holo.Corrupt, "the file is damaged: %d bytes are no Arrow file", size)
	}
	if _, err := r.ReadAt(tail[:], size-10); err != nil {
		return holo.Errorf(holo.Internal, "read footer: %w", err)
	}
	n := int64(int32(binary.LittleEndian.Uint32(tail[:])))
	if string(tail[4:]) != "ARROW1" || n <= 0 || n > size-18 || n > maxArrowMeta {
		return holo.Errorf(holo.Corrupt, "the file is damaged: it does not end as an Arrow file does")
	}
	m := measurer{b: make([]byte, n)}
	if _, err := r.ReadAt(m.b, size-10-n); err != nil {
		return holo.Errorf(holo.Internal, "read footer: %w", err)
	}
	at, err := m.root()
	if err == nil {
		err = m.walk(at, footerLayout(), 0)
	}
	if err != nil {
		return damaged(err)
	}
	return nil
}

// measureStream measures every message of an Arrow stream.
func measureStream(r io.ReaderAt, size int64) error {
	for at := int64(0); at < size; {
		var head [8]byte
		n, err := r.ReadAt(head[:min(8, size-at)], at)
		if n < 4 {
			return holo.Errorf(holo.Corrupt, "the file is damaged: it ends within a message: %w", err)
		}
		length, skip := int64(binary.LittleEndian.Uint32(head[4:])), int64(8)
		if first := binary.LittleEndian.Uint32(head[:]); first != 0xffffffff {
			length, skip = int64(first), 4 // as before Arrow 0.15
		}
		if length == 0 {
			return nil
		}
		if length > maxArrowMeta || length > size-at-skip {
			return holo.Errorf(holo.Corrupt, "the file is damaged: a message of %d bytes", length)
		}
		m := measurer{b: make([]byte, length)}
		if _, err := r.ReadAt(m.b, at+skip); err != nil {
			return holo.Errorf(holo.Internal, "read message: %w", err)
		}
		body, err := m.message()
		if err != nil {
			return damaged(err)
		}
		if body < 0 || body > size-at-skip-length {
			return holo.Errorf(holo.Corrupt, "the file is damaged: it ends within a batch of %d bytes", body)
		}
		at += skip + length + body
	}
	return nil
}

// message measures one message and gives the length of its body.
func (m *measurer) message() (body int64, err error) {
	pos, err := m.root()
	if err != nil {
		return 0, err
	}
	kind, err := m.slot(pos, 1)
	if err != nil {
		return 0, err
	}
	if kind <= 0 || kind >= len(m.b) || heads[m.b[kind]].table == nil {
		return 0, fmt.Errorf("a message of an unknown kind")
	}
	if err := m.walk(pos, messageLayout(heads[m.b[kind]]), 0); err != nil {
		return 0, err
	}
	at, err := m.slot(pos, 3)
	if err != nil || at == 0 {
		return 0, err
	}
	if at+8 > len(m.b) {
		return 0, errOutside
	}
	return int64(binary.LittleEndian.Uint64(m.b[at:])), nil
}
