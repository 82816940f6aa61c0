package holo

import "testing"

func TestPlainTextHoldsNothingThatATerminalObeys(t *testing.T) {
	for s, want := range map[string]string{
		"":                             "",
		`a "quoted" C:\path, naïve 雪`:  `a "quoted" C:\path, naïve 雪`,
		"\x1b[31mred\x1b[0m":           `\x1b[31mred\x1b[0m`,
		"\x1b]0;title\a":               `\x1b]0;title\a`,
		"two\nlines\r":                 `two\nlines\r`,
		"\u009b31m":                    `\u009b31m`, // the C1 control that begins a sequence
		"\x9b31m":                      `\x9b31m`,
		"abc\u202egnp.exe":             `abc\u202egnp.exe`,
		"zero\u200bwidth, no\u00a0brk": `zero\u200bwidth, no\u00a0brk`,
		"del\x7f, nul\x00":             `del\x7f, nul\x00`,
		"\ufffd":                       "\ufffd", // the character, not a broken byte
		"cut \xe9\x9b":                 `cut \xe9\x9b`,
	} {
		if got := Plain(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}
