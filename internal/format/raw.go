package format

import (
	"io"

	"github.com/holocompute/holocompute/internal/holo"
)

// readRaw takes a file that is nothing but little-endian elements.
func readRaw(r io.ReaderAt, size int64, t holo.ElementType) (*File, error) {
	if !t.Valid() {
		return nil, holo.Errorf(holo.Invalid, "a raw file does not say its element type: give one of i8 i16 i32 i64 u8 u16 u32 u64 f32 f64")
	}
	if uint64(size)%t.Size() != 0 {
		return nil, holo.Errorf(holo.Invalid, "%d bytes are not a whole number of %s elements", size, t)
	}
	return &File{columns: []column{{
		Column: Column{Type: t, Rows: uint64(size) / t.Size()},
		open:   func() (io.Reader, error) { return io.NewSectionReader(r, 0, size), nil },
	}}}, nil
}

// Writer writes one column to a file: the elements' bytes through Write, then
// Close, which fails when fewer or more came than the head promised.
type Writer struct {
	w    io.Writer
	left uint64
}

// NewWriter begins a file of format Raw or Npy, of one to MaxDims dimensions.
func NewWriter(w io.Writer, f Format, t holo.ElementType, dims ...uint64) (*Writer, error) {
	rows, ok := volume(dims)
	if !t.Valid() || !ok || len(dims) == 0 || len(dims) > MaxDims {
		return nil, holo.Errorf(holo.Invalid, "write %s: dimensions %d of type %s", f, dims, t)
	}
	switch f {
	case Raw:
	case Npy:
		if _, err := w.Write(npyHead(t, dims...)); err != nil {
			return nil, holo.Errorf(holo.Internal, "write npy head: %w", err)
		}
	default:
		return nil, holo.Errorf(holo.Invalid, "write %s: only raw, npy and csv can be written", f)
	}
	return &Writer{w: w, left: rows * t.Size()}, nil
}

// Write takes the next bytes.
func (w *Writer) Write(p []byte) (int, error) {
	if uint64(len(p)) > w.left {
		return 0, holo.Errorf(holo.Internal, "write column: %d bytes more than promised", uint64(len(p))-w.left)
	}
	n, err := w.w.Write(p)
	w.left -= uint64(n)
	return n, err
}

// Close checks that all came. It does not close what is beneath.
func (w *Writer) Close() error {
	if w.left > 0 {
		return holo.Errorf(holo.Internal, "write column: %d bytes are missing", w.left)
	}
	return nil
}
