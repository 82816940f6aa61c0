// Package joblog keeps what kernels log: the lines of one attempt at a task
// (Add), and of all tasks of a job (Book).
//
// Its one idea is that a line comes from a stranger and goes to a terminal. So
// it is bounded before it is kept, and harmless before it is anything else: no
// control character, nothing that moves a cursor or turns the direction of
// text, no broken UTF-8. What is dropped is counted.
//
// Who hands a line on cleans it again: a worker that was taken over, or another
// node, may hand over anything. Cleaning twice changes nothing. The package
// decides nothing about results; none depends on what is logged.
package joblog

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/holocompute/holocompute/internal/wire"
)

// Mark stands for each character that was not kept, and Cut at the end of a
// line for the rest of it.
const (
	Mark = "\uFFFD"
	Cut  = "…"
)

// Add adds a text that a kernel logged: a line, or several with a newline
// between them. Lines beyond wire.MaxSaidBytes or MaxSaidLines are lost. After
// that nothing is kept and no text is looked at, so that one costs no more than
// its price; each counts as a line.
func Add(s *wire.Said, text []byte) {
	if s.Lost > 0 {
		Lose(s, 1)
		return
	}
	room := wire.MaxSaidBytes - size(s)
	for line := range strings.SplitSeq(strings.TrimSuffix(string(text[:min(len(text), wire.MaxSaidBytes)]), "\n"), "\n") {
		line = Clean(line)
		if len(s.Lines) >= wire.MaxSaidLines || len(line) > room {
			Lose(s, 1)
			continue
		}
		s.Lines, room = append(s.Lines, line), room-len(line)
	}
	if len(text) > wire.MaxSaidBytes {
		Lose(s, 1)
	}
}

// Lose counts lines that are not kept.
func Lose(s *wire.Said, n uint32) { s.Lost += min(n, math.MaxUint32-s.Lost) }

func size(s *wire.Said) (n int) {
	for _, line := range s.Lines {
		n += len(line)
	}
	return n
}

// Clean makes one line of at most wire.MaxSaidLine bytes of a text, harmless to
// a terminal: a tab becomes a space, and every other character that is not
// visible (Unicode's categories Cc, Cf, Co, Cs, Zl, Zp, unassigned, and bytes
// that are no UTF-8) the Mark.
func Clean(line string) string {
	line = strings.ToValidUTF8(line, Mark)
	line = strings.Map(visible, line)
	if len(line) <= wire.MaxSaidLine {
		return line
	}
	end := wire.MaxSaidLine - len(Cut)
	for !utf8.RuneStart(line[end]) {
		end--
	}
	return line[:end] + Cut
}

func visible(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case unicode.IsGraphic(r):
		return r
	}
	return utf8.RuneError
}
