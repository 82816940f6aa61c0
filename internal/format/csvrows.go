package format

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/holocompute/holocompute/internal/holo"
)

// Limits of a CSV file. With them reading one holds less than 8 pages, of a
// file however long: a page of the source, a row, half a page of elements, and
// what is known of each column. With the most columns, and something wrong with
// each, the last grows to less than 64 pages.
const (
	maxCSVRow     = 64 << 10 // bytes, with quotes and line end
	maxCSVColumns = 1024     // at 20 digits each a third of a row
	csvBuffer     = holo.PageSize
	csvElements   = holo.PageSize / 2 // bytes of elements made at a time
)

// csvRows reads RFC 4180 row by row: fields apart by a delimiter, in quotes
// where they hold one, a quote in quotes written twice; lines end with LF or
// CR LF, the last one perhaps with nothing. All else is an error: a quote
// within a field, text behind a closing quote, a carriage return by itself, a
// row of other than the first one's number of fields, so an empty line too.
//
// encoding/csv is not used because it drops empty lines without a word and
// takes carriage returns as text; it is the tests' second opinion.
type csvRows struct {
	r     *bufio.Reader
	comma byte
	width int // fields of each row; 0 before the first

	row    []byte // the fields of the row in hand one after the other, quotes undone
	ends   []int  // where each ends
	number uint64 // of the row in hand; the header is row 1
	line   uint64 // on which it begins
	lines  uint64 // line ends so far
}

// newCSVRows begins at the first byte, or behind a byte order mark of UTF-8.
func newCSVRows(r io.Reader, comma byte) (*csvRows, error) {
	s := &csvRows{r: bufio.NewReaderSize(r, csvBuffer), comma: comma}
	head, err := s.r.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}) {
		return nil, holo.Errorf(holo.Invalid, "it is UTF-16, want UTF-8 (iconv -f UTF-16 -t UTF-8)")
	}
	if string(head) != "\xef\xbb\xbf" {
		return s, nil
	}
	_, err = s.r.Discard(len(head))
	return s, err
}

// csvState is where in a row the scanner stands.
type csvState uint8

const (
	fieldStart csvState = iota
	inField
	inQuotes
	afterQuote  // a quote in quotes: the closing one, or the first of two
	afterReturn // a carriage return, whose line feed must follow
	rowDone
)

// next reads a row, io.EOF after the last. It keeps no more of one than the
// limit, whatever is or is not closed.
func (s *csvRows) next() error {
	s.row, s.ends = s.row[:0], s.ends[:0]
	s.number, s.line = s.number+1, s.lines+1
	state, size := fieldStart, 0
	for state != rowDone {
		at, err := s.atHand()
		if errors.Is(err, io.EOF) {
			err = s.last(state, size)
			state = rowDone
		}
		if err == nil {
			state, at, err = s.takeAll(state, at[:min(len(at), maxCSVRow+1-size)])
		}
		if size += len(at); err == nil && size > maxCSVRow {
			err = s.wrong("is longer than %d bytes, the most that a row can have; a quote that is not closed does that too", maxCSVRow)
		}
		if err != nil {
			return err
		}
	}
	return s.even()
}

// atHand is what is in the buffer, filled again where it is empty.
func (s *csvRows) atHand() ([]byte, error) {
	if s.r.Buffered() == 0 {
		if _, err := s.r.Peek(1); err != nil {
			return nil, err
		}
	}
	return s.r.Peek(s.r.Buffered())
}

// takeAll takes bytes up to the end of the row, and gives those that it took.
func (s *csvRows) takeAll(state csvState, at []byte) (csvState, []byte, error) {
	var err error
	for i, b := range at {
		if b == '\n' {
			s.lines++
		}
		if state, err = s.step(state, b); err != nil || state == rowDone {
			at = at[:i+1]
			break
		}
	}
	if _, gone := s.r.Discard(len(at)); err == nil {
		err = gone
	}
	return state, at, err
}

// step is the machine: it takes one byte, and gives the state after it.
func (s *csvRows) step(state csvState, b byte) (csvState, error) {
	switch {
	case state == inQuotes && b == '"':
		return afterQuote, nil
	case state == inQuotes:
		s.row = append(s.row, b)
		return inQuotes, nil
	case state == afterReturn && b == '\n':
		return rowDone, s.endField()
	case state == afterReturn:
		return 0, s.wrong("has a carriage return that no line feed follows: lines end with LF or CR LF")
	case state == afterQuote && b == '"':
		s.row = append(s.row, b)
		return inQuotes, nil
	case state == fieldStart && b == '"':
		return inQuotes, nil
	case b == s.comma:
		return fieldStart, s.endField()
	case b == '\n':
		return rowDone, s.endField()
	case b == '\r':
		return afterReturn, nil
	case b == '"':
		return 0, s.wrong("has a quote inside a field that does not begin with one: put the field in quotes, and write the quote twice")
	case state == afterQuote:
		return 0, s.wrong("has text behind the quote that closes a field: a quote in a field is written twice")
	}
	s.row = append(s.row, b)
	return inField, nil
}

func (s *csvRows) endField() error {
	if len(s.ends) == maxCSVColumns {
		return s.wrong("has more than %d fields", maxCSVColumns)
	}
	s.ends = append(s.ends, len(s.row))
	return nil
}

// last ends the row with the source.
func (s *csvRows) last(state csvState, size int) error {
	switch {
	case size == 0:
		return io.EOF
	case state == inQuotes:
		return s.wrong("begins a field with a quote that is never closed")
	case state == afterReturn:
		return s.wrong("has a carriage return that no line feed follows: lines end with LF or CR LF")
	}
	return s.endField()
}

// even wants each row to have the first one's number of fields.
func (s *csvRows) even() error {
	n := len(s.ends)
	switch {
	case s.width == 0:
		s.width = n
	case n != s.width && n == 1 && len(s.row) == 0:
		return s.wrong("is an empty line, want %s as in the first row", fields(s.width))
	case n != s.width:
		return s.wrong("has %s, the first row %s", fields(n), fields(s.width))
	}
	return nil
}

func fields(n int) string {
	if n == 1 {
		return "1 field"
	}
	return fmt.Sprintf("%d fields", n)
}

// field is the text of field i of the row in hand, good until the next row.
func (s *csvRows) field(i int) []byte {
	from := 0
	if i > 0 {
		from = s.ends[i-1]
	}
	return s.row[from:s.ends[i]]
}

// place says which row is in hand, and the line where they are not the same.
func (s *csvRows) place() string {
	if s.line == s.number {
		return fmt.Sprintf("row %d", s.number)
	}
	return fmt.Sprintf("row %d (line %d)", s.number, s.line)
}

// say is what is wrong with a field of the row in hand.
func (s *csvRows) say(text []byte, why string) string {
	return fmt.Sprintf("%s is %q, which %s", s.place(), cut(text), why)
}

func (s *csvRows) wrong(format string, args ...any) error {
	return holo.Errorf(holo.Invalid, "%s %s", s.place(), fmt.Sprintf(format, args...))
}
