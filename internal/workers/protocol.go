package workers

import (
	"bufio"
	"encoding/binary"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/holocompute/holocompute/internal/code"
	"github.com/holocompute/holocompute/internal/confine"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/internal/wire"
)

// Frames on the pipes, little endian: u8 what, u32 sequence number, u32 length,
// body. A worker is ready, is told its memory limit, confines itself and says
// hello; then each load and run has one answer with
// its number. A cancel names the run that it is about, and has none. While a run is
// answered the worker may ask what is behind the handles of its task, one question
// at a time, each of which has one reply. Several small tasks are one request, and
// their answers one answer.
const (
	frameReady byte = iota + 1
	frameLimit
	frameHello
	frameLoad
	frameRun
	frameCancel
	frameAnswer
	frameAsk
	frameReply
	frameRuns

	headBytes = 9
	// maxAnswer bounds what a worker can make the node read.
	maxAnswer = 2<<10 + wire.MaxSaidBytes + 2*wire.MaxSaidLines
	maxText   = 1 << 10 // of an error
	maxWhy    = 100     // of a layer that is missing
	// maxLoaded is the most that a worker answers a load with: its machine code.
	maxLoaded = maxAnswer + code.MaxEntry
	// maxRequest is above the largest module and its machine code: metering may
	// make it thrice as long.
	maxRequest = 64<<20 + code.MaxEntry
	protocol   = 6
)

type frame struct {
	what     byte
	sequence uint32
	body     []byte
}

func (f frame) encode() []byte {
	b := make([]byte, 0, headBytes+len(f.body))
	b = append(b, f.what)
	b = binary.LittleEndian.AppendUint32(b, f.sequence)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.body)))
	return append(b, f.body...)
}

// readFrame reads one frame whose body has at most that many bytes.
func readFrame(r *bufio.Reader, most uint32) (frame, error) {
	var head [headBytes]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{what: head[0], sequence: binary.LittleEndian.Uint32(head[1:])}
	n := binary.LittleEndian.Uint32(head[5:])
	if n > most {
		return frame{}, holo.Refuse(holo.Corrupt, WorkerFault, "a frame of %d bytes, at most %d", n, most)
	}
	f.body = make([]byte, n)
	_, err := io.ReadFull(r, f.body)
	return f, err
}

// cursor reads a body. Where it ends too early everything is zero and bad is
// set; done wants nothing left.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) bytes(n int) []byte {
	if n < 0 || n > len(c.rest) {
		c.bad, c.rest = true, nil
		return make([]byte, 32)[:min(uint(n), 32)]
	}
	b := c.rest[:n:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) u8() byte     { return c.bytes(1)[0] }
func (c *cursor) u16() uint16  { return binary.LittleEndian.Uint16(c.bytes(2)) }
func (c *cursor) u32() uint32  { return binary.LittleEndian.Uint32(c.bytes(4)) }
func (c *cursor) u64() uint64  { return binary.LittleEndian.Uint64(c.bytes(8)) }
func (c *cursor) text() string { return string(c.bytes(int(c.u16()))) }
func (c *cursor) long() []byte { return c.bytes(int(c.u32())) }
func (c *cursor) done() bool   { return !c.bad && len(c.rest) == 0 }
func (c *cursor) module() (id holo.ModuleID) {
	copy(id[:], c.bytes(len(id)))
	return id
}

func appendText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint16(b, uint16(len(s))), s...)
}

// hello is what a worker says of itself before it is given anything.
type hello struct {
	engine  sandbox.EngineKind
	finger  fingerprint
	missing []confine.Gap
}

// fingerprint names the engine and processor that machine code is for; zero
// where none is made.
type fingerprint [32]byte

func (h hello) encode() []byte {
	b := append([]byte{protocol, byte(h.engine)}, h.finger[:]...)
	b = append(b, byte(len(h.missing)))
	for _, g := range h.missing {
		b = appendText(appendText(b, string(g.Layer)), clip(g.Why, maxWhy))
	}
	return b
}

func decodeHello(f frame) (h hello, err error) {
	c := cursor{rest: f.body}
	version := c.u8()
	h.engine = sandbox.EngineKind(c.u8())
	copy(h.finger[:], c.bytes(len(h.finger)))
	clean := true
	for range c.u8() {
		g := confine.Gap{Layer: confine.Layer(c.text()), Why: c.text()}
		h.missing = append(h.missing, g)
		clean = clean && printable(string(g.Layer), maxWhy) && printable(g.Why, maxWhy)
	}
	if !clean || f.what != frameHello || version != protocol || h.engine != sandbox.Compiler && h.engine != sandbox.Interpreter || !c.done() {
		return h, holo.Refuse(holo.Corrupt, WorkerFault, "it does not say hello")
	}
	return h, nil
}

// load is a module to compile, or with its machine code to take. Where keep is
// set the node wants to have what is compiled.
type load struct {
	module *module.Module
	keep   bool
	code   []byte
}

func (l load) encode() []byte {
	m := l.module
	b := append([]byte(nil), m.ID[:]...)
	b = append(b, flag(l.keep))
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(l.code))), l.code...)
	b = binary.LittleEndian.AppendUint32(b, m.MinPages)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m.Functions)))
	for _, f := range m.Functions {
		b = appendText(append(b, byte(f.Kind)), f.Name)
	}
	return append(b, m.Metered...)
}

func decodeLoad(body []byte) (l load, ok bool) {
	c := cursor{rest: body}
	m := &module.Module{ID: c.module()}
	l = load{module: m, keep: c.u8() == 1, code: c.long()}
	m.MinPages = c.u32()
	for n := c.u32(); n > 0 && !c.bad; n-- {
		m.Functions = append(m.Functions, module.Function{Kind: module.Kind(c.u8()), Name: c.text()})
	}
	m.Metered = c.rest
	return l, !c.bad
}

// place is a part of the region.
type place struct{ at, size uint32 }

func (c *cursor) place() place { return place{c.u32(), c.u32()} }

func (p place) append(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, p.at), p.size)
}

// in is that part, or nil where the region has none such.
func (p place) in(r region) []byte {
	if uint64(p.at)+uint64(p.size) > uint64(len(r)) {
		return nil
	}
	return r[p.at : p.at+p.size : p.at+p.size]
}

// view is a view of a batch: where it lies, and of what type it is.
type view struct {
	elem holo.ElementType
	place
}

// batch is a run of calls of one task: count elements from first on, run at a
// time. A task's first batch makes its instance, its last ends it.
type batch struct {
	module            holo.ModuleID
	begin, end        bool
	place             bool // make room for a call like this one, and say where; run nothing
	gas               holo.Gas
	pages             uint32
	kind              module.Kind
	function          string
	first, count, run uint64
	halo              uint64 // of each input
	params, acc       place
	exchange          place // where what is behind handles is moved; none: the task has no handles
	inputs, outputs   []view
}

func (t *batch) encode() []byte {
	b := append([]byte(nil), t.module[:]...)
	b = append(b, flag(t.begin)|flag(t.end)<<1|flag(t.place)<<2, byte(t.kind))
	b = binary.LittleEndian.AppendUint64(b, uint64(t.gas))
	b = binary.LittleEndian.AppendUint32(b, t.pages)
	b = appendText(b, t.function)
	for _, n := range []uint64{t.first, t.count, t.run, t.halo} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	b = t.exchange.append(t.acc.append(t.params.append(b)))
	for _, views := range [][]view{t.inputs, t.outputs} {
		b = append(b, byte(len(views)))
		for _, v := range views {
			b = v.place.append(append(b, byte(v.elem)))
		}
	}
	return b
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func decodeBatch(body []byte) (*batch, bool) {
	c := cursor{rest: body}
	t := &batch{module: c.module()}
	flags := c.u8()
	t.begin, t.end, t.place, t.kind = flags&1 != 0, flags&2 != 0, flags&4 != 0, module.Kind(c.u8())
	t.gas, t.pages, t.function = holo.Gas(c.u64()), c.u32(), c.text()
	t.first, t.count, t.run, t.halo = c.u64(), c.u64(), c.u64(), c.u64()
	t.params, t.acc, t.exchange = c.place(), c.place(), c.place()
	t.inputs, t.outputs = c.views(), c.views()
	return t, c.done()
}

func (c *cursor) views() (views []view) {
	for range c.u8() {
		views = append(views, view{holo.ElementType(c.u8()), c.place()})
	}
	return views
}

// answer is what a worker says of a load or a batch.
type answer struct {
	gas   holo.Gas  // used by the instance since it was made
	pages uint32    // its largest memory
	arena uint32    // of a batch that only makes room: where, in linear memory
	code  []byte    // of a load: what was compiled, if that was wanted
	said  wire.Said // logged since the answer before
	err   error     // *holo.Error of a kind and reason that kernels can cause
}

func (a answer) encode() []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(a.gas))
	b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, a.pages), a.arena)
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(a.code))), a.code...)
	b = binary.LittleEndian.AppendUint32(b, a.said.Lost)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(a.said.Lines)))
	for _, line := range a.said.Lines {
		b = appendText(b, line)
	}
	if a.err == nil {
		return append(b, 0)
	}
	b = append(b, 1, byte(holo.KindOf(a.err)))
	return appendText(appendText(b, holo.ReasonOf(a.err)), clip(a.err.Error(), maxText))
}

func decodeAnswer(body []byte) (a answer, ok bool) {
	c := cursor{rest: body}
	a.gas, a.pages, a.arena, a.code = holo.Gas(c.u64()), c.u32(), c.u32(), c.long()
	a.said.Lost = c.u32()
	for n := c.u16(); n > 0 && !c.bad; n-- {
		a.said.Lines = append(a.said.Lines, c.text())
	}
	failed := c.u8()
	if failed == 1 {
		kind, reason, text := holo.Kind(c.u8()), c.text(), c.text()
		if !causes[cause{kind, reason}] || !printable(text, maxText) {
			return a, false
		}
		a.err = holo.Refuse(kind, reason, "%s", text)
	}
	return a, failed <= 1 && c.done()
}

// cause is a kind of error with its reason.
type cause struct {
	kind   holo.Kind
	reason string
}

// causes are all errors that a kernel or its compilation can end with. A worker
// that names another one lies: it cannot have the node believe that data is
// lost, or that somebody is not allowed to do something.
var causes = map[cause]bool{
	{holo.KernelTrapped, sandbox.OutOfGas}:    true,
	{holo.KernelTrapped, sandbox.OutOfMemory}: true,
	{holo.KernelTrapped, sandbox.CallDepth}:   true,
	{holo.KernelTrapped, sandbox.Trap}:        true,
	{holo.KernelTrapped, sandbox.KernelError}: true,
	{holo.KernelTrapped, sandbox.TooManyAsks}: true,
	{holo.Invalid, ""}:                        true,
	{holo.Invalid, CompileTime}:               true,
	{holo.Invalid, module.BadABI}:             true,
	{holo.NotFound, ""}:                       true,
	{holo.Cancelled, ""}:                      true,
}

func printable(s string, most int) bool {
	return len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '\x7f' || r == '\uFFFD' })
}

// clip makes text fit into an answer: printable, and not too long.
func clip(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if !printable(string(r), utf8.UTFMax) {
			return ' '
		}
		return r
	}, s)
	return strings.ToValidUTF8(s[:min(len(s), most)], "")
}
