package format

import (
	"math"
	"strconv"

	"github.com/holocompute/holocompute/internal/holo"
)

// csvKind is what is known of a column while its rows go by: whether each
// text is an element of the type that is wanted, or, where none is, of which
// type all of them are. It remembers one row for each way to be wrong.
type csvKind struct {
	want holo.ElementType // 0: to be found out
	why  string           // why it cannot be an array; then nothing more is looked at

	real     bool   // some text is not an integer
	negative bool   // some integer is below 0
	big      string // the first integer beyond i64 that is an u64
	beyond   string // the first integer that neither i64 nor u64 holds
	inexact  string // the first integer that no f64 holds
}

// see takes the text of the row in hand.
func (c *csvKind) see(text []byte, rows *csvRows) {
	switch {
	case len(text) == 0:
		c.why = rows.place() + " is empty: --empty gives the number that empty fields stand for"
	case c.want.Valid():
		c.check(text, rows)
	case !isWhole(text):
		c.real = true
		c.checkFloat(text, rows)
	default:
		c.seeWhole(text, rows)
	}
}

func (c *csvKind) check(text []byte, rows *csvRows) {
	var room [8]byte
	if _, why := appendElement(room[:0], text, c.want); why != "" {
		c.why = rows.say(text, why)
	}
}

func (c *csvKind) checkFloat(text []byte, rows *csvRows) {
	if _, why := parseFloat(text, holo.F64); why != "" {
		c.why = rows.say(text, why)
	}
}

func (c *csvKind) seeWhole(text []byte, rows *csvRows) {
	negative, digits := cutSign(text)
	v, err := strconv.ParseUint(string(digits), 10, 64)
	c.negative = c.negative || negative && v > 0
	switch {
	case c.beyond == "" && (err != nil || negative && v > -math.MinInt64):
		c.beyond = rows.say(text, "neither i64 nor u64 holds")
	case c.big == "" && !negative && v > math.MaxInt64:
		c.big = rows.say(text, "is beyond i64")
	}
	if c.inexact == "" && v > 1<<53 {
		if _, why := parseFloat(text, holo.F64); why != "" {
			c.inexact = rows.say(text, why)
		}
	}
}

// settle says of which type the column is once all rows were seen, or why of
// none.
func (c *csvKind) settle(rows uint64) (t holo.ElementType, why string) {
	switch {
	case c.why != "":
		return 0, c.why
	case c.want.Valid():
		return c.want, ""
	case rows == 0:
		return 0, "it has no rows to tell its type by: give --type"
	case c.real && c.inexact != "":
		return 0, c.inexact + "; other rows are no integers"
	case c.real:
		return holo.F64, ""
	case c.beyond != "":
		return 0, c.beyond + ": --type f64 takes what an f64 gives back"
	case c.big != "" && c.negative:
		return 0, c.big + ", and other rows are below 0: --type f64 takes what an f64 gives back"
	case c.big != "":
		return holo.U64, ""
	}
	return holo.I64, ""
}
