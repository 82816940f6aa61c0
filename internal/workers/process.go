package workers

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/holocompute/holocompute/internal/confine"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/sandbox"
)

// process is a worker as the node sees it. Between acquire and release it
// belongs to one task's goroutine; its end may be noticed, and it may be
// killed, by anybody.
type process struct {
	os      *os.Process
	in      *os.File // requests
	out     *os.File // answers
	answers *bufio.Reader
	region  region
	engine  sandbox.EngineKind
	finger  fingerprint

	owner  *holo.PrincipalID // nil while it is blank
	used   bool              // it was given a module: what it says may be a kernel's word
	loaded map[holo.ModuleID]bool
	born   time.Time
	idle   *time.Timer // runs while it is idle

	errors *os.File      // its error stream
	ended  chan struct{} // closed when the system says so
	signal syscall.Signal
	how    string // after ended: "signal: killed", "exit status 2"
	words  string // after ended: the beginning of what it said on its error stream

	turn struct {
		sync.Mutex
		sequence uint32 // of the request that is being answered, or was last
		asking   bool
	}
}

// name is what a worker is called in a list of processes, and how it knows that
// it is one: nobody starts a program under a name with a space.
const name = "holo worker"

// spawn executes this program again as a worker.
func spawn(argv string, w confine.Way, files []*os.File) (*os.Process, error) {
	program, err := confine.Program()
	if err != nil {
		return nil, err
	}
	return os.StartProcess(program, []string{argv}, &os.ProcAttr{Dir: "/", Env: []string{}, Files: files, Sys: w.Attr})
}

// start starts a process in some way and waits until it says hello, confined.
func (p *Pool) start(way confine.Way) (*process, []confine.Gap, error) {
	pipes, err := newPipes()
	if err != nil {
		return nil, nil, err
	}
	w := &process{
		in: pipes.toChild, out: pipes.fromChild, answers: bufio.NewReader(pipes.fromChild), errors: pipes.words,
		loaded: map[holo.ModuleID]bool{}, born: time.Now(), ended: make(chan struct{}),
	}
	r, file, err := newRegion()
	if err != nil {
		pipes.close()
		return nil, nil, err
	}
	w.region = r
	done := make(chan started, 1)
	p.starts <- start{p.argv, way, []*os.File{pipes.stdin, pipes.stdout, pipes.stderr, file}, done}
	s := <-done
	file.Close()
	pipes.closeChild()
	if s.err != nil {
		pipes.close()
		r.free()
		return nil, nil, fmt.Errorf("start a worker: %w", s.err)
	}
	w.os = s.process
	p.group.watch(w)
	h, err := w.greet()
	if err != nil {
		w.kill()
		<-w.ended
		w.free()
		return nil, nil, holo.Refuse(holo.Unavailable, WorkerDied, "start a worker: %w (%s) %q", err, w.how, w.words)
	}
	w.engine, w.finger = h.engine, h.finger
	return w, append(s.missing, h.missing...), nil
}

// greet tells a new process its limit and waits until it says hello, confined.
// The limit counts from what the process has, which it cannot see for itself.
func (w *process) greet() (hello, error) {
	w.begin(time.Now().Add(startLimit))
	defer w.finish()
	if f, err := readFrame(w.answers, maxAnswer); err != nil || f.what != frameReady {
		return hello{}, errors.Join(errors.New("it does not start"), err)
	}
	has, err := confine.Data(w.os.Pid)
	if err != nil {
		return hello{}, err
	}
	limit := frame{what: frameLimit, body: binary.LittleEndian.AppendUint64(nil, has+MemoryBytes)}
	if _, err := w.in.Write(limit.encode()); err != nil {
		return hello{}, err
	}
	f, err := readFrame(w.answers, maxAnswer)
	if err != nil {
		return hello{}, err
	}
	return decodeHello(f)
}

// pipes are the two ends of what a worker inherits.
type pipes struct {
	stdin, stdout, stderr     *os.File // the child's
	toChild, fromChild, words *os.File
}

func newPipes() (*pipes, error) {
	var p pipes
	for _, pair := range []struct{ read, write **os.File }{{&p.stdin, &p.toChild}, {&p.fromChild, &p.stdout}, {&p.words, &p.stderr}} {
		r, w, err := os.Pipe()
		if err != nil {
			p.close()
			p.closeChild()
			return nil, holo.Errorf(holo.Exhausted, "make pipes for a worker: %w", err)
		}
		*pair.read, *pair.write = r, w
	}
	return &p, nil
}

func (p *pipes) close()      { closeAll(p.toChild, p.fromChild, p.words) }
func (p *pipes) closeChild() { closeAll(p.stdin, p.stdout, p.stderr) }

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// maxWords bounds what is kept of a worker's error stream: a crash prints what
// happened first. One that goes on is left with a broken pipe.
const maxWords = 2 << 10

// watch reads the last words and waits for the end.
func (w *process) watch() {
	b, _ := io.ReadAll(io.LimitReader(w.errors, maxWords)) // what could be read is what there is
	w.errors.Close()
	state, err := w.os.Wait()
	w.words = string(b)
	if err != nil {
		w.how = err.Error()
	} else {
		w.how = state.String()
		if s, ok := state.Sys().(syscall.WaitStatus); ok && s.Signaled() {
			w.signal = s.Signal()
		}
	}
	close(w.ended)
}

// kill ends the process, whatever it does. Where nothing keeps it from starting
// others, one of them may hold the error stream: nobody waits for its end.
func (w *process) kill() {
	_ = w.os.Kill() // it may have ended
	_ = w.errors.SetReadDeadline(time.Now().Add(time.Second))
}

// alive reports whether the process has not ended as far as the system says.
func (w *process) alive() bool {
	select {
	case <-w.ended:
		return false
	default:
		return true
	}
}

// free gives back what the node holds of a process that has ended.
func (w *process) free() {
	closeAll(w.in, w.out)
	w.region.free()
}

var (
	errLate      = errors.New("late")
	errCancelled = errors.New("cancelled")
)

// ask sends a request and waits for its answer: until the deadline, or until a
// little after ctx ends; it has at most that many bytes. Meanwhile questions are answered by reply; nil: there
// may be none. Any error but the answer's own means that the process
// cannot be used any more.
func (w *process) ask(ctx context.Context, deadline time.Time, what byte, body []byte, most uint32, reply replier) (answer, error) {
	said, err := w.trip(ctx, deadline, what, body, most, reply)
	if err != nil {
		return answer{}, err
	}
	a, ok := decodeAnswer(said)
	if !ok {
		return answer{}, errNoAnswer()
	}
	return a, nil
}

func errNoAnswer() error {
	return holo.Refuse(holo.Corrupt, WorkerFault, "it answered with what is no answer")
}

// trip is ask, with the answer as it came.
func (w *process) trip(ctx context.Context, deadline time.Time, what byte, body []byte, most uint32, reply replier) ([]byte, error) {
	sequence := w.begin(deadline)
	stop := context.AfterFunc(ctx, func() { w.cancel(sequence) })
	defer stop()
	defer w.finish()
	if _, err := w.in.Write(frame{what, sequence, body}.encode()); err != nil {
		return nil, w.explain(ctx, err)
	}
	f, err := readFrame(w.answers, most)
	for ; err == nil && f.what == frameAsk; f, err = readFrame(w.answers, most) {
		if err := w.reply(ctx, f, sequence, reply); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, w.explain(ctx, err)
	}
	if f.what != frameAnswer || f.sequence != sequence {
		return nil, errNoAnswer()
	}
	return f.body, nil
}

func (w *process) begin(deadline time.Time) (sequence uint32) {
	w.turn.Lock()
	defer w.turn.Unlock()
	w.turn.sequence++
	w.turn.asking = true
	_ = w.in.SetWriteDeadline(deadline) // pipes have deadlines
	_ = w.out.SetReadDeadline(deadline)
	return w.turn.sequence
}

func (w *process) finish() {
	w.turn.Lock()
	w.turn.asking = false
	w.turn.Unlock()
}

// cancel tells a worker that nobody wants the answer to that request, and gives
// it a moment to say so.
func (w *process) cancel(sequence uint32) {
	w.turn.Lock()
	defer w.turn.Unlock()
	if !w.turn.asking || w.turn.sequence != sequence {
		return
	}
	grace := time.Now().Add(cancelGrace)
	_ = w.in.SetWriteDeadline(grace)
	_ = w.out.SetReadDeadline(grace)
	_, _ = w.in.Write(frame{frameCancel, sequence, nil}.encode()) // if it cannot be told it is killed
}

// explain turns a failure on the pipes into why.
func (w *process) explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
		return errCancelled
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errLate
	case holo.ReasonOf(err) != "":
		return err
	}
	w.kill() // it closed its pipes: it has ended, or is of no use
	<-w.ended
	if w.signal == forbidden {
		return holo.Refuse(holo.Indeterminate, ForbiddenCall, "its worker process made a system call that kernels have no use for, and was killed")
	}
	return holo.Refuse(holo.Indeterminate, WorkerDied, "its worker process ended (%s) %q", w.how, firstLine(w.words))
}

// firstLine is what a crash begins with.
func firstLine(words string) string {
	line, _, _ := strings.Cut(words, "\n")
	return line
}
