package holocompute

import (
	"context"
	"errors"
	"io"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
)

// Import writes the whole array from a stream of its elements, little endian.
// A stream that ends early or goes on too long is an error. It holds 4 MiB at a
// time; done, which may be nil, is told the bytes written so far.
func (r *Raw) Import(ctx context.Context, src io.Reader, done func(bytes uint64)) error {
	buf := make([]byte, api.MaxUpload)
	size, total := r.typ.Size(), r.info.Bytes
	for at := uint64(0); at < total; {
		piece := buf[:min(uint64(len(buf)), total-at)]
		if _, err := io.ReadFull(src, piece); err != nil {
			return sourceError(r, at, err)
		}
		if err := r.WriteBytes(ctx, at/size, piece); err != nil {
			return err
		}
		at += uint64(len(piece))
		if done != nil {
			done(at)
		}
	}
	switch n, err := io.ReadFull(src, buf[:1]); {
	case n > 0:
		return holo.Errorf(Invalid, "import array %s: the source is longer than the array's %d bytes", r.info.Name, total)
	case !errors.Is(err, io.EOF):
		return sourceError(r, total, err)
	}
	return nil
}

func sourceError(r *Raw, at uint64, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return holo.Errorf(Invalid, "import array %s: the source ends after %d bytes or a little more, the array has %d", r.info.Name, at, r.info.Bytes)
	}
	return holo.Errorf(KindOf(err), "import array %s: %w", r.info.Name, err)
}

// Export writes all elements of the array to a stream, little endian, 4 MiB at
// a time.
func (r *Raw) Export(ctx context.Context, dst io.Writer, done func(bytes uint64)) error {
	buf := make([]byte, api.MaxUpload)
	size, total := r.typ.Size(), r.info.Bytes
	for at := uint64(0); at < total; {
		piece := buf[:min(uint64(len(buf)), total-at)]
		if err := r.ReadBytes(ctx, at/size, piece); err != nil {
			return err
		}
		if _, err := dst.Write(piece); err != nil {
			return holo.Errorf(Internal, "export array %s: %w", r.info.Name, err)
		}
		at += uint64(len(piece))
		if done != nil {
			done(at)
		}
	}
	return nil
}

// ExportTogether reads arrays of one length side by side and gives f the next
// elements of each, little endian, as many of one as of the others, until the
// last. What f is given holds 4 MiB in all and is good until f returns; an
// error of f ends the export. Several arrays are not read at one moment: seal
// them where they may be written meanwhile. To write them as a CSV file, see
// `holo array export`.
func ExportTogether(ctx context.Context, arrays []*Raw, f func(columns [][]byte) error) error {
	if len(arrays) == 0 {
		return nil
	}
	width, length := uint64(0), arrays[0].Len()
	for _, r := range arrays {
		if r.Len() != length {
			return holo.Errorf(Invalid, "export arrays together: %s has %d elements, %s has %d: want one length", arrays[0].info.Name, length, r.info.Name, r.Len())
		}
		width += r.typ.Size()
	}
	block := max(api.MaxUpload/width, 1)
	columns := make([][]byte, len(arrays))
	for i, r := range arrays {
		columns[i] = make([]byte, min(block, length)*r.typ.Size())
	}
	for at := uint64(0); at < length; at += block {
		if err := readBlock(ctx, arrays, at, min(block, length-at), columns); err != nil {
			return err
		}
		if err := f(columns); err != nil {
			return err
		}
	}
	return nil
}

// readBlock reads count elements of each array into its column.
func readBlock(ctx context.Context, arrays []*Raw, first, count uint64, columns [][]byte) error {
	for i, r := range arrays {
		columns[i] = columns[i][:count*r.typ.Size()]
		if err := r.ReadBytes(ctx, first, columns[i]); err != nil {
			return err
		}
	}
	return nil
}
