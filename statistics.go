package holocompute

import (
	"context"
	"math"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/question"
)

// Questions about whole arrays, answered by the standard kernels where the pages
// lie. Sums, means, variances, dot products and norms are the exact ones: of
// integers in full, of floats rounded once to a float64. So they are the same
// to the bit whatever the nodes and extents. NaNs are counted and left out;
// infinities are numbers. Each needs RUN on its kernel and READ on its arrays.

// Stats is what can be said of all elements of an array.
type Stats = question.Stats

// Product is the sum of the products of two arrays' elements.
type Product = question.Product

// Histogram counts elements between edges.
type Histogram = question.Histogram

// Place is an element and where it is.
type Place = question.Place

// Comparison is a relation of elements to a constant.
type Comparison = question.Comparison

// The comparisons. NaN is not equal to anything, and neither less nor more.
const (
	Equal    = question.Equal
	NotEqual = question.NotEqual
	Less     = question.Less
	AtMost   = question.AtMost
	Greater  = question.Greater
	AtLeast  = question.AtLeast
)

// Limits of a histogram and of a top.
const (
	MaxBins = question.MaxBins
	MaxTop  = question.MaxTop
)

// Stats asks for everything: count, extremes, sum, mean and variances. It is
// the kernel std/stats.
func (r *Raw) Stats(ctx context.Context) (Stats, error) {
	return r.stats(ctx, question.WholeStats(r.typ))
}

// Totals is Stats without the variances, which take about half of the work.
func (r *Raw) Totals(ctx context.Context) (Stats, error) { return r.stats(ctx, question.Sum(r.typ)) }

func (r *Raw) stats(ctx context.Context, q question.Question) (Stats, error) {
	acc, err := r.c.answer(ctx, q, r)
	if err != nil {
		return Stats{}, err
	}
	s, err := q.ReadStats(r.typ, acc)
	if err == nil {
		err = r.covered(q, s.Count, s.NaNs)
	}
	return s, err
}

// covered refuses an answer that is about more or fewer elements than there are:
// the counters of every answer add up to the length.
func (r *Raw) covered(q question.Question, counters ...uint64) error {
	var sum uint64
	for _, n := range counters {
		if n > r.info.Length-sum {
			sum = r.info.Length + 1
			break
		}
		sum += n
	}
	if sum == r.info.Length {
		return nil
	}
	return holo.Errorf(Corrupt, "the answer of %s %s does not count the %d elements of array %s: %v", q.Kernel, q.Function, r.info.Length, r.info.Name, counters)
}

// CountIf counts the elements that compare so with a value of their type, and
// those that are NaN. It is the kernel std/count.
func (r *Raw) CountIf(ctx context.Context, c Comparison, value Number) (count, nans uint64, err error) {
	q, err := question.Count(r.typ, c, value)
	if err != nil {
		return 0, 0, err
	}
	acc, err := r.c.answer(ctx, q, r)
	if err != nil {
		return 0, 0, err
	}
	if count, nans, err = q.ReadCount(acc); err == nil && max(count, nans) > r.info.Length {
		err = r.covered(q, count, nans)
	}
	return count, nans, err
}

// Histogram counts the elements in 1 to MaxBins bins of equal width from low to
// high, both of the array's type. The edges are exact ones, of floats rounded to
// the type, of integers the next one above. Each bin holds its lower edge, the
// last one its upper edge too. It is the kernel std/count.
func (r *Raw) Histogram(ctx context.Context, low, high Number, bins int) (Histogram, error) {
	q, edges, err := question.Bins(r.typ, low, high, bins)
	if err != nil {
		return Histogram{}, err
	}
	acc, err := r.c.answer(ctx, q, r)
	if err != nil {
		return Histogram{}, err
	}
	h, err := q.ReadHistogram(edges, acc)
	if err == nil {
		err = r.covered(q, append([]uint64{h.Below, h.Above, h.NaNs}, h.Bins...)...)
	}
	return h, err
}

// Top finds the k largest elements, 1 to MaxTop, the largest first; of equal
// ones that with the lower index. It also tells how many elements are NaN, which are
// left out. It is the kernel std/top.
func (r *Raw) Top(ctx context.Context, k int) (places []Place, nans uint64, err error) {
	return r.top(ctx, k, false)
}

// Bottom is Top for the smallest elements, the smallest first.
func (r *Raw) Bottom(ctx context.Context, k int) (places []Place, nans uint64, err error) {
	return r.top(ctx, k, true)
}

func (r *Raw) top(ctx context.Context, k int, smallest bool) ([]Place, uint64, error) {
	q, err := question.Top(k, smallest)
	if err != nil {
		return nil, 0, err
	}
	acc, err := r.c.answer(ctx, q, r)
	if err != nil {
		return nil, 0, err
	}
	places, nans, err := q.ReadTop(r.typ, acc)
	if got := uint64(len(places)); err == nil && got < uint64(k) { // then all that are numbers are there
		err = r.covered(q, got, nans)
	}
	return places, nans, err
}

// Dot adds the products of the elements of two arrays of one type that lie
// together. A product that is not a number, with a NaN or of 0 and infinity, is
// counted and left out. It is the kernel std/dot.
func (r *Raw) Dot(ctx context.Context, other *Raw) (Product, error) {
	if r.typ != other.typ {
		return Product{}, holo.Errorf(Invalid, "dot: %s holds %s, %s holds %s", r.info.Name, r.typ, other.info.Name, other.typ)
	}
	q := question.Dot(r.typ)
	acc, err := r.c.answer(ctx, q, r, other)
	if err != nil {
		return Product{}, err
	}
	p, err := q.ReadDot(r.typ, acc)
	if err == nil {
		err = r.covered(q, p.Count, p.NaNs)
	}
	return p, err
}

// Stats asks for everything: count, extremes, sum, mean and variances.
func (a *Array[T]) Stats(ctx context.Context) (Stats, error) { return a.raw.Stats(ctx) }

// Sum is the sum of all elements that are numbers: of integers in full, of
// floats the exact one rounded once to a float64. The sum of nothing is 0.
func (a *Array[T]) Sum(ctx context.Context) (Number, error) {
	s, err := a.raw.Totals(ctx)
	return s.Sum, err
}

// Mean is the mean of all elements that are numbers, the exact one rounded once.
// It is NaN where there are none.
func (a *Array[T]) Mean(ctx context.Context) (float64, error) {
	s, err := a.raw.Totals(ctx)
	if err != nil {
		return math.NaN(), err
	}
	return s.Mean.Float64(), nil
}

// Bounds are the least and the greatest of all elements that are numbers. It
// fails with kind NotFound where there are none.
func (a *Array[T]) Bounds(ctx context.Context) (least, greatest T, err error) {
	s, err := a.raw.Totals(ctx)
	if err == nil && s.Count == 0 {
		err = holo.Errorf(NotFound, "bounds of array %s: it has no element that is a number", a.raw.info.Name)
	}
	if err != nil {
		return least, greatest, err
	}
	return valueOf[T](s.Min), valueOf[T](s.Max), nil
}

// CountIf counts the elements that compare so with a value.
func (a *Array[T]) CountIf(ctx context.Context, c Comparison, value T) (uint64, error) {
	n, _, err := a.raw.CountIf(ctx, c, NumberOf(value))
	return n, err
}

// Histogram counts the elements in bins of equal width from low to high.
func (a *Array[T]) Histogram(ctx context.Context, low, high T, bins int) (Histogram, error) {
	return a.raw.Histogram(ctx, NumberOf(low), NumberOf(high), bins)
}

// Found is an element of an Array and where it is.
type Found[T Element] struct {
	Index uint64
	Value T
}

// Top finds the k largest elements, the largest first; of equal ones that with
// the lower index. NaNs are left out.
func (a *Array[T]) Top(ctx context.Context, k int) ([]Found[T], error) {
	places, _, err := a.raw.Top(ctx, k)
	return found[T](places), err
}

// Bottom is Top for the smallest elements, the smallest first.
func (a *Array[T]) Bottom(ctx context.Context, k int) ([]Found[T], error) {
	places, _, err := a.raw.Bottom(ctx, k)
	return found[T](places), err
}

func found[T Element](places []Place) []Found[T] {
	list := make([]Found[T], len(places))
	for i, p := range places {
		list[i] = Found[T]{p.Index, valueOf[T](p.Value)}
	}
	return list
}

// Dot is the sum of the products of the elements of two arrays that lie
// together: of integers in full, of floats the exact one rounded once.
func (a *Array[T]) Dot(ctx context.Context, other *Array[T]) (Number, error) {
	p, err := a.raw.Dot(ctx, other.raw)
	return p.Sum, err
}

// Norm is the length of the array as a vector: the root of Dot with itself, the
// exact one rounded once.
func (a *Array[T]) Norm(ctx context.Context) (float64, error) {
	p, err := a.raw.Dot(ctx, a.raw)
	if err != nil {
		return math.NaN(), err
	}
	return p.Root.Float64(), nil
}
