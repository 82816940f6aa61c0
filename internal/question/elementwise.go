package question

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/kernels/std"
)

// Operation is what is done with the elements of several arrays.
type Operation struct {
	Name     string
	Operands int
	Truth    bool // the output is u8: 1 where it holds, 0 elsewhere
	Floats   bool // of floats only
}

// Operations is what std/elementwise can do.
func Operations() []Operation { return operations }

var operations = []Operation{
	{Name: "add", Operands: 2}, {Name: "sub", Operands: 2}, {Name: "mul", Operands: 2}, {Name: "muladd", Operands: 3},
	{Name: "div", Operands: 2, Floats: true}, {Name: "min", Operands: 2}, {Name: "max", Operands: 2},
	{Name: "eq", Operands: 2, Truth: true}, {Name: "ne", Operands: 2, Truth: true}, {Name: "lt", Operands: 2, Truth: true},
	{Name: "le", Operands: 2, Truth: true}, {Name: "gt", Operands: 2, Truth: true}, {Name: "ge", Operands: 2, Truth: true},
}

// FindOperation finds an operation by its name.
func FindOperation(name string) (Operation, error) {
	i := slices.IndexFunc(operations, func(o Operation) bool { return o.Name == name })
	if i < 0 {
		names := make([]string, len(operations))
		for i, o := range operations {
			names[i] = o.Name
		}
		return Operation{}, holo.Errorf(holo.Invalid, "there is no operation %q: want one of %s", name, strings.Join(names, " "))
	}
	return operations[i], nil
}

// Output is the type of what comes out of elements of type t.
func (o Operation) Output(t holo.ElementType) holo.ElementType {
	if o.Truth {
		return holo.U8
	}
	return t
}

// Elementwise asks for an operation on arrays of type t. Of each operand it is
// told the constant, or nothing where an array is meant.
func (o Operation) Elementwise(t holo.ElementType, constants []*Number) (Question, error) {
	switch {
	case len(constants) != o.Operands:
		return Question{}, holo.Errorf(holo.Invalid, "%s: %d operands, want %d", o.Name, len(constants), o.Operands)
	case !slices.Contains(constants, nil):
		return Question{}, holo.Errorf(holo.Invalid, "%s: none of the operands is an array", o.Name)
	case o.Floats && !t.Float():
		return Question{}, holo.Errorf(holo.Invalid, "%s: the elements are %s, want f32 or f64", o.Name, t)
	}
	params, mask := make([]byte, 8), uint32(0)
	for i, c := range constants {
		var word uint64
		if c != nil {
			wide, err := c.wide(t)
			if err != nil {
				return Question{}, err
			}
			mask |= 1 << i
			word = narrow(t, wide)
		}
		params = binary.LittleEndian.AppendUint64(params, word)
	}
	binary.LittleEndian.PutUint32(params, mask)
	if mask == 0 {
		params = nil
	}
	return ask(std.Elementwise, o.Name, params, 0), nil
}
