package question

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
)

// mapped runs a map over all elements, a page at a time.
func (r *runner) mapped(q Question, out holo.ElementType, inputs ...column) []byte {
	r.Helper()
	instance, err := r.programs[q.Module].NewInstance(r.Context(), plenty, sandbox.DefaultMemoryPages)
	if err != nil {
		r.Fatal(err)
	}
	defer instance.Close()
	n, page := inputs[0].len(), holo.PageSize/max(inputs[0].typ.Size(), out.Size())
	result := make([]byte, n*out.Size())
	for first := uint64(0); first < n; first += page {
		to := min(first+page, n)
		call := sandbox.Call{Function: q.Function, First: first, N: uint32(to - first), Params: q.Params}
		for _, c := range inputs {
			call.Inputs = append(call.Inputs, c.view(first, to))
		}
		call.Outputs = []sandbox.View{{Type: out, Bytes: result[first*out.Size() : to*out.Size()]}}
		if _, err := instance.Run(r.Context(), module.Map, call); err != nil {
			r.Fatal(err)
		}
	}
	return result
}

// apply is an operation in Go. The explicit conversion keeps Go from fusing.
func apply[T element](name string, a, b, c T) any {
	truth := func(is bool) uint8 {
		if is {
			return 1
		}
		return 0
	}
	switch name {
	case "add":
		return a + b
	case "sub":
		return a - b
	case "mul":
		return a * b
	case "muladd":
		return T(a*b) + c
	case "div":
		return canonical(a / b)
	case "min":
		return min(a, b)
	case "max":
		return max(a, b)
	case "eq":
		return truth(a == b)
	case "ne":
		return truth(a != b)
	case "lt":
		return truth(a < b)
	case "le":
		return truth(a <= b)
	case "gt":
		return truth(a > b)
	}
	return truth(a >= b)
}

// canonical is the NaN that outputs have.
func canonical[T element](v T) T {
	if v != v {
		var nan T
		switch p := any(&nan).(type) {
		case *float32:
			*p = math.Float32frombits(0x7fc00000)
		case *float64:
			*p = math.Float64frombits(0x7ff8000000000000)
		}
		return nan
	}
	return v
}

func checkOperations[T element](t *testing.T, r *runner) {
	typ := typeFor[T]()
	n := int(holo.PageSize/typ.Size()) + 1027
	a, b, c := samples[T](n, 4), samples[T](n, 5), samples[T](n, 6)
	if typ.Float() {
		a[3], b[4], a[5], b[5] = T(math.NaN()), T(math.NaN()), T(math.Inf(1)), T(math.Inf(-1))
	}
	for _, o := range Operations() {
		if o.Floats && !typ.Float() {
			if _, err := o.Elementwise(typ, make([]*Number, o.Operands)); holo.KindOf(err) != holo.Invalid {
				t.Errorf("%s of %s: %v", o.Name, typ, err)
			}
			continue
		}
		for mask := range 1<<o.Operands - 1 { // which operands are constants
			lists, constants := [][]T{a, b, c}[:o.Operands], make([]*Number, o.Operands)
			var inputs []column
			for i := range lists {
				if mask>>i&1 == 1 {
					k := number(edges[T]()[3+i])
					constants[i] = &k
					lists[i] = filled(n, edges[T]()[3+i])
					continue
				}
				inputs = append(inputs, columnOf(lists[i]))
			}
			q, err := o.Elementwise(typ, constants)
			if err != nil {
				t.Fatal(err)
			}
			got := r.mapped(q, o.Output(typ), inputs...)
			if want := applied(o, lists); !bytes.Equal(got, want) {
				t.Errorf("%s with constants %b differs, first at byte %d", o.Name, mask, difference(got, want))
			}
		}
	}
}

func applied[T element](o Operation, lists [][]T) []byte {
	var third []T = lists[len(lists)-1]
	var out []byte
	for i := range lists[0] {
		v := apply(o.Name, lists[0][i], lists[1][i], third[i])
		if x, ok := v.(T); ok {
			v = canonical(x)
		}
		out = append(out, bytesOf(v)...)
	}
	return out
}

func filled[T element](n int, v T) []T {
	list := make([]T, n)
	for i := range list {
		list[i] = v
	}
	return list
}

func difference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// Every operation on every type, with every choice of operands as constants, is
// Go's: integers wrap, floats round once for each step, NaN is NaN.
func TestOperationsAreThoseOfGo(t *testing.T) {
	eachType(t, [10]func(*testing.T, *runner){
		checkOperations[int8], checkOperations[int16], checkOperations[int32], checkOperations[int64],
		checkOperations[uint8], checkOperations[uint16], checkOperations[uint32], checkOperations[uint64], checkOperations[float32], checkOperations[float64],
	})
}

func TestOperationsSayWhatTheyWant(t *testing.T) {
	one := Int(1)
	for _, c := range []struct {
		name string
		t    holo.ElementType
		of   []*Number
		want string
	}{
		{"add", holo.I8, []*Number{nil}, "add: 1 operands, want 2"},
		{"add", holo.I8, []*Number{&one, &one}, "none of the operands is an array"},
		{"div", holo.I8, []*Number{nil, nil}, "want f32 or f64"},
		{"mul", holo.F32, []*Number{nil, &one}, "1 is not an element of type f32"},
	} {
		o, err := FindOperation(c.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Elementwise(c.t, c.of); err == nil || holo.KindOf(err) != holo.Invalid || !bytes.Contains([]byte(err.Error()), []byte(c.want)) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if _, err := FindOperation("fma"); err == nil || fmt.Sprint(err) == "" {
		t.Error("there is an fma")
	}
}
