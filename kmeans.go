package holocompute

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/question"
)

// Clusters is what k-means found.
type Clusters struct {
	Centroids  [][]float64 `json:"centroids"`
	Rows       []uint64    `json:"rows"`    // nearest to each centroid, in the last step
	Skipped    uint64      `json:"skipped"` // rows with an element that is no finite number
	Inertia    float64     `json:"inertia"` // squared distances to the centroids of the last step's start, added up
	Iterations int         `json:"iterations"`
	Converged  bool        `json:"converged"` // the last step moved no centroid at all
}

// KMeansOptions say how k-means is done.
type KMeansOptions struct {
	Clusters   int         // how many to find; not with Start
	Dimensions int         // elements of a row, where one array holds all; 0: one
	Iterations int         // at most; 0: 100
	Start      [][]float64 // centroids to begin with; nil: rows at equal distances, the first one among them
}

// KMeans finds clusters among rows by Lloyd's algorithm. A row is Dimensions
// elements in a run of one array, whose pages must hold whole rows; or one
// element of each of several arrays of one type that lie together. A centroid that
// no row is nearest to stays where it is. Each step is a job of std/kmeans, which needs
// RUN on it and READ on the arrays; the result is the same to the bit on any nodes.
func (c *Cluster) KMeans(ctx context.Context, o KMeansOptions, arrays ...*Raw) (Clusters, error) {
	r, err := rowsOf(o, arrays)
	if err != nil {
		return Clusters{}, err
	}
	at := o.Start
	if at == nil {
		if at, err = r.spread(ctx, o.Clusters); err != nil {
			return Clusters{}, err
		}
	}
	most := o.Iterations
	if most == 0 {
		most = 100
	}
	out := Clusters{Centroids: at}
	for out.Iterations < most && !out.Converged {
		s, err := r.step(ctx, c, out.Centroids)
		if err != nil {
			return Clusters{}, err
		}
		out.Converged = slices.EqualFunc(out.Centroids, s.Centroids, slices.Equal)
		out.Centroids, out.Rows, out.Skipped, out.Inertia = s.Centroids, s.Rows, s.Skipped, s.Inertia
		out.Iterations++
	}
	return out, nil
}

// rows are the rows of arrays.
type rows struct {
	arrays []*Raw
	dims   uint64
	count  uint64
}

func rowsOf(o KMeansOptions, arrays []*Raw) (*rows, error) {
	if len(arrays) == 0 {
		return nil, holo.Errorf(Invalid, "k-means: want an array")
	}
	first := arrays[0]
	dims, n := uint64(max(o.Dimensions, 1)), first.info.Length
	if len(arrays) > 1 {
		if o.Dimensions != 0 && o.Dimensions != len(arrays) {
			return nil, holo.Errorf(Invalid, "k-means: %d arrays are rows of as many dimensions, not %d", len(arrays), o.Dimensions)
		}
		for _, a := range arrays {
			if a.typ != first.typ || a.info.Length != n {
				return nil, holo.Errorf(Invalid, "k-means: %s is not of the type and length of %s", a.info.Name, first.info.Name)
			}
		}
		return &rows{arrays, uint64(len(arrays)), n}, nil
	}
	if page := holo.PageSize / first.typ.Size(); o.Dimensions < 0 || dims > question.MaxDimensions || page%dims != 0 || n%dims != 0 {
		return nil, holo.Errorf(Invalid, "k-means: %d elements of %s, %d to a page, are no whole rows of %d dimensions: use a number that divides both, or an array for each dimension",
			n, first.typ, page, o.Dimensions)
	}
	return &rows{arrays, dims, n / dims}, nil
}

// spread reads k rows at equal distances.
func (r *rows) spread(ctx context.Context, k int) ([][]float64, error) {
	if k < 1 || uint64(k) > r.count || uint64(k)*r.dims > question.MaxCentroids {
		return nil, holo.Errorf(Invalid, "k-means: %d clusters of %d rows: want 1 or more, no more than there are rows, and at most %d values in all", k, r.count, question.MaxCentroids)
	}
	out := make([][]float64, k)
	for i := range out {
		row, err := r.read(ctx, uint64(i)*r.count/uint64(k))
		if err != nil {
			return nil, err
		}
		out[i] = row
	}
	return out, nil
}

func (r *rows) read(ctx context.Context, at uint64) (row []float64, err error) {
	n := r.dims / uint64(len(r.arrays)) // of each array
	for _, a := range r.arrays {
		b := make([]byte, n*a.typ.Size())
		if err := a.ReadBytes(ctx, at*n, b); err != nil {
			return nil, err
		}
		row = append(row, floats(a.typ, b)...)
	}
	return row, nil
}

// floats are elements of any type as float64.
func floats(t ElementType, b []byte) []float64 {
	switch t {
	case I8:
		return floatsOf[int8](b)
	case I16:
		return floatsOf[int16](b)
	case I32:
		return floatsOf[int32](b)
	case I64:
		return floatsOf[int64](b)
	case U8:
		return floatsOf[uint8](b)
	case U16:
		return floatsOf[uint16](b)
	case U32:
		return floatsOf[uint32](b)
	case U64:
		return floatsOf[uint64](b)
	case F32:
		return floatsOf[float32](b)
	}
	return floatsOf[float64](b)
}

type number interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64
}

func floatsOf[T number](b []byte) []float64 {
	var zero T
	out := make([]float64, len(b)/binary.Size(zero))
	values := make([]T, len(out))
	_, _ = binary.Decode(b, binary.LittleEndian, values) // it has exactly these bytes
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

func (r *rows) step(ctx context.Context, c *Cluster, at [][]float64) (question.Step, error) {
	if len(at) == 0 || uint64(len(at[0])) != r.dims {
		return question.Step{}, holo.Errorf(Invalid, "k-means: the rows have %d dimensions, the centroids have not", r.dims)
	}
	q, err := question.KMeans(at)
	if err != nil {
		return question.Step{}, err
	}
	acc, err := c.answer(ctx, q, r.arrays...)
	if err != nil {
		return question.Step{}, err
	}
	s, err := q.ReadKMeans(at, acc)
	if err != nil {
		return s, err
	}
	total := s.Skipped
	for _, n := range s.Rows {
		total += n
	}
	if total != r.count {
		err = holo.Errorf(Corrupt, "the answer of %s counts %d of %d rows", q.Kernel, total, r.count)
	}
	return s, err
}
