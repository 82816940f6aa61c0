package holocompute

import (
	"context"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/question"
)

// What a kernel sees beyond the ends of an array (Call.Edge).
const (
	EdgeClamp = "clamp" // the first or last element
	EdgeZero  = "zero"  // zeros
	EdgeWrap  = "wrap"  // the other end
)

// Stencil writes for each element of the input the weighted sum of its
// neighbours: with weights w0 w1 w2 it is w0*a[i-1] + w1*a[i] + w2*a[i+1]. There
// is an odd number of weights, at most 8,191, and the edge says what lies beyond
// the ends. Floats are summed up as float64, from the first weight on, and
// rounded once; integers wrap around, and their weights are integers. So it is
// the same to the bit on any nodes and with any extents. The output is another
// array of the input's type, length and extent that lies with it. It needs RUN
// on std/stencil, READ on the input and WRITE on the output.
func (c *Cluster) Stencil(ctx context.Context, output, input *Raw, edge string, weights ...Number) (*Job, error) {
	if output == nil || input == nil || output.typ != input.typ {
		return nil, holo.Errorf(Invalid, "stencil: want an input and an output of one type")
	}
	q, err := question.Stencil(input.typ, weights)
	if err != nil {
		return nil, err
	}
	call := callOf(q, []*Raw{input})
	if width := uint32(len(weights) / 2); width > 0 {
		call.Halo, call.Edge = width, edge
	}
	job, err := c.Map(ctx, call, output)
	if err != nil {
		return nil, c.missing(ctx, q, err)
	}
	return job, nil
}
