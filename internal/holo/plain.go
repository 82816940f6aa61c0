package holo

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Plain makes a text safe to print: each character that a terminal obeys, that
// turns the direction of writing, or that cannot be seen becomes its escape,
// such as \x1b or \u202e, and so does a byte that is no UTF-8. Names in files
// and of files are chosen by strangers.
func Plain(s string) string {
	if strings.IndexFunc(s, unseen) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if unseen(r) || r == utf8.RuneError && size == 1 {
			quoted := strconv.Quote(s[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}

func unseen(r rune) bool { return !unicode.IsPrint(r) }
