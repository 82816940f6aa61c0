package demo

import (
	"bytes"
	"context"
	_ "embed"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/format"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/kernels"
)

//go:embed data/flights-200k.arrow
var sample []byte

// extentElements is the demo's extent: one page of i16, two of f32. Small, so
// that 200,000 flights are seven tasks.
const extentElements = 32768

// columns are the arrays, in the order in which the kernels take the first two.
var columns = []struct {
	name string
	typ  holo.ElementType
}{{"delay", holo.I16}, {"time", holo.F32}, {"distance", holo.I16}}

// flights is the source of the data.
type flights struct {
	file *format.File
	name string
	rows uint64
}

// openFlights opens the built-in sample, or a file with the columns delay,
// distance and either time (hours) or date (a timestamp).
func openFlights(path string) (f *flights, err error) {
	f = &flights{name: "built in"}
	if path == "" {
		f.file, err = format.ReadAt(bytes.NewReader(sample), int64(len(sample)), "flights-200k.arrow", format.Options{})
	} else {
		f.name = path
		f.file, err = format.Open(path, format.Options{})
	}
	if err != nil {
		return nil, err
	}
	if err := f.shape(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// shape makes sure that every column is there in its width.
func (f *flights) shape() error {
	if _, err := f.file.Column("time"); err != nil {
		if err := f.file.AddHourOfDay("time", "date"); err != nil {
			return err
		}
	}
	for _, want := range columns {
		c, err := f.file.Column(want.name)
		if err != nil {
			return err
		}
		f.rows = c.Rows
	}
	return nil
}

// reader names the column to read for one of the columns wanted, narrowed where
// the file holds wider integers.
func (f *flights) reader(name string, typ holo.ElementType) (string, error) {
	c, err := f.file.Column(name)
	if err != nil || c.Type == typ {
		return name, err
	}
	narrow := name + " as " + typ.String()
	if _, err := f.file.Column(narrow); err == nil {
		return narrow, nil
	}
	return narrow, f.file.AddAs(narrow, name, typ)
}

func (f *flights) close() { f.file.Close() }

// dataset is the flights as arrays of one affinity.
type dataset struct {
	arrays []*holocompute.Raw // as columns
}

// inputs are what by_hour and bootstrap take.
func (d *dataset) inputs() []*holocompute.Raw { return d.arrays[:2] }

// through is the same dataset as seen through another node.
func (d *dataset) through(ctx context.Context, c *cluster) (*dataset, error) {
	moved := &dataset{}
	for _, a := range d.arrays {
		raw, err := c.sdk.OpenRaw(ctx, a.Info().Name)
		if err != nil {
			return nil, err
		}
		moved.arrays = append(moved.arrays, raw)
	}
	return moved, nil
}

// load imports the flights, seals the arrays, and pushes the kernel.
func (s *story) load(ctx context.Context, c *cluster) (*dataset, error) {
	data := &dataset{}
	for _, col := range columns {
		raw, err := s.importColumn(ctx, c, col.name, col.typ)
		if err != nil {
			return nil, err
		}
		data.arrays = append(data.arrays, raw)
	}
	if _, err := c.sdk.PushKernel(ctx, "flights", kernels.Get("flights")); err != nil {
		return nil, err
	}
	if err := s.placeMark(ctx, c); err != nil {
		return nil, err
	}
	extents, err := data.arrays[0].Pages(ctx)
	if err != nil {
		return nil, err
	}
	s.say.loaded(c, s.flights.rows, data, extents)
	return data, nil
}

func (s *story) importColumn(ctx context.Context, c *cluster, name string, typ holo.ElementType) (*holocompute.Raw, error) {
	column, err := s.flights.reader(name, typ)
	if err != nil {
		return nil, err
	}
	src, err := s.flights.file.Reader(column)
	if err != nil {
		return nil, err
	}
	raw, err := c.sdk.CreateRaw(ctx, name, typ, s.flights.rows, holocompute.ArrayOptions{Extent: extentElements, Affinity: "flights"})
	if err != nil {
		return nil, err
	}
	if err := raw.Import(ctx, src, nil); err != nil {
		return nil, err
	}
	return raw, raw.Seal(ctx)
}

// placeMark puts the text that a capture looks for into an array's name and
// data; the endless kernel carries it in its arguments.
func (s *story) placeMark(ctx context.Context, c *cluster) error {
	if s.Mark == "" {
		return nil
	}
	bytes := bytes.Repeat([]byte(s.Mark), 4096)
	raw, err := c.sdk.CreateRaw(ctx, s.Mark, holo.U8, uint64(len(bytes)), holocompute.ArrayOptions{})
	if err != nil {
		return err
	}
	return raw.WriteBytes(ctx, 0, bytes)
}
