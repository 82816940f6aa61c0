package holocompute_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute"
)

// tolerance is how far centroids may be from those of the reference, which
// subtracts the mean of all rows first.
const tolerance = 1e-9

func digits(t *testing.T, c *holocompute.Cluster) *holocompute.Raw {
	t.Helper()
	b, err := os.ReadFile("testdata/digits/digits.u8")
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.CreateRaw(t.Context(), "kmeans/digits", holocompute.U8, uint64(len(b)), holocompute.ArrayOptions{Extent: 65536})
	if err == nil {
		err = r.WriteBytes(t.Context(), 0, b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Ten clusters of real handwritten digits are those that scikit-learn finds.
func TestKMeansOfDigitsIsThatOfTheReference(t *testing.T) {
	c := connect(t)
	got, err := c.KMeans(t.Context(), holocompute.KMeansOptions{Clusters: 10, Dimensions: 64}, digits(t, c))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("testdata/digits/centers.f64")
	want := make([]float64, 640)
	if _, err2 := binary.Decode(b, binary.LittleEndian, want); err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	for i, v := range slices.Concat(got.Centroids...) {
		if math.Abs(v-want[i]) > tolerance {
			t.Fatalf("value %d of centroid %d is %v, want %v", i%64, i/64, v, want[i])
		}
	}
	if math.Abs(got.Inertia/1242999.3288656806-1) > tolerance || !got.Converged || got.Skipped != 0 {
		t.Errorf("inertia %v, converged %v, skipped %d", got.Inertia, got.Converged, got.Skipped)
	}
	if fmt.Sprint(got.Rows) != "[110 93 442 122 72 197 95 168 178 320]" {
		t.Errorf("rows %v", got.Rows)
	}
}

// Columns are rows as much as a run is; what is no number is left out.
func TestKMeansOfColumnsLeavesOutWhatIsNoNumber(t *testing.T) {
	c := connect(t)
	nan, inf := math.NaN(), math.Inf(1)
	x := create(t, c, "kmeans/x", 0, 10, 1, 11, nan, 5)
	y := create(t, c, "kmeans/y", 0, 10, 0, 10, 3, inf)
	got, err := c.KMeans(t.Context(), holocompute.KMeansOptions{Start: [][]float64{{0, 0}, {9, 9}, {1e9, 1e9}}}, x.Raw(), y.Raw())
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got.Centroids, got.Rows, got.Skipped, got.Inertia) != "[[0.5 0] [10.5 10] [1e+09 1e+09]] [2 2 0] 2 1" {
		t.Errorf("%+v", got)
	}
}

func TestKMeansRefusesWhatItCannotDo(t *testing.T) {
	c := connect(t)
	x, y := create(t, c, "kmeans/a", 1.0, 2, 3), create(t, c, "kmeans/b", int32(1), 2, 3)
	for want, try := range map[string]func() error{
		"want an array":        func() error { _, err := c.KMeans(t.Context(), holocompute.KMeansOptions{Clusters: 1}); return err },
		"0 clusters of 3 rows": func() error { _, err := c.KMeans(t.Context(), holocompute.KMeansOptions{}, x.Raw()); return err },
		"4 clusters of 3 rows": func() error {
			_, err := c.KMeans(t.Context(), holocompute.KMeansOptions{Clusters: 4}, x.Raw())
			return err
		},
		"no whole rows": func() error {
			_, err := c.KMeans(t.Context(), holocompute.KMeansOptions{Clusters: 1, Dimensions: 3}, x.Raw())
			return err
		},
		"not of the type": func() error {
			_, err := c.KMeans(t.Context(), holocompute.KMeansOptions{Clusters: 1}, x.Raw(), y.Raw())
			return err
		},
		"has a value NaN": func() error {
			_, err := c.KMeans(t.Context(), holocompute.KMeansOptions{Start: [][]float64{{math.NaN()}}}, x.Raw())
			return err
		},
		"the centroids have not": func() error {
			_, err := c.KMeans(t.Context(), holocompute.KMeansOptions{Start: [][]float64{{1, 2}}}, x.Raw())
			return err
		},
	} {
		if err := try(); err == nil || holocompute.KindOf(err) != holocompute.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// The cumulative sum over several extents, of integers that wrap and of floats,
// in place and not.
func TestCumSumGoesOnFromExtentToExtent(t *testing.T) {
	c := connect(t)
	ints, reals := make([]int8, 3*65536+5), make([]float64, 3*65536+5)
	for i := range ints {
		ints[i], reals[i] = int8(i%7-2), 1/float64(i+1)
	}
	a, b := create(t, c, "cumsum/ints", ints...), create(t, c, "cumsum/reals", reals...)
	out := create(t, c, "cumsum/out", make([]float64, len(reals))...)
	for _, do := range []func() (*holocompute.Job, error){
		func() (*holocompute.Job, error) { return c.CumSum(t.Context(), a.Raw(), a.Raw()) },
		func() (*holocompute.Job, error) { return c.CumSum(t.Context(), out.Raw(), b.Raw()) },
	} {
		job, err := do()
		if err == nil {
			_, err = job.Wait(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	gotInts, gotReals := make([]int8, len(ints)), make([]float64, len(reals))
	if err := a.Read(t.Context(), 0, gotInts); err != nil {
		t.Fatal(err)
	}
	if err := out.Read(t.Context(), 0, gotReals); err != nil {
		t.Fatal(err)
	}
	var sum int8
	before, within := 0.0, 0.0
	for i := range ints {
		if i%65536 == 0 {
			before, within = before+within, 0
		}
		sum, within = sum+ints[i], within+reals[i]
		if gotInts[i] != sum || gotReals[i] != before+within {
			t.Fatalf("element %d: %d and %v, want %d and %v", i, gotInts[i], gotReals[i], sum, before+within)
		}
	}
	if _, err := c.CumSum(t.Context(), a.Raw(), b.Raw()); holocompute.KindOf(err) != holocompute.Invalid {
		t.Errorf("an output of another type: %v", err)
	}
}
