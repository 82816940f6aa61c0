package holocompute

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/question"
)

// Number is an integer of any size, or a float64, or none: the least of no
// elements. Sums of integers are in it in full, however large they are.
type Number = question.Number

// NumberOf is an element as a Number.
func NumberOf[T Element](v T) Number {
	switch r := reflect.ValueOf(v); {
	case r.CanFloat():
		return question.Float(r.Float())
	case r.CanInt():
		return question.Int(r.Int())
	case r.CanUint():
		return question.Uint(r.Uint())
	case r.Bool():
		return question.Uint(1)
	}
	return question.Uint(0)
}

// ParseNumber reads an element of a type from decimal text: an integer in range,
// or a float, which is rounded to the nearest of its type.
func ParseNumber(t ElementType, text string) (Number, error) { return question.ParseNumber(t, text) }

// valueOf is a Number that is an element of T.
func valueOf[T Element](n Number) (v T) {
	i, _ := n.Int64()
	u, _ := n.Uint64()
	switch r := reflect.ValueOf(&v).Elem(); {
	case r.CanFloat():
		r.SetFloat(n.Float64())
	case r.CanInt():
		r.SetInt(i)
	case r.CanUint():
		r.SetUint(u)
	default:
		r.SetBool(u != 0)
	}
	return v
}

// tidyWithin bounds the cancelling of a job that nobody waits for any more.
const tidyWithin = 5 * time.Second

// answer runs a standard kernel and gives its accumulator. Who stops waiting
// stops the job.
func (c *Cluster) answer(ctx context.Context, q question.Question, inputs ...*Raw) ([]byte, error) {
	job, err := c.Reduce(ctx, callOf(q, inputs), q.AccBytes)
	if err != nil {
		return nil, c.missing(ctx, q, err)
	}
	acc, err := job.Wait(ctx)
	if err != nil && ctx.Err() != nil {
		tidy, stop := context.WithTimeout(context.WithoutCancel(ctx), tidyWithin)
		defer stop()
		return nil, errors.Join(err, job.Cancel(tidy))
	}
	return acc, err
}

// callOf names the module by its hash: only that one's answers can be read here.
func callOf(q question.Question, inputs []*Raw) Call {
	return Call{Kernel: q.Module.Hex(), Function: q.Function, Inputs: inputs, Params: q.Params}
}

// missing says more where a node is of a version that has other standard kernels.
func (c *Cluster) missing(ctx context.Context, q question.Question, err error) error {
	if KindOf(err) != NotFound {
		return err
	}
	if _, unknown := c.Kernel(ctx, q.Module.Hex()); KindOf(unknown) != NotFound {
		return err
	}
	text := "%s: this program's (module %s) is not the node's, which is of another version; it runs once somebody pushes it: holo kernel push sample:%s"
	return holo.Errorf(NotFound, text, q.Kernel, q.Module, q.Kernel)
}

// Operand is what an operation works on: an Array, a Raw or a Const.
type Operand interface{ operand() (*Raw, *Number) }

func (r *Raw) operand() (*Raw, *Number)      { return r, nil }
func (a *Array[T]) operand() (*Raw, *Number) { return a.raw, nil }

type constant struct{ value Number }

func (c constant) operand() (*Raw, *Number) { return nil, &c.value }

// Const is the same value for every element. It must be of the arrays' type.
func Const[T Element](v T) Operand { return constant{NumberOf(v)} }

// ConstNumber is Const for a type that is known only when the program runs.
func ConstNumber(v Number) Operand { return constant{v} }

// Apply writes the output element by element, from operands of one type:
//
//	add sub mul   two operands; integers wrap around
//	muladd        a*b + c, rounded after each step: nothing is fused
//	div           two operands, floats only
//	min max       two operands; of floats NaN if either is, and -0 is less than +0
//	eq ne lt le gt ge   two operands; the output is an array of uint8, 1 where it holds
//
// The arrays among them must lie together, as for Map, and the output is of
// their type, length and extent. At least one operand is an array. It needs RUN on
// std/elementwise, READ on the operands and WRITE on the output.
func (c *Cluster) Apply(ctx context.Context, operation string, output *Raw, operands ...Operand) (*Job, error) {
	o, err := question.FindOperation(operation)
	if err != nil {
		return nil, err
	}
	var inputs []*Raw
	constants := make([]*Number, len(operands))
	for i, operand := range operands {
		raw, value := operand.operand()
		if constants[i] = value; raw != nil {
			inputs = append(inputs, raw)
		}
	}
	if output == nil || len(inputs) == 0 {
		return nil, holo.Errorf(Invalid, "%s: want an output array, and one operand or more that is an array", operation)
	}
	t := inputs[0].typ
	q, err := o.Elementwise(t, constants)
	if err != nil {
		return nil, err
	}
	if err := sameTypes(o, t, output, inputs); err != nil {
		return nil, err
	}
	job, err := c.Map(ctx, callOf(q, inputs), output)
	if err != nil {
		return nil, c.missing(ctx, q, err)
	}
	return job, nil
}

// OutputType is the type of what an operation of Apply makes of elements of a
// type.
func OutputType(operation string, t ElementType) (ElementType, error) {
	o, err := question.FindOperation(operation)
	if err != nil {
		return 0, err
	}
	return o.Output(t), nil
}

func sameTypes(o question.Operation, t ElementType, output *Raw, inputs []*Raw) error {
	for _, in := range inputs {
		if in.typ != t {
			return holo.Errorf(Invalid, "%s: %s holds %s, %s holds %s", o.Name, inputs[0].info.Name, t, in.info.Name, in.typ)
		}
	}
	if want := o.Output(t); output.typ != want {
		return holo.Errorf(Invalid, "%s: the output %s holds %s, want %s", o.Name, output.info.Name, output.typ, want)
	}
	return nil
}
