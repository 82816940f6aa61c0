package question

import (
	"math"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func mustAsk(q Question, err error) Question {
	if err != nil {
		panic(err)
	}
	return q
}

// A step of k-means over elements of every type, as rows and as columns, is that of
// a plain loop. The elements are small integers, so sums are exact.
func TestKMeansStepIsThatOfAPlainLoop(t *testing.T) {
	r := newRunner(t)
	stepOf[int8](t, r)
	stepOf[int16](t, r)
	stepOf[int32](t, r)
	stepOf[int64](t, r)
	stepOf[uint8](t, r)
	stepOf[uint16](t, r)
	stepOf[uint32](t, r)
	stepOf[uint64](t, r)
	stepOf[float32](t, r)
	stepOf[float64](t, r)
}

func stepOf[T element](t *testing.T, r *runner) {
	t.Helper()
	const rows, dims = 3000, 4
	flat, columns := make([]T, rows*dims), make([][]T, dims)
	for i := range flat {
		flat[i] = T((i*i + i/7) % 50)
		columns[i%dims] = append(columns[i%dims], flat[i])
	}
	at := [][]float64{{0, 0, 0, 0}, {40, 3, 20, 10}, {9, 40, 9, 40}, {1e6, 0, 0, 0}}
	want := plainStep(flat, at)
	q := mustAsk(KMeans(at))
	inputs := make([]column, dims)
	for j := range inputs {
		inputs[j] = columnOf(columns[j])
	}
	for what, acc := range map[string][]byte{"rows": r.reduce(q, 1024, columnOf(flat)), "columns": r.reduce(q, 1024, inputs...)} {
		got, err := q.ReadKMeans(at, acc)
		if err != nil || got.Inertia != want.Inertia || got.Skipped != 0 || !slices.Equal(got.Rows, want.Rows) || !slices.EqualFunc(got.Centroids, want.Centroids, slices.Equal) {
			t.Errorf("%s of %s: %+v, %v, want %+v", what, typeFor[T](), got, err, want)
		}
	}
	if want.Rows[3] != 0 || want.Centroids[3][0] != 1e6 || want.Rows[0] == 0 || want.Rows[1] == 0 || want.Rows[2] == 0 {
		t.Fatalf("the sample shows too little: %+v", want)
	}
}

// plainStep is the dumbest step.
func plainStep[T element](flat []T, at [][]float64) Step {
	dims := len(at[0])
	s := Step{Rows: make([]uint64, len(at))}
	sums := make([][]float64, len(at))
	for row := range slices.Chunk(flat, dims) {
		best, least := 0, math.Inf(1)
		for c, centroid := range at {
			d := 0.0
			for j, v := range row {
				d += (float64(v) - centroid[j]) * (float64(v) - centroid[j])
			}
			if d < least {
				best, least = c, d
			}
		}
		s.Rows[best]++
		s.Inertia += least
		for j, v := range row {
			sums[best] = append(sums[best], make([]float64, dims-len(sums[best]))...)
			sums[best][j] += float64(v)
		}
	}
	for c, centroid := range at {
		mean := slices.Clone(centroid)
		for j := range sums[c] {
			mean[j] = sums[c][j] / float64(s.Rows[c])
		}
		s.Centroids = append(s.Centroids, mean)
	}
	return s
}

func TestQuestionsThatDoNotFitAreRefused(t *testing.T) {
	for name, ask := range map[string]func() error{
		"no centroids":           func() error { _, err := KMeans(nil); return err },
		"of no dimensions":       func() error { _, err := KMeans([][]float64{{}}); return err },
		"of unlike dimensions":   func() error { _, err := KMeans([][]float64{{1}, {1, 2}}); return err },
		"one dimension too many": func() error { _, err := KMeans([][]float64{make([]float64, MaxDimensions+1)}); return err },
		"one value too many":     func() error { _, err := KMeans(slices.Repeat([][]float64{{1}}, MaxCentroids+1)); return err },
		"an infinity":            func() error { _, err := KMeans([][]float64{{math.Inf(1)}}); return err },
		"one extent too many":    func() error { _, err := Totals(1, MaxSummed+1); return err },
	} {
		if err := ask(); holo.KindOf(err) != holo.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustAsk(KMeans(slices.Repeat([][]float64{{1}}, MaxCentroids)))
	mustAsk(KMeans([][]float64{make([]float64, MaxDimensions)}))
	q := mustAsk(Totals(1, MaxSummed))
	if second, err := q.CumSum(holo.F64, make([]byte, 8*MaxSummed)); err != nil || len(second.Params) > 64<<10 {
		t.Errorf("%d bytes of parameters, %v", len(second.Params), err)
	}
	if _, err := q.CumSum(holo.F64, make([]byte, 8)); holo.KindOf(err) != holo.Corrupt {
		t.Errorf("totals of another length: %v", err)
	}
}
