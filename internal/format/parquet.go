package format

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"

	"github.com/parquet-go/parquet-go"
	pq "github.com/parquet-go/parquet-go/format"

	"github.com/holocompute/holocompute/internal/holo"
)

// parquetBatch is the number of values decoded at a time.
const parquetBatch = 8 << 10

func readParquet(r io.ReaderAt, size int64) (*File, error) {
	p, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(256<<10))
	if err != nil {
		return nil, damaged(err)
	}
	if p.NumRows() < 0 || p.NumRows() > holo.MaxElements {
		return nil, holo.Errorf(holo.Corrupt, "the file is damaged: %d rows", p.NumRows())
	}
	file := &File{}
	for _, path := range p.Schema().Columns() {
		name := strings.Join(path, ".")
		leaf, ok := p.Schema().Lookup(path...)
		switch t, unit, known := parquetType(leaf.Node); {
		case !ok || len(path) > 1 || leaf.Node.Repeated():
			file.skip(name, "it is nested")
		case !known:
			file.skip(name, "its type is %s; want integers, floats or a time", leaf.Node.Type())
		default:
			col := Column{Name: name, Type: t, Rows: uint64(p.NumRows()), Unit: unit}
			file.columns = append(file.columns, column{Column: col, open: func() (io.Reader, error) {
				return readParquetColumn(p, leaf.ColumnIndex, col)
			}})
		}
	}
	return file, nil
}

// parquetType maps a column's physical and logical type. The logical type of
// an integer narrows it; a time is its count of ticks.
func parquetType(n parquet.Node) (t holo.ElementType, unit int64, ok bool) {
	if n == nil || !n.Leaf() {
		return 0, 0, false
	}
	switch n.Type().Kind() {
	case parquet.Float:
		return holo.F32, 0, true
	case parquet.Double:
		return holo.F64, 0, true
	case parquet.Int32, parquet.Int64:
		return parquetInteger(n.Type())
	}
	return 0, 0, false
}

func parquetInteger(t parquet.Type) (e holo.ElementType, unit int64, ok bool) {
	wide := map[parquet.Kind]holo.ElementType{parquet.Int32: holo.I32, parquet.Int64: holo.I64}[t.Kind()]
	l := t.LogicalType()
	if l == nil {
		return wide, 0, true
	}
	switch l := l.Value.(type) {
	case nil:
		return wide, 0, true
	case *pq.IntType:
		e = integerTypes[integer{l.BitWidth, l.IsSigned}]
		return e, 0, e.Valid()
	case *pq.TimestampType:
		return wide, tick(l.Unit), true
	case *pq.TimeType:
		return wide, tick(l.Unit), true
	case *pq.DateType:
		return wide, 24 * 3600 * 1e9, true
	}
	return 0, 0, false // a decimal: its integers would be wrong by a power of ten
}

type integer struct {
	bits   int8
	signed bool
}

var integerTypes = map[integer]holo.ElementType{
	{8, true}: holo.I8, {16, true}: holo.I16, {32, true}: holo.I32, {64, true}: holo.I64,
	{8, false}: holo.U8, {16, false}: holo.U16, {32, false}: holo.U32, {64, false}: holo.U64,
}

func tick(u pq.TimeUnit) int64 {
	if u.Value == nil {
		return 0
	}
	return int64(u.Value.Duration())
}

// readParquetColumn counts the nulls first, from the levels alone, so that a
// column with nulls is refused before its first element is used.
func readParquetColumn(p *parquet.File, index int, c Column) (io.Reader, error) {
	nulls, err := countNulls(p, index)
	if err != nil {
		return nil, damaged(err)
	}
	if nulls > 0 {
		return nil, holo.Errorf(holo.Invalid, "column %q cannot be an array: it has %d nulls among %d rows", c.Name, nulls, c.Rows)
	}
	s := &parquetScan{groups: p.RowGroups(), index: index, t: c.Type, values: make([]parquet.Value, parquetBatch)}
	return &batches{next: s.next}, nil
}

func countNulls(p *parquet.File, index int) (nulls int64, err error) {
	for _, g := range p.RowGroups() {
		pages := g.ColumnChunks()[index].Pages()
		for {
			page, err := pages.ReadPage()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return 0, errors.Join(err, pages.Close())
			}
			nulls += page.NumNulls()
			parquet.Release(page)
		}
		if err := pages.Close(); err != nil {
			return 0, err
		}
	}
	return nulls, nil
}

// parquetScan goes through the pages of one column in all row groups.
type parquetScan struct {
	groups []parquet.RowGroup // those not yet begun
	index  int
	t      holo.ElementType
	pages  parquet.Pages // of the group in hand
	page   parquet.Page
	reader parquet.ValueReader
	values []parquet.Value
	out    []byte
}

// next gives the next batch of elements, io.EOF after the last.
func (s *parquetScan) next() ([]byte, error) {
	for {
		if s.reader == nil {
			if err := s.turn(); err != nil {
				return nil, err
			}
		}
		n, err := s.reader.ReadValues(s.values)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, damaged(err)
		}
		if err != nil || n == 0 {
			s.reader = nil
		}
		if n > 0 {
			return s.encode(s.values[:n])
		}
	}
}

// turn moves to the next page, in the next group where this one is done.
func (s *parquetScan) turn() error {
	if s.page != nil {
		parquet.Release(s.page)
		s.page = nil
	}
	for {
		if s.pages == nil {
			if len(s.groups) == 0 {
				return io.EOF
			}
			s.pages = s.groups[0].ColumnChunks()[s.index].Pages()
			s.groups = s.groups[1:]
		}
		page, err := s.pages.ReadPage()
		if err == nil {
			s.page, s.reader = page, page.Values()
			return nil
		}
		if !errors.Is(err, io.EOF) {
			return damaged(err)
		}
		if err := s.pages.Close(); err != nil {
			return damaged(err)
		}
		s.pages = nil
	}
}

// encode lays the values out as elements.
func (s *parquetScan) encode(values []parquet.Value) ([]byte, error) {
	b := s.out[:0]
	for i := range values {
		v := &values[i]
		if v.IsNull() {
			return nil, holo.Errorf(holo.Corrupt, "the file is damaged: a null where its levels say there is none")
		}
		switch s.t {
		case holo.F32:
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v.Float()))
		case holo.F64:
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v.Double()))
		case holo.I8, holo.U8:
			b = append(b, byte(v.Int32()))
		case holo.I16, holo.U16:
			b = binary.LittleEndian.AppendUint16(b, uint16(v.Int32()))
		case holo.I32, holo.U32:
			b = binary.LittleEndian.AppendUint32(b, uint32(v.Int32()))
		default:
			b = binary.LittleEndian.AppendUint64(b, uint64(v.Int64()))
		}
	}
	s.out = b
	return b, nil
}
