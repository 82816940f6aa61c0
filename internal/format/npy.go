package format

import (
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
)

const (
	npyMagic = "\x93NUMPY"
	// npyAlign is what NumPy aligns the data to.
	npyAlign = 64
	// maxNpyHead bounds the text of the head. NumPy itself refuses more than
	// 10,000 unless told otherwise; a 1-D array needs 60.
	maxNpyHead = 10_000
)

// npyTypes maps NumPy's descr to element types. One byte has no byte order.
var npyTypes = map[string]holo.ElementType{
	"|i1": holo.I8, "<i2": holo.I16, "<i4": holo.I32, "<i8": holo.I64,
	"|u1": holo.U8, "<u2": holo.U16, "<u4": holo.U32, "<u8": holo.U64,
	"<f4": holo.F32, "<f8": holo.F64,
}

func readNpy(r io.ReaderAt, size int64) (*File, error) {
	text, start, err := npyText(r, size)
	if err != nil {
		return nil, err
	}
	t, dims, err := parseNpy(text)
	if err != nil {
		return nil, err
	}
	rows, _ := volume(dims) // counted when it was read
	if have := uint64(size - start); have != rows*t.Size() {
		return nil, holo.Errorf(holo.Corrupt, "the head says %d elements of %s, %d bytes; there are %d", rows, t, rows*t.Size(), have)
	}
	return &File{columns: []column{{
		Column: Column{Type: t, Rows: rows, Dims: dims},
		open:   func() (io.Reader, error) { return io.NewSectionReader(r, start, size-start), nil },
	}}}, nil
}

// npyText reads the fixed part of the head and gives its text and where the
// data begins.
func npyText(r io.ReaderAt, size int64) (text string, start int64, err error) {
	var head [12]byte
	n, _ := r.ReadAt(head[:min(size, 12)], 0) // a short head is no .npy file, whatever the reason
	if n < 10 || string(head[:6]) != npyMagic {
		return "", 0, holo.Errorf(holo.Invalid, "not a .npy file")
	}
	var length int64
	switch {
	case head[6] == 1 && head[7] == 0:
		start, length = 10, int64(binary.LittleEndian.Uint16(head[8:]))
	case head[6] == 2 && head[7] == 0 && n == 12:
		start, length = 12, int64(binary.LittleEndian.Uint32(head[8:]))
	default:
		return "", 0, holo.Errorf(holo.Invalid, ".npy version %d.%d: want 1.0 or 2.0", head[6], head[7])
	}
	if length > maxNpyHead || length > size-start {
		return "", 0, holo.Errorf(holo.Corrupt, ".npy head of %d bytes: at most %d, and the file has %d", length, maxNpyHead, size)
	}
	b := make([]byte, length)
	if _, err := r.ReadAt(b, start); err != nil && length > 0 && err != io.EOF {
		return "", 0, holo.Errorf(holo.Internal, "read .npy head: %w", err)
	}
	return string(b), start + length, nil
}

// parseNpy reads the head's text: a Python dict with exactly the three keys
// 'descr', 'fortran_order' and 'shape', in any order, each once.
func parseNpy(text string) (t holo.ElementType, dims []uint64, err error) {
	p := npyParser{rest: text}
	seen := map[string]bool{}
	p.want("{")
	for p.err == nil && !p.take("}") {
		name := p.quoted()
		p.want(":")
		if seen[name] {
			p.fail("the key %q twice", name)
		}
		seen[name] = true
		switch name {
		case "descr":
			t = p.descr()
		case "fortran_order":
			p.order()
		case "shape":
			dims = p.shape()
		default:
			p.fail("the key %q", name)
		}
		if !p.take(",") && !strings.HasPrefix(p.rest, "}") {
			p.fail("no comma before %.20q", p.rest)
		}
	}
	if p.err == nil && len(seen) != 3 {
		p.fail("%d keys, want descr, fortran_order and shape", len(seen))
	}
	if p.err == nil && p.rest != "\n" {
		p.fail("%.20q after the dict, want spaces and a line end", p.rest)
	}
	if p.err != nil {
		return 0, nil, holo.Errorf(holo.Invalid, ".npy head: %w", p.err)
	}
	return t, dims, nil
}

// npyParser eats the text from the front; after the first error it does
// nothing more.
type npyParser struct {
	rest string
	err  error
}

func (p *npyParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// take eats a token if it comes next, and the spaces after it.
func (p *npyParser) take(token string) bool {
	after, ok := strings.CutPrefix(p.rest, token)
	if !ok || p.err != nil {
		return false
	}
	p.rest = strings.TrimLeft(after, " ")
	return true
}

func (p *npyParser) want(token string) {
	if !p.take(token) {
		p.fail("want %q before %.20q", token, p.rest)
	}
}

func (p *npyParser) quoted() string {
	if p.rest == "" || p.rest[0] != '\'' && p.rest[0] != '"' {
		p.fail("want a string before %.20q", p.rest)
		return ""
	}
	s, after, ok := strings.Cut(p.rest[1:], p.rest[:1])
	if !ok || strings.ContainsAny(s, "\\\n") {
		p.fail("a string that does not end")
		return ""
	}
	p.rest = strings.TrimLeft(after, " ")
	return s
}

func (p *npyParser) descr() holo.ElementType {
	if strings.HasPrefix(p.rest, "[") {
		p.fail("records of several fields; want one number per element")
		return 0
	}
	s := p.quoted()
	t, ok := npyTypes[s]
	switch {
	case ok:
	case strings.HasPrefix(s, ">"):
		p.fail("the type %q is big-endian; want little-endian (in NumPy: a.astype(%q))", s, "<"+s[1:])
	default:
		p.fail("the type %q; want a fixed-width integer, f4 or f8", s)
	}
	return t
}

func (p *npyParser) order() {
	if p.take("True") {
		p.fail("Fortran order; want C order (in NumPy: numpy.ascontiguousarray)")
	}
	p.want("False")
}

// shape wants one to three dimensions: (n,), (n, m) or (n, m, k).
func (p *npyParser) shape() []uint64 {
	p.want("(")
	end := strings.IndexByte(p.rest, ')')
	if p.err != nil || end < 0 {
		p.fail("a shape that does not end")
		return nil
	}
	inside := strings.TrimRight(p.rest[:end], " ")
	texts := strings.Split(strings.TrimSuffix(inside, ","), ",")
	if len(texts) > MaxDims || len(texts) == 1 && !strings.HasSuffix(inside, ",") {
		p.fail("the shape (%.40s); want 1 to %d dimensions (in NumPy: a.ravel())", inside, MaxDims)
		return nil
	}
	dims := make([]uint64, len(texts))
	for i, text := range texts {
		dims[i] = p.length(strings.TrimLeft(text, " "))
	}
	if _, ok := volume(dims); !ok {
		p.fail("the shape (%.40s) has more than %d elements", inside, uint64(holo.MaxElements))
	}
	p.rest = p.rest[end:]
	p.want(")")
	return dims
}

func (p *npyParser) length(digits string) uint64 {
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n > holo.MaxElements || strconv.FormatUint(n, 10) != digits {
		p.fail("the length %.40q; want a number up to %d", digits, uint64(holo.MaxElements))
	}
	return n
}

// volume is how many elements dimensions have; false where an array cannot have
// as many.
func volume(dims []uint64) (uint64, bool) {
	n := uint64(1)
	for _, d := range dims {
		if d > 0 && n > holo.MaxElements/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// npyHead is the head as NumPy writes it: version 1.0, the data aligned.
func npyHead(t holo.ElementType, dims ...uint64) []byte {
	descr := ""
	for d, of := range npyTypes {
		if of == t {
			descr = d
		}
	}
	shape := strings.Trim(strings.ReplaceAll(fmt.Sprint(dims), " ", ", "), "[]")
	if len(dims) == 1 {
		shape += ","
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, shape)
	pad := npyAlign - (10+len(text)+1)%npyAlign
	text += strings.Repeat(" ", pad%npyAlign) + "\n"
	head := append([]byte(npyMagic), 1, 0)
	head = binary.LittleEndian.AppendUint16(head, uint16(len(text)))
	return append(head, text...)
}
