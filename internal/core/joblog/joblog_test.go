package joblog

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// What a terminal would act on does not come through, whatever it is made of.
func TestNothingThatATerminalActsOnComesThrough(t *testing.T) {
	for in, want := range map[string]string{
		"plain, 42 %, äöü, 日本":   "plain, 42 %, äöü, 日本",
		"a\tb":                   "a b",
		"\x1b[31mred\x1b[0m":     Mark + "[31mred" + Mark + "[0m",
		"\x1b]0;title\x07":       Mark + "]0;title" + Mark,
		"\x9b2J":                 Mark + "2J", // no UTF-8
		"\u009b2J":               Mark + "2J", // the same as a C1 control
		"back\b\b\rover\x7f":     "back" + Mark + Mark + Mark + "over" + Mark,
		"safe\u202eexe.txt":      "safe" + Mark + "exe.txt",
		"\u2066\u2069\u200f":     Mark + Mark + Mark,
		"\u2028\u2029":           Mark + Mark,
		"\u200b\ufeff\U000e0041": Mark + Mark + Mark,
		"\x00\xff\xfe":           Mark + Mark, // a run of broken bytes is one
		"\xed\xa0\x80":           Mark,
	} {
		got := Clean(in)
		if got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
		if again := Clean(got); again != got {
			t.Errorf("%q cleaned again is %q", got, again)
		}
	}
	for r := rune(0); r < 0x120000; r++ {
		for _, c := range Clean("x" + string(r) + "y") {
			if c < ' ' || c >= 0x7f && c < 0xa0 || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
				t.Fatalf("%U came through as %U", r, c)
			}
		}
	}
}

func TestALineIsCutAtARune(t *testing.T) {
	for _, unit := range []string{"x", "é", "日", "\U0001F600"} {
		for n := wire.MaxSaidLine - 5; n < wire.MaxSaidLine+5; n++ {
			in := strings.Repeat("x", n%len(unit)) + strings.Repeat(unit, n/len(unit))
			got := Clean(in)
			if !utf8.ValidString(got) || len(got) > wire.MaxSaidLine || (got == in) != (len(in) <= wire.MaxSaidLine) || Clean(got) != got {
				t.Fatalf("%d bytes of %s become %d", len(in), unit, len(got))
			}
			if got != in && (!strings.HasSuffix(got, Cut) || len(got) < wire.MaxSaidLine-len(unit)-len(Cut)) {
				t.Fatalf("%d bytes of %s are cut to %d", len(in), unit, len(got))
			}
		}
	}
}

// Mission row EX-3: each quota of an attempt, exceeded by one unit.
func TestAnAttemptSaysNoMoreThanItsQuota(t *testing.T) {
	var lines wire.Said
	for range wire.MaxSaidLines {
		Add(&lines, []byte("x\n"))
	}
	if len(lines.Lines) != wire.MaxSaidLines || lines.Lost != 0 {
		t.Fatalf("%d lines, %d lost", len(lines.Lines), lines.Lost)
	}
	Add(&lines, []byte("x"))
	if len(lines.Lines) != wire.MaxSaidLines || lines.Lost != 1 {
		t.Errorf("one line more: %d, %d lost", len(lines.Lines), lines.Lost)
	}

	var bytes wire.Said
	long := strings.Repeat("x", wire.MaxSaidLine)
	for range wire.MaxSaidBytes / wire.MaxSaidLine {
		Add(&bytes, []byte(long))
	}
	if size(&bytes) != wire.MaxSaidBytes || bytes.Lost != 0 {
		t.Fatalf("%d bytes, %d lost", size(&bytes), bytes.Lost)
	}
	Add(&bytes, []byte("x"))
	if size(&bytes) != wire.MaxSaidBytes || bytes.Lost != 1 {
		t.Errorf("one byte more: %d, %d lost", size(&bytes), bytes.Lost)
	}
	var room wire.Said // nothing is kept after what was lost, though there were room
	Add(&room, []byte(strings.Repeat(long+"\n", wire.MaxSaidBytes/wire.MaxSaidLine-1)))
	Add(&room, []byte("x\n"+long))
	if Add(&room, []byte("a\nb\n")); len(room.Lines) != wire.MaxSaidBytes/wire.MaxSaidLine || room.Lost != 2 {
		t.Errorf("after a line was lost: %d lines, %d lost", len(room.Lines), room.Lost)
	}
	bytes.Lost = math.MaxUint32
	if Add(&bytes, []byte("x")); bytes.Lost != math.MaxUint32 {
		t.Errorf("the count went round: %d", bytes.Lost)
	}

	var huge wire.Said
	if Add(&huge, []byte(strings.Repeat("x\n", 1<<20))); len(huge.Lines) != wire.MaxSaidLines || huge.Lost == 0 {
		t.Errorf("a million lines at once: %d, %d lost", len(huge.Lines), huge.Lost)
	}
}

// A message of a full quota is decoded, and one line more is not.
func TestAFullQuotaIsAMessage(t *testing.T) {
	r := &wire.TaskResult{Job: 1, Failed: true, Failure: wire.Failure{Kind: holo.KernelTrapped, Text: "x"}}
	for range wire.MaxSaidBytes / wire.MaxSaidLine {
		Add(&r.Said, []byte(strings.Repeat("x", wire.MaxSaidLine)))
	}
	if _, err := wire.Decode(wire.Encode(r)); err != nil {
		t.Error(err)
	}
	r.Said.Lines = append(r.Said.Lines, "x")
	if _, err := wire.Decode(wire.Encode(r)); err == nil {
		t.Error("a byte more than the quota is decoded")
	}
	r.Said.Lines = make([]string, wire.MaxSaidLines+1)
	if _, err := wire.Decode(wire.Encode(r)); err == nil {
		t.Error("a line more than the quota is decoded")
	}
}

func said(lines ...string) *wire.Said { return &wire.Said{Lines: lines} }

func texts(b *Book) (list []string) {
	for _, l := range b.Since(0) {
		list = append(list, fmt.Sprintf("%d.%d %s", l.Task, l.Attempt, l.Text))
	}
	return list
}

// Lines are those of the attempts that count, and of the one that ended the job.
func TestABookHasTheLinesOfWhatCounts(t *testing.T) {
	var b Book
	b.Tried(From{Task: 1, Attempt: 1}, said("one failed"))
	b.Tried(From{Task: 2, Attempt: 1}, said("two failed"))
	b.Tried(From{Task: 2, Attempt: 2}, said("two failed again"))
	b.Add(From{Task: 1, Attempt: 2}, said("one did it"))
	if got := texts(&b); !slices.Equal(got, []string{"1.2 one did it"}) {
		t.Errorf("%q", got)
	}
	b.Ended(2, true)
	if got := texts(&b); !slices.Equal(got, []string{"1.2 one did it", "2.2 two failed again"}) {
		t.Errorf("%q", got)
	}
	var c Book
	c.Tried(From{Task: 0, Attempt: 1}, said("failed"))
	if c.Ended(0, false); len(c.Since(0)) != 0 {
		t.Errorf("%q of a job that no task ended", texts(&c))
	}
	for i := range holo.TaskID(3 * maxTried) {
		c.Tried(From{Task: i}, said("failed"))
	}
	if len(c.tried) != maxTried || c.tried[0].Task != 2*maxTried {
		t.Errorf("%d failed attempts are kept from task %d on", len(c.tried), c.tried[0].Task)
	}
}

// The job's quota, exceeded by one line; and a node's lines are cleaned here too.
func TestAJobSaysNoMoreThanItsQuota(t *testing.T) {
	var b Book
	line := strings.Repeat("x", 1024-lineCost)
	for i := range holo.TaskID(MaxBytes / 1024) {
		b.Add(From{Task: i}, said(line))
	}
	if len(b.Since(0)) != MaxBytes/1024 || b.Lost() != 0 {
		t.Fatalf("%d lines, %d lost", len(b.Since(0)), b.Lost())
	}
	b.Add(From{Task: 9999}, &wire.Said{Lines: []string{""}, Lost: 7})
	if len(b.Since(0)) != MaxBytes/1024 || b.Lost() != 8 {
		t.Errorf("one line more: %d, %d lost", len(b.Since(0)), b.Lost())
	}
	var c Book
	c.Add(From{}, said("\x1b[2J"))
	if got := c.Since(0)[0].Text; got != Mark+"[2J" || len(c.Since(1)) != 0 || len(c.Since(5)) != 0 {
		t.Errorf("%q", got)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[31m")
	f.Fuzz(func(t *testing.T, in string) {
		got := Clean(in)
		if len(got) > wire.MaxSaidLine || !utf8.ValidString(got) || Clean(got) != got || strings.ContainsFunc(got, func(r rune) bool { return visible(r) != r }) {
			t.Errorf("%q becomes %q", in, got)
		}
	})
}
