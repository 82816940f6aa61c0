package holocompute

import (
	"context"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/question"
)

// CumSum writes the cumulative sum: element i of the output is the sum of the
// input's elements 0 to i. The output is of the input's type, length and extent, and
// lies with it; it may be the input itself. It is done in two passes, of which this
// waits for the first. Integers wrap around. Floats are added as float64, in
// order within an extent, and the extents one after the other: the same to the bit
// on any nodes. NaN stays NaN from there on. It needs RUN on std/cumsum, READ on the input and
// WRITE on the output.
func (c *Cluster) CumSum(ctx context.Context, output, input *Raw) (*Job, error) {
	if output == nil || input == nil || output.typ != input.typ {
		return nil, holo.Errorf(Invalid, "cumulative sum: want an input and an output of one type")
	}
	extent := input.info.Extent
	first, err := question.Totals(extent, (input.info.Length+extent-1)/extent)
	if err != nil {
		return nil, err
	}
	totals, err := c.answer(ctx, first, input)
	if err != nil {
		return nil, err
	}
	second, err := first.CumSum(input.typ, totals)
	if err != nil {
		return nil, err
	}
	job, err := c.Map(ctx, callOf(second, []*Raw{input}), output)
	if err != nil {
		return nil, c.missing(ctx, second, err)
	}
	return job, nil
}
