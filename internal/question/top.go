package question

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/kernels/std"
)

// MaxTop bounds how many elements can be asked for.
const MaxTop = 65_535

// Place is an element and where it is.
type Place struct {
	Index uint64 `json:"index"`
	Value Number `json:"value"`
}

// Top asks for the k largest elements, or the smallest. Of equal ones those of
// lower index come first; -0 is less than +0.
func Top(k int, smallest bool) (Question, error) {
	if k < 1 || k > MaxTop {
		return Question{}, holo.Errorf(holo.Invalid, "top: %d elements, want 1 to %d", k, MaxTop)
	}
	flip := uint32(0)
	if smallest {
		flip = 1
	}
	return ask(std.Top, "top", binary.LittleEndian.AppendUint32(nil, flip), uint64(16+16*k)), nil
}

type ranked struct{ rank, index uint64 }

// ReadTop reads the elements in their order, and how many were NaN.
func (q *Question) ReadTop(t holo.ElementType, acc []byte) (places []Place, nans uint64, err error) {
	a := newAnswer(q, acc)
	head := a.word()
	typ, have := head&math.MaxUint32, head>>32
	nans = a.word()
	if most := uint64(len(a.left) / 16); have > most || typ != 0 && typ != uint64(t) || typ == 0 && have > 0 {
		a.bad("%d of at most %d elements of type %d, not %s", have, most, typ, t)
		return nil, 0, a.err
	}
	list := make([]ranked, have)
	for i := range list {
		list[i] = ranked{a.word(), a.word()}
	}
	slices.SortFunc(list, func(x, y ranked) int { return cmp.Or(-cmp.Compare(x.rank, y.rank), cmp.Compare(x.index, y.index)) })
	places = make([]Place, have)
	for i, r := range list {
		places[i] = Place{r.index, numberOf(t, unranked(t, r.rank^-uint64(q.Params[0])))}
	}
	return places, nans, a.err
}

const sign = 1 << 63

// unranked turns a rank of kernels/src/std/top.c into the element.
func unranked(t holo.ElementType, rank uint64) uint64 {
	switch {
	case t.Float() && rank&sign == 0:
		return ^rank
	case t.Float() || t.Signed():
		return rank ^ sign
	}
	return rank
}
