package format

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go"

	"github.com/holocompute/holocompute/internal/holo"
)

// evil is a name that would clear a terminal, paint it red and turn the line
// around.
const evil = "\x1b[2J\x1b[31mx\u202e\r\n\u009b0m"

// plain fails the test when an error holds what a terminal obeys.
func plain(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	if i := strings.IndexFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("%s: %q holds %q", what, err, err.Error()[i:])
	}
}

func evilArrow(t *testing.T, evil string) []byte {
	t.Helper()
	inner := arrow.StructOf(arrow.Field{Name: evil, Type: arrow.PrimitiveTypes.Int8})
	schema := arrow.NewSchema([]arrow.Field{
		{Name: evil, Type: arrow.PrimitiveTypes.Int8}, {Name: evil + "2", Type: arrow.PrimitiveTypes.Int8}, {Name: "nested", Type: inner},
	}, nil)
	b := array.NewRecordBuilder(memory.NewGoAllocator(), schema)
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, ipc.WithSchema(schema))
	if err := errors.Join(w.Write(b.NewRecordBatch()), w.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func evilParquet(t *testing.T) []byte {
	t.Helper()
	group := parquet.Group{
		evil: parquet.Int(8), evil + "2": parquet.Int(64),
		"nested": parquet.Group{evil: parquet.Int(8)}, "text": parquet.String(),
	}
	var buf bytes.Buffer
	w := parquet.NewWriter(&buf, parquet.NewSchema(evil, group))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestNamesThatAFileChoseReachNoTerminal asks tables for everything that makes
// an error out of what they hold.
func TestNamesThatAFileChoseReachNoTerminal(t *testing.T) {
	for name, b := range map[string][]byte{"arrow": evilArrow(t, evil), "parquet": evilParquet(t)} {
		f, err := open(t, b, Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = f.Column("")
		plain(t, name+" without a choice", err)
		if !strings.Contains(err.Error(), `"\x1b[2J\x1b[31mx\u202e\r\n\u009b0m"`) {
			t.Errorf("%s: %v does not list the names", name, err)
		}
		for _, column := range []string{"none", evil + "3", "nested", "nested." + evil} {
			_, err = f.Reader(column)
			plain(t, name+" column "+column, err)
		}
		plain(t, name+" hours", f.AddHourOfDay("h", evil))
		plain(t, name+" as float", f.AddAs("h", evil, holo.F32))
		plain(t, name+" twice", f.AddAs(evil, evil, holo.I64))
	}
}

func TestErrorsAreShortHoweverLongTheNames(t *testing.T) {
	f, err := open(t, evilArrow(t, strings.Repeat("long", 1<<18)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"": `choose one of: "longlong`, "nested": "its type is struct<long", "none": `there are: "longlong`} {
		if _, err := f.Reader(name); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > maxError+10 {
			t.Errorf("column %q: %d bytes of error, %.200v", name, len(err.Error()), err)
		}
	}
}

func TestNamesOfFilesReachNoTerminal(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, evil+".raw")
	_, err := Open(path, Options{})
	plain(t, "a file that is not there", err)
	if !errors.Is(err, os.ErrNotExist) || holo.KindOf(err) != holo.NotFound {
		t.Errorf("not there: kind %s: %v", holo.KindOf(err), err)
	}
	if err := os.WriteFile(path, make([]byte, 3), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(path, Options{})
	plain(t, "a file without a type", err)
	_, err = Open(path, Options{Type: holo.I16})
	plain(t, "a file of odd length", err)
	_, err = Open(dir, Options{Format: Raw})
	if holo.KindOf(err) != holo.Invalid || !strings.Contains(err.Error(), "standard input") {
		t.Errorf("a folder: %v", err)
	}
	f, err := Open(path, Options{Type: holo.U8})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := f.Reader("")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1); err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, r)
	plain(t, "a file that shrinks", err)
}
