package format

import (
	"errors"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/endian"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/holocompute/holocompute/internal/holo"
)

// Limits of an Arrow file. A batch is in memory whole.
const (
	maxArrowMeta  = 16 << 20
	maxArrowBatch = 512 << 20
)

// boundedAllocator refuses what no honest batch needs, such as a compressed
// buffer that claims to be enormous. Its panic becomes an error in guarded.
type boundedAllocator struct{ memory.Allocator }

func (a boundedAllocator) Allocate(size int) []byte {
	a.check(size)
	return a.Allocator.Allocate(size)
}

func (a boundedAllocator) Reallocate(size int, b []byte) []byte {
	a.check(size)
	return a.Allocator.Reallocate(size, b)
}

func (boundedAllocator) check(size int) {
	if size < 0 || size > maxArrowBatch {
		panic("a buffer of more than 512 MiB")
	}
}

// arrowScan opens the file anew and gives its schema and its batches in turn;
// next ends with io.EOF. A batch is good until the next one is asked for.
type arrowScan func() (s *arrow.Schema, next func() (arrow.RecordBatch, error), err error)

func scanArrow(r io.ReaderAt, size int64, f Format) arrowScan {
	options := []ipc.Option{
		ipc.WithAllocator(boundedAllocator{memory.NewGoAllocator()}),
		ipc.WithMetadataSizeLimit(maxArrowMeta), ipc.WithBodySizeLimit(maxArrowBatch),
		ipc.WithEnsureNativeEndian(false),
	}
	if f == ArrowStream {
		return func() (*arrow.Schema, func() (arrow.RecordBatch, error), error) {
			sr, err := ipc.NewReader(io.NewSectionReader(r, 0, size), options...)
			if err != nil {
				return nil, nil, damaged(err)
			}
			return sr.Schema(), func() (arrow.RecordBatch, error) { return sr.Read() }, nil
		}
	}
	return func() (*arrow.Schema, func() (arrow.RecordBatch, error), error) {
		fr, err := ipc.NewFileReader(io.NewSectionReader(r, 0, size), options...)
		if err != nil {
			return nil, nil, damaged(err)
		}
		at := 0
		return fr.Schema(), func() (arrow.RecordBatch, error) {
			if at == fr.NumRecords() {
				return nil, io.EOF
			}
			at++
			return fr.RecordBatchAt(at - 1)
		}, nil
	}
}

func damaged(err error) error {
	return holo.Errorf(holo.Corrupt, "the file is damaged: %w", err)
}

// readArrow goes through the file once, to count rows and nulls: a stream says
// neither in front. What is wrong in the last batch is found before the first
// element is used.
func readArrow(r io.ReaderAt, size int64, f Format) (*File, error) {
	measure := measureFooter
	if f == ArrowStream {
		measure = measureStream
	}
	if err := measure(r, size); err != nil {
		return nil, err
	}
	scan := scanArrow(r, size, f)
	schema, next, err := scan()
	if err != nil {
		return nil, err
	}
	if !schema.IsNativeEndian() || endian.IsBigEndian {
		return nil, holo.Errorf(holo.Invalid, "its numbers are big-endian, want little-endian")
	}
	rows, nulls := uint64(0), make([]uint64, schema.NumFields())
	for {
		batch, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, damaged(err)
		}
		rows += uint64(batch.NumRows())
		for i := range nulls {
			nulls[i] += uint64(batch.Column(i).NullN())
		}
		batch.Release()
	}
	return arrowFile(schema, rows, nulls, scan), nil
}

func arrowFile(schema *arrow.Schema, rows uint64, nulls []uint64, scan arrowScan) *File {
	file := &File{}
	for i, field := range schema.Fields() {
		t, unit, ok := arrowType(field.Type)
		switch {
		case !ok:
			file.skip(field.Name, "its type is %s; want fixed-width integers, float32, float64 or a time", field.Type)
		case nulls[i] > 0:
			file.skip(field.Name, "it has %d nulls among %d rows", nulls[i], rows)
		case len(schema.FieldIndices(field.Name)) > 1:
			file.skip(field.Name, "there are several columns of this name")
		default:
			file.columns = append(file.columns, column{
				Column: Column{Name: field.Name, Type: t, Rows: rows, Unit: unit},
				open:   func() (io.Reader, error) { return readArrowColumn(scan, i, t) },
			})
		}
	}
	return file
}

func readArrowColumn(scan arrowScan, i int, t holo.ElementType) (io.Reader, error) {
	_, next, err := scan()
	if err != nil {
		return nil, err
	}
	var held arrow.RecordBatch
	return &batches{next: func() ([]byte, error) {
		if held != nil {
			held.Release()
			held = nil
		}
		batch, err := next()
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		if err != nil {
			return nil, damaged(err)
		}
		held = batch
		return arrowBytes(batch.Column(i).Data(), t)
	}}, nil
}

// arrowBytes is the values' part of a column's buffer, in place.
func arrowBytes(d arrow.ArrayData, t holo.ElementType) ([]byte, error) {
	if d.Len() == 0 {
		return nil, nil
	}
	size := int(t.Size())
	first, end := d.Offset()*size, (d.Offset()+d.Len())*size
	if bufs := d.Buffers(); len(bufs) < 2 || bufs[1] == nil || bufs[1].Len() < end {
		return nil, holo.Errorf(holo.Corrupt, "the file is damaged: a batch of %d rows without their values", d.Len())
	}
	return d.Buffers()[1].Bytes()[first:end], nil
}

// arrowTypes are the types whose values lie as our elements do.
var arrowTypes = map[arrow.Type]holo.ElementType{
	arrow.INT8: holo.I8, arrow.INT16: holo.I16, arrow.INT32: holo.I32, arrow.INT64: holo.I64,
	arrow.UINT8: holo.U8, arrow.UINT16: holo.U16, arrow.UINT32: holo.U32, arrow.UINT64: holo.U64,
	arrow.FLOAT32: holo.F32, arrow.FLOAT64: holo.F64,
	arrow.DATE32: holo.I32, arrow.DATE64: holo.I64,
}

func arrowType(t arrow.DataType) (e holo.ElementType, unit int64, ok bool) {
	switch t := t.(type) {
	case *arrow.TimestampType:
		return holo.I64, int64(t.Unit.Multiplier()), true
	case *arrow.Date32Type:
		return holo.I32, 24 * 3600 * 1e9, true
	case *arrow.Date64Type:
		return holo.I64, 1e6, true
	}
	e, ok = arrowTypes[t.ID()]
	return e, 0, ok
}
