package format

import (
	"io"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
)

// CSVWriter writes columns of one length side by side: a header with their
// names, unless there is to be none, then a row for each element, lines ended
// by LF. What it writes, reading gives back, floats to the bit: but not which
// NaN it was, nor that numbers without a fraction were floats, unless the type
// is given then.
type CSVWriter struct {
	w     io.Writer
	types []holo.ElementType
	comma byte
	left  uint64 // rows
	text  []byte
}

// NewCSVWriter begins a file of columns, all with as many rows as the first. Of
// the options it takes the delimiter, and from Header whether there is one.
func NewCSVWriter(w io.Writer, columns []Column, o CSVOptions) (*CSVWriter, error) {
	if len(columns) == 0 || len(columns) > maxCSVColumns {
		return nil, holo.Errorf(holo.Invalid, "write csv: %d columns, want 1 to %d", len(columns), maxCSVColumns)
	}
	c := &CSVWriter{w: w, comma: o.Delimiter, left: columns[0].Rows}
	if c.comma == 0 {
		c.comma = ','
	}
	for i, column := range columns {
		if column.Rows != c.left || !column.Type.Valid() {
			return nil, holo.Errorf(holo.Invalid, "write csv: %q has %d elements of type %s, %q has %d: a row needs one of each", column.Name, column.Rows, column.Type, columns[0].Name, c.left)
		}
		c.types = append(c.types, column.Type)
		if i > 0 {
			c.text = append(c.text, c.comma)
		}
		c.text = append(c.text, quoted(column.Name, c.comma)...)
	}
	if o.Header == HeaderNo {
		c.text = c.text[:0]
		return c, nil
	}
	if len(c.text) >= maxCSVRow {
		return nil, holo.Errorf(holo.Invalid, "write csv: a header of %d bytes, at most %d", len(c.text), maxCSVRow-1)
	}
	c.text = append(c.text, '\n')
	return c, c.flush()
}

// quoted is a name as a field: in quotes where a reader would take it for
// something else.
func quoted(name string, comma byte) string {
	if name != "" && !strings.ContainsAny(name, "\"\r\n"+string(comma)) {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// Write takes the next elements of each column, as many of one as of the
// other, little endian.
func (c *CSVWriter) Write(columns [][]byte) error {
	if len(columns) != len(c.types) {
		return holo.Errorf(holo.Internal, "write csv: %d columns of %d", len(columns), len(c.types))
	}
	rows := uint64(len(columns[0])) / c.types[0].Size()
	for i, t := range c.types {
		if uint64(len(columns[i])) != rows*t.Size() {
			return holo.Errorf(holo.Internal, "write csv: %d bytes of column %d for %d rows", len(columns[i]), i+1, rows)
		}
	}
	if rows > c.left {
		return holo.Errorf(holo.Internal, "write csv: %d rows more than promised", rows-c.left)
	}
	c.left -= rows
	for at := range rows {
		if err := c.row(columns, at); err != nil {
			return err
		}
	}
	return c.flush()
}

func (c *CSVWriter) row(columns [][]byte, at uint64) error {
	for i, t := range c.types {
		if i > 0 {
			c.text = append(c.text, c.comma)
		}
		c.text = appendText(c.text, columns[i][at*t.Size():], t)
	}
	c.text = append(c.text, '\n')
	if len(c.text) < csvElements {
		return nil
	}
	return c.flush()
}

func (c *CSVWriter) flush() error {
	_, err := c.w.Write(c.text)
	c.text = c.text[:0]
	if err != nil {
		return holo.Errorf(holo.Internal, "write csv: %w", err)
	}
	return nil
}

// Close checks that all rows came. It does not close what is beneath.
func (c *CSVWriter) Close() error {
	if c.left > 0 {
		return holo.Errorf(holo.Internal, "write csv: %d rows are missing", c.left)
	}
	return nil
}
