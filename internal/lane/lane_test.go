package lane

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

const testPages = 5

// home is a lane as its home keeps it: pages, and nothing else.
type home struct {
	t     *testing.T
	pages [testPages][holo.PageSize]byte
}

func (h *home) do(op Op) Outcome {
	h.t.Helper()
	op.Pages = testPages
	sent, err := Decode(op.Encode())
	if err != nil {
		h.t.Fatal(err)
	}
	out, pieces, err := Step(h.pages[0][:], sent)
	if err != nil {
		h.t.Fatal(err)
	}
	if (out.Word == Done) != (len(pieces) > 0) {
		h.t.Fatalf("outcome %v with %d pieces", out, len(pieces))
	}
	for _, p := range pieces {
		if p.Data == nil {
			clear(h.pages[p.Page][:])
		}
		copy(h.pages[p.Page][p.Offset:], p.Data)
	}
	return Unpack(out.Pack())
}

func (h *home) want(op Op, word Word) Outcome {
	h.t.Helper()
	out := h.do(op)
	if out.Word != word {
		h.t.Fatalf("operation %d of %d: outcome %+v, want %d", op.Kind, op.Who.Number, out, word)
	}
	return out
}

func (h *home) state() State {
	s, err := ParseState(h.pages[0][:])
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func (h *home) read(most int) ([]Record, uint64) {
	h.t.Helper()
	s := h.state()
	var b []byte
	for _, r := range Runs(s.Head, s.Tail-s.Head, testPages) {
		rest := r.Bytes
		for i := 0; rest > 0; i++ {
			from := 0
			if i == 0 {
				from = r.Skip
			}
			n := min(rest, holo.PageSize-from)
			b, rest = append(b, h.pages[r.Page+i][from:from+n]...), rest-n
		}
	}
	list, end, err := Frames(b, s.Head, most)
	if err != nil {
		h.t.Fatal(err)
	}
	return list, end
}

// take hands out what fits.
func (h *home) take(who Party, seq uint64, most int) ([]Record, Outcome) {
	list, end := h.read(most)
	s := h.state()
	return list, h.do(Op{Kind: Take, Who: who, Seq: seq, Number: s.Number, Head: s.Head, End: end, Count: uint64(len(list))})
}

func who(n uint64) Party { return Party{Owner: [16]byte{1}, Number: n} }

func texts(n int) (list [][]byte) {
	for i := range n {
		list = append(list, fmt.Appendf(nil, "record %d", i))
	}
	return list
}

func TestAppendedAgainIsThereOnce(t *testing.T) {
	h := &home{t: t}
	h.want(Op{Kind: Open, Who: who(7)}, Done)
	h.want(Op{Kind: Open, Who: who(7)}, Again)
	first := Op{Kind: Append, Who: who(7), Seq: 1, Records: texts(3)}
	h.want(first, Done)
	h.want(first, Again)
	h.want(Op{Kind: Append, Who: who(7), Seq: 4, Records: texts(2)}, Done)
	h.want(first, Again)
	h.want(Op{Kind: Open, Who: who(7)}, Again)
	list, _ := h.read(1 << 20)
	if len(list) != 5 {
		t.Fatalf("%d records", len(list))
	}
	for i, r := range list {
		if r.Producer != 7 || r.Sequence != uint64(i+1) {
			t.Errorf("record %d: %+v", i, r)
		}
	}
}

func TestRecordsOutOfOrderAreRefused(t *testing.T) {
	h := &home{t: t}
	h.want(Op{Kind: Open, Who: who(7)}, Done)
	if out := h.want(Op{Kind: Append, Who: who(7), Seq: 2, Records: texts(1)}, Gap); out.Value != 0 {
		t.Errorf("last is %d", out.Value)
	}
	h.want(Op{Kind: Append, Who: who(7), Seq: 1, Records: texts(2)}, Done)
	h.want(Op{Kind: Append, Who: who(7), Seq: 2, Records: texts(2)}, Gap) // half of it would come twice
}

func TestProducerOfAnotherPrincipalIsAnother(t *testing.T) {
	h := &home{t: t}
	h.want(Op{Kind: Open, Who: who(7)}, Done)
	h.want(Op{Kind: Append, Who: who(7), Seq: 1, Records: texts(1)}, Done)
	forger := Party{Owner: [16]byte{2}, Number: 7}
	h.want(Op{Kind: Append, Who: forger, Seq: 2, Records: texts(1)}, Forgotten)
	h.want(Op{Kind: Close, Who: forger}, Again)
	h.want(Op{Kind: Append, Who: who(7), Seq: 2, Records: texts(1)}, Done)
}

// A producer that was forgotten is refused, and never taken for a new one: its
// records may be there already.
func TestForgottenProducerIsRefused(t *testing.T) {
	h := &home{t: t}
	h.want(Op{Kind: Open, Who: Party{Owner: [16]byte{9}, Number: 1}}, Done)
	for n := range uint64(PerOwner) {
		h.want(Op{Kind: Open, Who: who(n + 1)}, Done)
	}
	h.want(Op{Kind: Append, Who: who(1), Seq: 1, Records: texts(1)}, Done)
	h.want(Op{Kind: Open, Who: who(100)}, Done) // the second was idle longest
	h.want(Op{Kind: Append, Who: who(1), Seq: 1, Records: texts(1)}, Again)
	h.want(Op{Kind: Append, Who: who(2), Seq: 1, Records: texts(1)}, Forgotten)
	h.want(Op{Kind: Append, Who: Party{Owner: [16]byte{9}, Number: 1}, Seq: 1, Records: texts(1)}, Done) // a principal pushes out its own only
	for n := range byte(Producers) {
		h.want(Op{Kind: Open, Who: Party{Owner: [16]byte{100, n}, Number: 1}}, Done)
	}
	h.want(Op{Kind: Append, Who: who(1), Seq: 1, Records: texts(1)}, Forgotten)
}

func TestFullLaneTakesNothingUntilSomethingIsConsumed(t *testing.T) {
	h := &home{t: t}
	h.want(Op{Kind: Open, Who: who(7)}, Done)
	big := [][]byte{make([]byte, MaxRecord)}
	n := uint64(0)
	for h.do(Op{Kind: Append, Who: who(7), Seq: n + 1, Records: big}).Word == Done {
		n++
	}
	if n != Capacity(testPages)/(MaxRecord+FrameBytes) {
		t.Fatalf("%d records fit", n)
	}
	h.want(Op{Kind: Append, Who: who(7), Seq: n + 1, Records: big}, Full)
	_, out := h.take(who(11), 1, 1)
	h.want(Op{Kind: Append, Who: who(7), Seq: n + 1, Records: big}, Full) // it may come back
	h.want(Op{Kind: Commit, Who: who(11), Number: out.Value}, Done)
	h.want(Op{Kind: Append, Who: who(7), Seq: n + 1, Records: big}, Done)
}

func TestOneHasAHandOut(t *testing.T) {
	h := &home{t: t}
	h.want(Op{Kind: Open, Who: who(7)}, Done)
	h.want(Op{Kind: Append, Who: who(7), Seq: 1, Records: texts(4)}, Done)
	before := h.state()
	_, end := h.read(1)
	list, out := h.take(who(11), 1, 1)
	if len(list) != 1 || out.Word != Done {
		t.Fatalf("%d records, %v", len(list), out)
	}
	late := Op{Kind: Take, Who: who(12), Seq: 1, Number: before.Number, Head: before.Head, End: end}
	h.want(late, Moved)
	if again := h.want(Op{Kind: Take, Who: who(11), Seq: 1, Number: before.Number, Head: before.Head, End: end}, Again); again.Value != out.Value {
		t.Errorf("asked for again it is hand-out %d", again.Value)
	}
	h.want(Op{Kind: Commit, Who: who(12), Number: out.Value}, Fenced)
	h.want(Op{Kind: Commit, Who: Party{Owner: [16]byte{2}, Number: 11}, Number: out.Value}, Fenced)
	h.want(Op{Kind: Commit, Who: who(11), Number: out.Value + 1}, Fenced)
	h.want(Op{Kind: Commit, Who: who(11), Number: out.Value}, Done)
	h.want(Op{Kind: Commit, Who: who(11), Number: out.Value}, Again)
	h.want(late, Moved)
	if rest, _ := h.read(1 << 20); len(rest) != 3 || rest[0].Sequence != 2 {
		t.Errorf("%v is left", rest)
	}
}

// Who was too slow is fenced, and learns of what it did commit even later.
func TestSlowConsumerIsFenced(t *testing.T) {
	h := &home{t: t}
	h.want(Op{Kind: Open, Who: who(7)}, Done)
	h.want(Op{Kind: Append, Who: who(7), Seq: 1, Records: texts(100)}, Done)
	_, first := h.take(who(11), 1, 1)
	h.want(Op{Kind: Commit, Who: who(11), Number: first.Value}, Done)
	lost, slow := h.take(who(11), 2, 1)
	again, next := h.take(who(12), 1, 1)
	if next.Word != Done || len(again) != 1 || again[0].Sequence != lost[0].Sequence {
		t.Fatalf("what the slow one had is handed out as %v, %v", again, next)
	}
	h.want(Op{Kind: Commit, Who: who(11), Number: slow.Value}, Fenced)
	h.want(Op{Kind: Release, Who: who(11), Number: slow.Value}, Fenced)
	h.want(Op{Kind: Commit, Who: who(12), Number: next.Value}, Done)
	h.want(Op{Kind: Commit, Who: who(11), Number: slow.Value}, Fenced)
	h.want(Op{Kind: Commit, Who: who(11), Number: first.Value}, Again)
	for seq := range uint64(remembered) {
		_, out := h.take(who(12), 2+seq, 1)
		h.want(Op{Kind: Commit, Who: who(12), Number: out.Value}, Done)
	}
	h.want(Op{Kind: Commit, Who: who(11), Number: first.Value}, LongAgo)
}

func TestReleasedComesAgain(t *testing.T) {
	h := &home{t: t}
	h.want(Op{Kind: Open, Who: who(7)}, Done)
	h.want(Op{Kind: Append, Who: who(7), Seq: 1, Records: texts(2)}, Done)
	_, out := h.take(who(11), 1, 1)
	h.want(Op{Kind: Release, Who: who(11), Number: out.Value}, Done)
	h.want(Op{Kind: Commit, Who: who(11), Number: out.Value}, Fenced)
	list, out := h.take(who(12), 1, 1<<20)
	h.want(Op{Kind: Commit, Who: who(12), Number: out.Value}, Done)
	if s := h.state(); len(list) != 2 || s.Appended != 2 || s.Consumed != 2 || s.Head != s.Tail {
		t.Errorf("%d records, then %+v", len(list), s)
	}
}

// A model that is a list is filled and emptied beside the lane, around the ring
// many times. What is consumed leaves no page behind.
func TestLaneIsAQueue(t *testing.T) {
	h, r := &home{t: t}, rand.New(rand.NewPCG(1, 2))
	var model []Record
	next := map[uint64]uint64{1: 1, 2: 1, 3: 1}
	for p := range next {
		h.want(Op{Kind: Open, Who: who(p)}, Done)
	}
	for seq := range uint64(3000) {
		p := 1 + r.Uint64N(3)
		op := Op{Kind: Append, Who: who(p), Seq: next[p]}
		for range 1 + r.IntN(4) {
			op.Records = append(op.Records, bytes.Repeat([]byte{byte(r.Int())}, r.IntN(9000)))
		}
		if h.do(op).Word == Done {
			for i, b := range op.Records {
				model = append(model, Record{Producer: p, Sequence: op.Seq + uint64(i), Data: b})
			}
			next[p] += uint64(len(op.Records))
		}
		if r.IntN(3) > 0 || len(model) == 0 {
			continue
		}
		list, out := h.take(who(11), 1+seq, r.IntN(4*holo.PageSize))
		h.want(Op{Kind: Commit, Who: who(11), Number: out.Value}, Done)
		for i, got := range list {
			if want := model[i]; got.Producer != want.Producer || got.Sequence != want.Sequence || !bytes.Equal(got.Data, want.Data) {
				t.Fatalf("round %d: record %d of producer %d, want %d of %d", seq, got.Sequence, got.Producer, want.Sequence, want.Producer)
			}
		}
		model = model[len(list):]
	}
	list, out := h.take(who(11), 1<<40, 1<<20)
	h.want(Op{Kind: Commit, Who: who(11), Number: out.Value}, Done)
	if s := h.state(); len(list) != len(model) || s.Tail < 20*Capacity(testPages) {
		t.Fatalf("%d of %d records are left, after %d bytes", len(list), len(model), s.Tail)
	}
	for i, p := range h.pages[1:] {
		if slices.ContainsFunc(p[:], func(b byte) bool { return b != 0 }) {
			t.Errorf("page %d of the empty lane holds something", i+1)
		}
	}
}

func TestFrameOfAnotherPlaceIsCorrupt(t *testing.T) {
	b := appendFrame(nil, Record{Offset: 100, Producer: 1, Sequence: 2, Data: []byte("hello")})
	if list, end, err := Frames(b, 100, 1<<20); err != nil || len(list) != 1 || end != 100+uint64(len(b)) {
		t.Fatalf("%v to %d: %v", list, end, err)
	}
	if _, _, err := Frames(b, 200, 1<<20); holo.KindOf(err) != holo.Corrupt {
		t.Errorf("at another offset: %v", err)
	}
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 1
		if list, _, err := Frames(c, 100, 1<<20); err == nil && len(list) > 0 {
			t.Errorf("with another byte %d it is %v", i, list)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, o := range []Op{
		{Kind: Open, Pages: 4, Who: who(1)}, {Kind: Append, Pages: 64, Who: who(1), Seq: 1, Records: texts(3)},
		{Kind: Take, Pages: 4, Who: who(1), Seq: 1, End: 5}, {Kind: Commit, Pages: 4, Who: who(1), Number: 3},
	} {
		f.Add(o.Encode(), []byte{}, uint64(0))
	}
	f.Add([]byte{}, appendFrame(nil, Record{Offset: 8, Data: []byte("x")}), uint64(8))
	f.Fuzz(func(t *testing.T, op, frames []byte, offset uint64) {
		if o, err := Decode(op); err == nil {
			if again := o.Encode(); !bytes.Equal(again, op) {
				t.Fatal("an operation decodes, but encodes to other bytes")
			}
			_, _, _ = Step(make([]byte, HeaderBytes), o)
		}
		if len(frames) >= HeaderBytes {
			_, _, _ = Step(frames, &Op{Kind: Append, Pages: MinPages, Who: who(1), Seq: 1, Records: texts(1)})
		}
		list, _, err := Frames(frames, offset, 1<<20)
		if err != nil {
			return
		}
		var again []byte
		for _, r := range list {
			again = appendFrame(again, r)
		}
		if !bytes.HasPrefix(frames, again) {
			t.Fatal("frames decode, but encode to other bytes")
		}
	})
}
