package sandbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/core/handles"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/kernels"
)

// shelf is two arrays of 64 bits in memory, behind a table: handle 0 reads all of
// one, handle 1 writes the other.
type shelf struct {
	*handles.Table
	in, out []byte
	fail    error
}

func newShelf(t *testing.T, elements int, budget uint64) *shelf {
	t.Helper()
	s := &shelf{in: words(holo.I64, elements, func(i int) uint64 { return uint64(i) * 7 }).Bytes, out: make([]byte, elements*8)}
	grant := handles.Grant{Type: holo.I64, Count: uint64(elements), Right: handles.Read, Budget: budget}
	other := grant
	other.Right = handles.Write
	var err error
	if s.Table, err = handles.New([]handles.Grant{grant, other}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shelf) Ask(_ context.Context, a handles.Ask, b []byte) (int64, error) {
	n, status := s.Decide(a)
	switch {
	case s.fail != nil:
		return 0, s.fail
	case status != handles.Done:
		return int64(status), nil
	case a.Op == handles.ReadOp:
		copy(b, s.in[a.Offset*8:])
	case a.Op == handles.WriteOp:
		copy(s.out[a.Offset*8:], b)
	}
	return int64(n), nil
}

// asking are the parameters of task ask.
func asking(write, handle uint32, offset uint64, at, size, times uint32) []byte {
	p := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, write), handle)
	p = binary.LittleEndian.AppendUint64(p, offset)
	for _, n := range []uint32{at, size, times} {
		p = binary.LittleEndian.AppendUint32(p, n)
	}
	return p
}

// runTask runs a task in an instance of its own.
func runTask(t *testing.T, p *Program, c Call) (Result, error) {
	t.Helper()
	i, err := p.NewInstance(t.Context(), plenty, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	return i.Run(t.Context(), module.Task, c)
}

// A task reads and writes what its handles stand for, and gets a status for
// everything else: nothing is read or written then.
func TestATaskReachesWhatItWasGrantedAndNothingElse(t *testing.T) {
	for _, e := range engines(t) {
		p := load(t, e, kernels.Get("tasks"))
		s := newShelf(t, 10_000, 80_000)
		if _, err := runTask(t, p, Call{Function: "reverse", N: 10_000, Reach: s}); err != nil {
			t.Fatal(err)
		}
		for i := range 10_000 {
			if !bytes.Equal(s.out[i*8:i*8+8], s.in[len(s.in)-i*8-8:len(s.in)-i*8]) {
				t.Fatalf("%s: element %d", e.Kind(), i)
			}
		}
		for name, c := range map[string]struct {
			params []byte
			want   handles.Status
		}{
			"an unknown handle":   {asking(0, 2, 0, 0, 8, 1), handles.NoHandle},
			"a write to an input": {asking(1, 0, 0, 0, 8, 1), handles.NoRight},
			"a read of an output": {asking(0, 1, 0, 0, 8, 1), handles.NoRight},
			"one behind the last": {asking(0, 0, 4, 0, 8, 1), handles.BadRange},
			"one too many":        {asking(1, 1, 1, 0, 32, 1), handles.BadRange},
			"a byte over budget":  {asking(0, 0, 0, 0, 8, 4), handles.NoBudget},
			"half an element":     {asking(0, 0, 0, 0, 4, 1), handles.BadLength},
		} {
			s := newShelf(t, 4, 31)
			_, err := runTask(t, p, Call{Function: "ask", Params: c.params, Reach: s})
			if holo.ReasonOf(err) != KernelError || !strings.HasSuffix(err.Error(), fmt.Sprintf("status %d (a host call's answer for %s)", c.want, refusals[c.want])) || refusals[c.want] == "" || !bytes.Equal(s.out, make([]byte, 32)) {
				t.Errorf("%s, %s: %v, wrote %x", e.Kind(), name, err, s.out)
			}
		}
	}
}

// Kernels that are no tasks know no handle, and cannot be given one.
func TestOnlyATaskHasHandles(t *testing.T) {
	p := load(t, engines(t)[0], kernels.Get("tasks"))
	c := say("ask", nil)
	if _, _, err := heard(t, p, plenty, c); err != nil {
		t.Error(err)
	}
	c.Reach = newShelf(t, 4, 32)
	if _, _, err := heard(t, p, plenty, c); holo.KindOf(err) != holo.Invalid || holo.ReasonOf(err) == KernelError {
		t.Errorf("a map with handles: %v", err)
	}
	if _, err := runTask(t, p, Call{Function: "reverse", N: 1}); holo.ReasonOf(err) != KernelError || !strings.HasSuffix(err.Error(), "status 1") {
		t.Errorf("a task without handles: %v", err)
	}
}

// An address that is not the kernel's memory ends it before its handle is looked
// at, and nothing is moved.
func TestAMoveOfForeignMemoryTraps(t *testing.T) {
	for _, e := range engines(t) {
		p := load(t, e, kernels.Get("tasks"))
		for _, at := range [][2]uint32{{1<<32 - 8, 16}, {64 << 20, 8}, {1 << 31, 1 << 31}, {1<<32 - 1, 1<<32 - 1}} {
			for write := range uint32(2) {
				s := newShelf(t, 4, 1<<40)
				_, err := runTask(t, p, Call{Function: "ask", Params: asking(write, write, 0, at[0], at[1], 1), Reach: s})
				if holo.ReasonOf(err) != Trap || !strings.Contains(err.Error(), "not its memory") || !bytes.Equal(s.out, make([]byte, 32)) {
					t.Errorf("%s, %d bytes at %d: %v", e.Kind(), at[1], at[0], err)
				}
			}
		}
	}
}

// Questions cost gas by their bytes, refused or not, and their number ends at its
// limit, to one.
func TestAsksArePaidForAndCounted(t *testing.T) {
	for _, e := range engines(t) {
		p := load(t, e, kernels.Get("tasks"))
		gas := func(size, times uint32) holo.Gas {
			res, err := runTask(t, p, Call{Function: "ask", Params: asking(0, 9, 0, 0, size, times), Reach: newShelf(t, 4, 32)})
			if holo.ReasonOf(err) != KernelError {
				t.Fatal(err)
			}
			return res.Gas
		}
		one := gas(8, 1)
		if more := gas(1008, 1); more-one != 1000 {
			t.Errorf("%s: 1000 bytes cost %d gas", e.Kind(), more-one)
		}
		if two := gas(8, 2); two-one < reachPrice+8 || two-one > reachPrice+108 {
			t.Errorf("%s: a question costs %d gas", e.Kind(), two-one)
		}
		gas(8, handles.MaxAsks)
		_, err := runTask(t, p, Call{Function: "ask", Params: asking(0, 9, 0, 0, 8, handles.MaxAsks+1), Reach: newShelf(t, 4, 32)})
		if holo.ReasonOf(err) != TooManyAsks {
			t.Errorf("%s: a flood ends with %v", e.Kind(), err)
		}
	}
}

// What keeps a question from being answered ends the call, with that cause.
func TestAQuestionThatCannotBeAnsweredEndsTheCall(t *testing.T) {
	p := load(t, engines(t)[0], kernels.Get("tasks"))
	s := newShelf(t, 4, 32)
	s.fail = errors.New("its home is gone")
	if _, err := runTask(t, p, Call{Function: "reverse", N: 4, Reach: s}); holo.KindOf(err) != holo.Cancelled || !errors.Is(err, s.fail) {
		t.Error(err)
	}
}
