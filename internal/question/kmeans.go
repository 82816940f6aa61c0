package question

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/kernels/std"
)

// Limits of k-means. All centroids together are the parameters of a step.
const (
	MaxDimensions = 1024
	MaxCentroids  = (64<<10 - 8) / 8 // values of all of them
)

// Step is what one step of k-means found: for each centroid how many rows are
// nearest to it, and where their mean is.
type Step struct {
	Centroids [][]float64 // the means; of a centroid without rows, itself
	Rows      []uint64
	Skipped   uint64  // rows with an element that is no finite number
	Inertia   float64 // squared distances to the centroids of before, added up
}

// KMeans asks for a step from centroids of as many dimensions each.
func KMeans(centroids [][]float64) (Question, error) {
	k := len(centroids)
	if k == 0 || len(centroids[0]) == 0 || len(centroids[0]) > MaxDimensions || k*len(centroids[0]) > MaxCentroids {
		return Question{}, holo.Errorf(holo.Invalid, "k-means: %d centroids: want one or more, of 1 to %d dimensions, and at most %d values in all", k, MaxDimensions, MaxCentroids)
	}
	dims := len(centroids[0])
	params := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(k)), uint32(dims))
	for i, c := range centroids {
		if len(c) != dims {
			return Question{}, holo.Errorf(holo.Invalid, "k-means: centroid %d has %d dimensions, the first has %d", i, len(c), dims)
		}
		for _, v := range c {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return Question{}, holo.Errorf(holo.Invalid, "k-means: centroid %d has a value %v", i, v)
			}
			params = binary.LittleEndian.AppendUint64(params, math.Float64bits(v))
		}
	}
	return ask(std.KMeans, "kmeans", params, uint64(16+k*(8+8*dims))), nil
}

// ReadKMeans reads the answer to a step from those centroids.
func (q *Question) ReadKMeans(centroids [][]float64, acc []byte) (Step, error) {
	a := newAnswer(q, acc)
	s := Step{Skipped: a.word(), Inertia: math.Float64frombits(a.word())}
	for _, c := range centroids {
		rows, mean := a.word(), slices.Clone(c)
		for j := range mean {
			if sum := math.Float64frombits(a.word()); rows > 0 {
				mean[j] = sum / float64(rows)
			}
		}
		s.Rows, s.Centroids = append(s.Rows, rows), append(s.Centroids, mean)
	}
	return s, a.err
}
