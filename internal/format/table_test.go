package format

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go"

	"github.com/holocompute/holocompute/internal/holo"
)

var flightsSchema = arrow.NewSchema([]arrow.Field{
	{Name: "delay", Type: arrow.PrimitiveTypes.Int16, Nullable: true},
	{Name: "gap", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
	{Name: "date", Type: arrow.FixedWidthTypes.Timestamp_us},
	{Name: "origin", Type: arrow.BinaryTypes.String},
}, nil)

// arrowBatches are two batches of three rows; one value of gap is null.
func arrowBatches(t *testing.T) []arrow.RecordBatch {
	t.Helper()
	var out []arrow.RecordBatch
	for batch := range int16(2) {
		b := array.NewRecordBuilder(memory.NewGoAllocator(), flightsSchema)
		for i := range int16(3) {
			b.Field(0).(*array.Int16Builder).Append(batch*100 + i)
			b.Field(2).(*array.TimestampBuilder).Append(arrow.Timestamp(int64(batch*3+i) * 3600e6))
			b.Field(3).(*array.StringBuilder).Append("LAX")
			if batch == 1 && i == 1 {
				b.Field(1).AppendNull()
				continue
			}
			b.Field(1).(*array.Int32Builder).Append(int32(i))
		}
		out = append(out, b.NewRecordBatch())
	}
	return out
}

func arrowBytesOf(t *testing.T, f Format, options ...ipc.Option) []byte {
	t.Helper()
	var buf bytes.Buffer
	options = append(options, ipc.WithSchema(flightsSchema))
	var w interface {
		Write(arrow.RecordBatch) error
		Close() error
	}
	if f == ArrowStream {
		w = ipc.NewWriter(&buf, options...)
	} else {
		fw, err := ipc.NewFileWriter(&buf, options...)
		if err != nil {
			t.Fatal(err)
		}
		w = fw
	}
	for _, batch := range arrowBatches(t) {
		if err := w.Write(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func i16s(v ...int16) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint16(b, uint16(x))
	}
	return b
}

func TestArrowColumnsWithoutNullsAreRead(t *testing.T) {
	for name, b := range map[string][]byte{
		"file":       arrowBytesOf(t, Arrow),
		"stream":     arrowBytesOf(t, ArrowStream),
		"compressed": arrowBytesOf(t, Arrow, ipc.WithZstd()),
	} {
		f, err := open(t, b, Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if c := f.Columns(); len(c) != 2 || !reflect.DeepEqual(c[0], Column{Name: "delay", Type: holo.I16, Rows: 6}) || c[1].Unit != 1000 {
			t.Errorf("%s: %+v", name, c)
		}
		if got := column1(t, f, "delay"); !bytes.Equal(got, i16s(0, 1, 2, 100, 101, 102)) {
			t.Errorf("%s: %v", name, got)
		}
		_, err = f.Reader("gap")
		if holo.KindOf(err) != holo.Invalid || !strings.Contains(err.Error(), `"gap"`) || !strings.Contains(err.Error(), "1 nulls among 6 rows") {
			t.Errorf("%s: nulls: %v", name, err)
		}
		if _, err = f.Reader("origin"); holo.KindOf(err) != holo.Invalid || !strings.Contains(err.Error(), "utf8") {
			t.Errorf("%s: strings: %v", name, err)
		}
		if _, err = f.Reader("none"); holo.KindOf(err) != holo.NotFound || !strings.Contains(err.Error(), `"delay" "date"`) {
			t.Errorf("%s: no such column: %v", name, err)
		}
		if _, err = f.Reader(""); holo.KindOf(err) != holo.Invalid {
			t.Errorf("%s: no name: %v", name, err)
		}
	}
}

func FuzzArrow(f *testing.F) {
	t := &testing.T{}
	f.Add(arrowBytesOf(t, Arrow), false)
	f.Add(arrowBytesOf(t, ArrowStream), true)
	f.Add(arrowBytesOf(t, ArrowStream, ipc.WithZstd()), true)
	f.Fuzz(func(t *testing.T, b []byte, stream bool) {
		o := Options{Format: Arrow}
		if stream {
			o.Format = ArrowStream
		}
		drain(t, b, o)
	})
}

// drain reads all columns; whatever the bytes, the outcome is a column of the
// promised length or an error of ours.
func drain(t *testing.T, b []byte, o Options) {
	file, err := ReadAt(bytes.NewReader(b), int64(len(b)), "fuzz", o)
	if err != nil {
		if k := holo.KindOf(err); k != holo.Invalid && k != holo.Corrupt {
			t.Fatalf("kind %s: %v", k, err)
		}
		return
	}
	for _, c := range file.Columns() {
		r, err := file.Reader(c.Name)
		if err != nil {
			continue
		}
		n, err := io.Copy(io.Discard, r)
		if err == nil && uint64(n) != c.Bytes() {
			t.Fatalf("column %q: %d bytes of %d", c.Name, n, c.Bytes())
		}
	}
}

type flight struct {
	Delay int64     `parquet:"delay"`
	Small int16     `parquet:"small"`
	Gap   *int32    `parquet:"gap,optional"`
	Ratio float32   `parquet:"ratio"`
	Date  time.Time `parquet:"date,timestamp(microsecond)"`
	From  string    `parquet:"from"`
	Tags  []int32   `parquet:"tags"`
}

func parquetBytesOf(t *testing.T, n int) []byte {
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[flight](&buf, parquet.MaxRowsPerRowGroup(700))
	for i := range n {
		gap := int32(i)
		row := flight{Delay: int64(i) - 5, Small: int16(-i), Gap: &gap, Ratio: float32(i) / 4, From: "JFK",
			Date: time.Date(2001, 1, 1, i%24, i%60, 0, 0, time.UTC)}
		if i == 2 {
			row.Gap = nil
		}
		if _, err := w.Write([]flight{row}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestParquetColumnsAreRead(t *testing.T) {
	const n = 2000 // three row groups
	f, err := open(t, parquetBytesOf(t, n), Options{})
	if err != nil {
		t.Fatal(err)
	}
	small, ratio := column1(t, f, "small"), column1(t, f, "ratio")
	for i := range n {
		if got := int16(binary.LittleEndian.Uint16(small[2*i:])); got != int16(-i) {
			t.Fatalf("small[%d] = %d", i, got)
		}
		if got := math.Float32frombits(binary.LittleEndian.Uint32(ratio[4*i:])); got != float32(i)/4 {
			t.Fatalf("ratio[%d] = %v", i, got)
		}
	}
	if c, err := f.Column("date"); err != nil || c.Type != holo.I64 || c.Unit != 1000 || c.Rows != n {
		t.Errorf("date: %+v, %v", c, err)
	}
	if _, err := f.Reader("gap"); holo.KindOf(err) != holo.Invalid || !strings.Contains(err.Error(), "1 nulls among 2000 rows") {
		t.Errorf("nulls: %v", err)
	}
	for _, name := range []string{"from", "tags"} {
		if _, err := f.Reader(name); holo.KindOf(err) != holo.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDamagedTablesAreErrorsAndNotPanics(t *testing.T) {
	for f, b := range map[Format][]byte{
		Parquet: parquetBytesOf(t, 50), Arrow: arrowBytesOf(t, Arrow), ArrowStream: arrowBytesOf(t, ArrowStream),
	} {
		for at := 0; at < len(b); at += 7 {
			spoilt := bytes.Clone(b)
			spoilt[at] ^= 0xff
			drain(t, spoilt, Options{Format: f})
			drain(t, b[:at], Options{Format: f})
		}
	}
}

func TestHourOfDayIsTheHourOnTheClock(t *testing.T) {
	const us = 1000
	for _, c := range []struct {
		ticks, unit int64
		want        float32
	}{
		{0, us, 0},
		{978307260000000, us, 1.0 / 60}, // 2001-01-01 00:01, as the 200,000 flights have it
		{(14*60 + 45) * 60e6, us, 14.75},
		{(23*60 + 59) * 60e6, us, 23.983334},
		{-3600e6, us, 23},                             // before 1970
		{6*3600e6 - 1, us, 5.9999995},                 // a microsecond before six is not yet six
		{24*3600e6 - 1, us, 23.999998},                // nor midnight
		{14, 3600e9, 14},                              // ticks of an hour
		{90, 60e9, 1.5},                               // of a minute
		{5, 24 * 3600e9, 0},                           // of a day
		{math.MinInt64, 1, HourOfDay(-775808, 1) + 0}, // no overflow: only the rest of the day counts
	} {
		if c.ticks == math.MinInt64 {
			if h := HourOfDay(c.ticks, c.unit); h < 0 || h >= 24 {
				t.Errorf("%d: %v", c.ticks, h)
			}
			continue
		}
		if got := HourOfDay(c.ticks, c.unit); got != c.want {
			t.Errorf("%d ticks of %d ns: %v, want %v", c.ticks, c.unit, got, c.want)
		}
	}
	for minute := range int64(24 * 60) {
		got := HourOfDay(minute*60e6, us)
		if int64(got) != minute/60 || got != float32(float64(minute)/60) {
			t.Errorf("minute %d: %v", minute, got)
		}
	}
}

func TestDerivedColumns(t *testing.T) {
	f, err := open(t, parquetBytesOf(t, 1000), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.AddHourOfDay("time", "date"); err != nil {
		t.Fatal(err)
	}
	hours := column1(t, f, "time")
	for i := range 1000 {
		want := float32(i%24) + float32(i%60)/60
		got := math.Float32frombits(binary.LittleEndian.Uint32(hours[4*i:]))
		if math.Abs(float64(got-want)) > 1e-5 || int(got) != i%24 {
			t.Fatalf("row %d: %v, want %v", i, got, want)
		}
	}
	if err := f.AddAs("d16", "delay", holo.I16); err != nil {
		t.Fatal(err)
	}
	if got := column1(t, f, "d16"); !bytes.Equal(got[:12], i16s(-5, -4, -3, -2, -1, 0)) || len(got) != 2000 {
		t.Errorf("%d bytes, %v", len(got), got[:12])
	}
	if err := f.AddAs("d8", "delay", holo.I8); err != nil {
		t.Fatal(err)
	}
	r, err := f.Reader("d8")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); holo.KindOf(err) != holo.Invalid || !strings.Contains(err.Error(), "128") {
		t.Errorf("994 as i8: %v, want it to name the value 128", err)
	}
	if err := f.AddAs("time", "delay", holo.I16); holo.KindOf(err) != holo.Exists {
		t.Errorf("a name twice: %v", err)
	}
	if err := f.AddAs("x", "ratio", holo.I16); holo.KindOf(err) != holo.Invalid {
		t.Errorf("a float as i16: %v", err)
	}
	if err := f.AddHourOfDay("x", "delay"); holo.KindOf(err) != holo.Invalid {
		t.Errorf("hours of a number: %v", err)
	}
}

func TestIntegersFitOrAreRefused(t *testing.T) {
	for _, c := range []struct {
		v  int64
		to holo.ElementType
		ok bool
	}{
		{127, holo.I8, true}, {128, holo.I8, false}, {-128, holo.I8, true}, {-129, holo.I8, false},
		{255, holo.U8, true}, {256, holo.U8, false}, {-1, holo.U8, false}, {-1, holo.U64, false},
		{math.MaxInt64, holo.U64, true}, {math.MinInt64, holo.I64, true}, {1 << 31, holo.I32, false}, {1 << 31, holo.U32, true},
	} {
		if fits(c.v, c.to) != c.ok {
			t.Errorf("%d as %s: fits is %v", c.v, c.to, !c.ok)
		}
	}
	if v, huge := integerOf([]byte{255, 255, 255, 255, 255, 255, 255, 255}, holo.U64); !huge || v != -1 {
		t.Errorf("2^64-1: %d %v", v, huge)
	}
}

func FuzzParquet(f *testing.F) {
	f.Add(parquetBytesOf(&testing.T{}, 5))
	f.Fuzz(func(t *testing.T, b []byte) { drain(t, b, Options{Format: Parquet}) })
}
