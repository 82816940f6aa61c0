package workers

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/holocompute/holocompute/internal/code"
	"github.com/holocompute/holocompute/internal/confine"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/sandbox"
)

// Main serves as a worker if this process was started as one, and ends with it.
// Otherwise it returns at once. A program whose processes shall run kernels
// calls it before anything else.
func Main() {
	if len(os.Args) != 1 || os.Args[0] != name {
		return
	}
	fmt.Fprintln(os.Stderr, "worker:", serve())
	os.Exit(1)
}

// processors of a worker: one for the kernel, one for the collector.
const processors = 2

// serve confines this process and then answers requests, until there is nobody
// to answer, which ends the process, or something is wrong.
func serve() error {
	runtime.GOMAXPROCS(processors) // also: the runtime stops looking at files for its own number
	debug.SetMemoryLimit(collectAt)
	debug.SetGCPercent(collectPercent)
	file := os.NewFile(3, "region")
	r, err := mapRegion(file)
	if err != nil {
		return err
	}
	file.Close()
	in := reader{bufio.NewReader(os.Stdin)}
	limit, err := in.limit()
	if err != nil {
		return err
	}
	missing := confine.Self(limit)
	engine, err := sandbox.New(context.Background(), sandbox.Config{Memory: r.linear()})
	if err != nil {
		return err
	}
	finger, err := engine.Fingerprint(context.Background())
	if err != nil {
		return err
	}
	s := &server{engine: engine, region: r, programs: map[holo.ModuleID]*sandbox.Program{}}
	if err := s.send(frame{what: frameHello, body: hello{engine.Kind(), finger, missing}.encode()}); err != nil {
		return err
	}
	for {
		f, err := in.next()
		if err == nil && f.what != frameCancel { // a cancel may come after the answer
			err = s.handle(&request{context.Background(), in, f.sequence, nil}, f)
		}
		if err != nil {
			return err
		}
	}
}

// server is the inside of a worker. One goroutine has it.
type server struct {
	engine   *sandbox.Engine
	region   region
	programs map[holo.ModuleID]*sandbox.Program
	instance *sandbox.Instance // of the task that has begun and not ended
}

// reader reads requests, and while one is being answered whether anybody still
// wants the answer.
type reader struct{ pipe *bufio.Reader }

// limit says that this process is there, and is told how much memory it may have.
func (r reader) limit() (uint64, error) {
	if _, err := os.Stdout.Write(frame{what: frameReady}.encode()); err != nil {
		return 0, err
	}
	f, err := readFrame(r.pipe, headBytes)
	if err != nil || f.what != frameLimit || len(f.body) != 8 {
		return 0, errors.Join(errors.New("no limit"), err)
	}
	return binary.LittleEndian.Uint64(f.body), nil
}

// next is the next frame. The process ends when the other end does: nobody is
// there any more.
func (r reader) next() (frame, error) {
	f, err := readFrame(r.pipe, maxRequest)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		os.Exit(0)
	}
	return f, err
}

// waiting reports whether a frame, or the end, has come.
func (r reader) waiting() bool {
	return r.pipe.Buffered() > 0 || inputWaits()
}

// request is the context of a request: it ends when the request is cancelled,
// which is looked for whenever somebody asks: a kernel does at each yield, every
// 0.1 ms, and between its calls.
type request struct {
	context.Context
	reader
	sequence uint32
	err      error
}

// Err reports whether the request was cancelled.
func (r *request) Err() error {
	if r.err != nil || !r.waiting() {
		return r.err
	}
	if f, err := r.next(); err != nil || f.what == frameCancel && f.sequence == r.sequence {
		r.err = context.Canceled
	}
	return r.err
}

// handle answers one request.
func (s *server) handle(ctx *request, f frame) error {
	var body []byte
	switch f.what {
	case frameLoad:
		l, ok := decodeLoad(f.body)
		if !ok {
			return errors.New("a module that cannot be read")
		}
		body = s.load(ctx, l).encode()
	case frameRun:
		b, ok := decodeBatch(f.body)
		if !ok {
			return errors.New("a batch that cannot be read")
		}
		body = s.run(ctx, b).encode()
	case frameRuns:
		list, ok := decodeBatches(f.body)
		if !ok {
			return errors.New("batches that cannot be read")
		}
		body = s.runs(ctx, list)
	default:
		return fmt.Errorf("request %d is not known", f.what)
	}
	return s.send(frame{frameAnswer, f.sequence, body})
}

func (s *server) send(f frame) error {
	_, err := os.Stdout.Write(f.encode())
	return err
}

func (s *server) load(ctx context.Context, l load) (a answer) {
	p, made, err := s.engine.Compile(ctx, l.module, l.code)
	if err != nil {
		return answer{err: err}
	}
	s.programs[l.module.ID] = p
	if l.keep && len(made) <= code.MaxEntry {
		a.code = made
	}
	return a
}

// run runs a batch, in a new instance if it is a task's first.
func (s *server) run(ctx *request, b *batch) (a answer) {
	if b.begin {
		s.drop()
		p := s.programs[b.module]
		if p == nil {
			return answer{err: holo.Errorf(holo.NotFound, "kernel %s is not loaded", b.module)}
		}
		i, err := p.NewInstance(ctx, b.gas, b.pages)
		if err != nil {
			return answer{err: err}
		}
		s.instance = i
	}
	if b.place && s.instance != nil {
		return s.place(ctx, b)
	}
	if s.instance == nil {
		return answer{err: holo.Errorf(holo.Invalid, "kernel %s has no instance", b.module)}
	}
	for at := uint64(0); a.err == nil && (at == 0 || at < b.count); at += max(b.run, 1) {
		var res sandbox.Result
		c := s.call(b, at)
		if place := b.exchange.in(s.region); len(place) > 0 {
			c.Reach = &asker{ctx, place}
		}
		res, a.err = s.instance.Run(ctx, b.kind, c)
		a.pages = res.PeakPages
	}
	a.gas, a.said = s.instance.Used(), s.instance.Said()
	if b.end || a.err != nil {
		s.drop()
	}
	return a
}

// place tells where the calls of a task lie.
func (s *server) place(ctx context.Context, b *batch) (a answer) {
	a.arena, a.err = s.instance.Place(ctx, b.kind, s.call(b, 0))
	if a.gas = s.instance.Used(); a.err != nil {
		s.drop()
	}
	return a
}

func (s *server) drop() {
	if s.instance != nil {
		s.instance.Close()
		s.instance = nil
	}
}

// call is the batch's call from element at on.
func (s *server) call(b *batch, at uint64) sandbox.Call {
	n := min(b.run, b.count-at)
	c := sandbox.Call{Function: b.function, First: b.first + at, N: uint32(n), Halo: uint32(b.halo), Params: b.params.in(s.region), Acc: b.acc.in(s.region)}
	for _, v := range b.inputs {
		c.Inputs = append(c.Inputs, v.part(s.region, at, n, b.halo))
	}
	for _, v := range b.outputs {
		c.Outputs = append(c.Outputs, v.part(s.region, at, n, 0))
	}
	return c
}

// part is n elements of the view from element at on, with what lies around them; all of it where elements
// are not counted.
func (v view) part(r region, at, n, halo uint64) sandbox.View {
	b, size := v.in(r), v.elem.Size()
	if last := (at + n + 2*halo) * size; n > 0 && last <= uint64(len(b)) {
		b = b[at*size : last]
	}
	return sandbox.View{Type: v.elem, Bytes: b}
}
