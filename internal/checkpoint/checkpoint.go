// Package checkpoint is the form of an array in a file: what it is, its pages in
// order, each with its digest, and the root over all of them.
//
// Its one idea: the same root that a sealed array has in the catalogue closes
// the file, so what was read back is the array or is refused. It does not
// encrypt: it is given a stream that is authentic already (internal/identity), and
// trusts it with nothing but that. It holds one page at a time.
package checkpoint

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
)

// ReasonDamaged is that a file is not what was written.
const ReasonDamaged = "checkpoint_damaged"

// magic begins every checkpoint, inside the encryption.
const magic = "holo checkpoint/1\n"

// Limits of a head.
const (
	maxName = 255 // of the array, its affinity, its type, its cluster
)

// Marks in front of a page, and of the root.
const (
	markZero = byte(iota)
	markData
	markRoot = byte(0xff)
)

// Head says what the array is.
type Head struct {
	Cluster  string // where it was
	Name     string
	Type     holo.ElementType
	Length   uint64 // elements
	Extent   uint64 // elements that lie together
	Copies   uint8
	Affinity string
	Sealed   bool
	At       int64 // Unix time when the checkpoint was begun
}

// Pages is the number of pages.
func (h *Head) Pages() uint64 { return h.shape().Pages() }

// Bytes is the number of bytes of all elements.
func (h *Head) Bytes() uint64 { return h.shape().Bytes() }

func (h *Head) check() error {
	switch {
	case !h.Type.Valid():
		return errors.New("an element type that there is not")
	case h.Copies < 1 || h.Copies > holo.MaxClass:
		return errors.New("a number of copies that there cannot be")
	case len(h.Name) == 0 || max(len(h.Name), len(h.Affinity), len(h.Cluster)) > maxName:
		return errors.New("a name of a length that there cannot be")
	}
	return h.shape().Check()
}

func (h *Head) shape() holo.Shape {
	return holo.Shape{Type: h.Type, Length: h.Length, Extent: h.Extent}
}

func (h *Head) encode() []byte {
	b := []byte(magic)
	for _, s := range []string{h.Cluster, h.Name, h.Type.String(), h.Affinity} {
		b = append(append(b, byte(len(s))), s...)
	}
	for _, n := range []uint64{h.Length, h.Extent, uint64(h.At)} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	sealed := byte(0)
	if h.Sealed {
		sealed = 1
	}
	return append(b, h.Copies, sealed)
}

// decodeHead reads a head, and nothing that encodes to other bytes.
func decodeHead(r io.Reader) (h Head, err error) {
	d := decoder{r: r}
	if string(d.take(len(magic))) != magic {
		return h, d.or("it does not begin as one")
	}
	h.Cluster, h.Name = d.text(), d.text()
	typ := d.text()
	h.Affinity = d.text()
	h.Length, h.Extent, h.At = d.number(), d.number(), int64(d.number())
	last := d.take(2)
	if d.err != nil {
		return h, d.or("")
	}
	h.Copies, h.Sealed = last[0], last[1] == 1
	if h.Type, err = holo.ParseElementType(typ); err == nil && last[1] > 1 {
		err = errors.New("a state that there is not")
	}
	if err == nil {
		err = h.check()
	}
	if err != nil {
		return h, damaged("its head names %w", err)
	}
	return h, nil
}

// decoder reads the parts of a head; after an error it gives empty ones.
type decoder struct {
	r   io.Reader
	err error
}

func (d *decoder) take(n int) []byte {
	b := make([]byte, n)
	if d.err == nil {
		_, d.err = io.ReadFull(d.r, b)
	}
	return b
}

func (d *decoder) text() string   { return string(d.take(int(d.take(1)[0]))) }
func (d *decoder) number() uint64 { return binary.BigEndian.Uint64(d.take(8)) }
func (d *decoder) or(s string) error {
	if d.err != nil {
		return damaged("its head cannot be read: %w", d.err)
	}
	return damaged("%s", s)
}

func damaged(format string, args ...any) error {
	return holo.Refuse(holo.Corrupt, ReasonDamaged, "read checkpoint: "+format, args...)
}

// isZero reports whether a page is all zeros.
func isZero(page []byte) bool {
	var or uint64
	for len(page) >= 8 {
		or |= binary.NativeEndian.Uint64(page)
		page = page[8:]
	}
	return or == 0
}

// Writer writes a checkpoint. Whoever makes one writes all pages and closes it.
type Writer struct {
	w    io.Writer
	left uint64
	root digest.RootOf
}

// NewWriter writes the head.
func NewWriter(w io.Writer, h Head) (*Writer, error) {
	if err := h.check(); err != nil {
		return nil, holo.Errorf(holo.Invalid, "write checkpoint of array %s: %w", h.Name, err)
	}
	if _, err := w.Write(h.encode()); err != nil {
		return nil, err
	}
	return &Writer{w: w, left: h.Pages(), root: digest.NewRoot(h.Pages())}, nil
}

// Page writes the next page: 64 KiB, zeros behind the array's end.
func (w *Writer) Page(page []byte) error {
	if w.left == 0 || len(page) != holo.PageSize {
		return holo.Errorf(holo.Internal, "write checkpoint: %d bytes where %d pages are left", len(page), w.left)
	}
	w.left--
	if isZero(page) {
		w.root.Add(digest.Zero)
		_, err := w.w.Write([]byte{markZero})
		return err
	}
	sum := digest.Of(page)
	w.root.Add(sum)
	if _, err := w.w.Write(append([]byte{markData}, sum[:]...)); err != nil {
		return err
	}
	_, err := w.w.Write(page)
	return err
}

// Close writes the root and gives it. It does not close what it writes to.
func (w *Writer) Close() (holo.Digest, error) {
	if w.left > 0 {
		return holo.Digest{}, holo.Errorf(holo.Internal, "write checkpoint: %d pages are missing", w.left)
	}
	root := w.root.Sum()
	_, err := w.w.Write(append([]byte{markRoot}, root[:]...))
	return root, err
}

// Reader reads a checkpoint.
type Reader struct {
	Head Head
	r    io.Reader
	next uint64
	root digest.RootOf
}

// NewReader reads the head.
func NewReader(r io.Reader) (*Reader, error) {
	h, err := decodeHead(r)
	if err != nil {
		return nil, err
	}
	return &Reader{Head: h, r: r, root: digest.NewRoot(h.Pages())}, nil
}

// Page reads the next page into page, which holds 64 KiB, and reports whether it
// is all zeros. An error names the page.
func (r *Reader) Page(page []byte) (zero bool, err error) {
	var mark [1]byte
	if _, err := io.ReadFull(r.r, mark[:]); err != nil {
		return false, r.cut(err)
	}
	r.next++
	switch mark[0] {
	case markZero:
		clear(page)
		r.root.Add(digest.Zero)
		return true, nil
	case markData:
		return false, r.data(page)
	}
	return false, damaged("page %d of %d: there is something else in its place", r.next-1, r.Head.Pages())
}

func (r *Reader) data(page []byte) error {
	var sum holo.Digest
	if _, err := io.ReadFull(r.r, sum[:]); err != nil {
		r.next--
		return r.cut(err)
	}
	if _, err := io.ReadFull(r.r, page); err != nil {
		r.next--
		return r.cut(err)
	}
	if !digest.Check(page, sum) || isZero(page) {
		return damaged("page %d of %d: its bytes are not what was written", r.next-1, r.Head.Pages())
	}
	r.root.Add(sum)
	return nil
}

func (r *Reader) cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("page %d of %d: the file ends before it does", r.next, r.Head.Pages())
	}
	return damaged("page %d of %d: %w", r.next, r.Head.Pages(), err)
}

// Close reads the root behind the last page and the end of the file behind that,
// and gives the root if it is that of the pages.
func (r *Reader) Close() (holo.Digest, error) {
	var end [1 + len(holo.Digest{})]byte
	if _, err := io.ReadFull(r.r, end[:]); err != nil {
		return holo.Digest{}, damaged("the root behind the last of %d pages: %w", r.Head.Pages(), err)
	}
	root := r.root.Sum()
	if end[0] != markRoot || holo.Digest(end[1:]) != root || r.next != r.Head.Pages() {
		return holo.Digest{}, damaged("its %d pages do not have its root", r.Head.Pages())
	}
	if n, err := r.r.Read(end[:1]); n > 0 || !errors.Is(err, io.EOF) {
		return holo.Digest{}, damaged("there is something behind its end: %w", errors.Join(err, errors.New("more bytes")))
	}
	return root, nil
}
