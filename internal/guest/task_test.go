package guest

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/core/handles"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/kernels"
)

// shelf is the handles of a task over arrays of 64 bits in memory, as a job gives
// them: the last one writes. It notes what it is asked, and the answers.
type shelf struct {
	*handles.Table
	arrays [][]byte
	asked  []string
}

func newShelf(t *testing.T, budget uint64, arrays ...[]byte) *shelf {
	t.Helper()
	s := &shelf{arrays: arrays}
	var grants []handles.Grant
	for i, a := range arrays {
		g := handles.Grant{Type: holo.U64, Count: uint64(len(a) / 8), Right: handles.Read, Budget: budget}
		if i == len(arrays)-1 {
			g.Right = handles.Write
		}
		grants = append(grants, g)
	}
	var err error
	if s.Table, err = handles.New(grants); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shelf) Ask(_ context.Context, a handles.Ask, b []byte) (int64, error) {
	n, status := s.Decide(a)
	s.asked = append(s.asked, fmt.Sprint(a, status))
	switch {
	case status != handles.Done:
		return int64(status), nil
	case a.Op == handles.ReadOp:
		copy(b, s.arrays[a.Handle][a.Offset*8:])
	case a.Op == handles.WriteOp:
		copy(s.arrays[a.Handle][a.Offset*8:], b)
	}
	return int64(n), nil
}

func words(list []uint64) (b []byte) {
	for _, n := range list {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return b
}

// taking is one run of task take.
type taking struct {
	name   string
	index  []uint64
	first  uint64 // of the task's elements in the index
	n      int
	budget uint64
	status handles.Status
}

// indices are runs of all lengths, some upwards, some single, over so many values.
func indices(n int, values uint64) []uint64 {
	var list []uint64
	for run := uint64(1); len(list) < n; run = run*5%97 + 1 {
		from := uint64(len(list)) * 2654435761 % (values - run)
		for i := range run {
			list = append(list, from+i)
		}
	}
	return list[:n]
}

func takings(values uint64) []taking {
	const plenty = 1 << 40
	whole := make([]uint64, values)
	for i := range whole {
		whole[i] = uint64(i)
	}
	beyond := append(indices(9000, values), values)
	huge := append(indices(5, values), 1<<64-1, 0)
	return []taking{
		{"one", []uint64{values - 1}, 0, 1, plenty, 0},
		{"a task in the middle", indices(20_000, values), 7001, 9999, plenty, 0},
		{"chunks to the brim", indices(8192, values), 0, 8192, plenty, 0},
		{"all in one piece", whole, 0, len(whole), plenty, 0},
		{"a step around the end of 64 bits", huge, 0, len(huge), plenty, handles.BadRange},
		{"an index beyond the values", beyond, 0, len(beyond), plenty, handles.BadRange},
		{"a budget of a byte less", whole, 0, len(whole), values*8 - 1, handles.NoBudget},
		{"elements that the index does not have", indices(10, values), 5, 6, plenty, handles.BadRange},
	}
}

// run gives how the task ended, and what it wrote and asked.
func (c taking) run(t *testing.T, p *sandbox.Program, values []byte) (string, *shelf) {
	t.Helper()
	s := newShelf(t, c.budget, words(c.index), values, make([]byte, c.n*8))
	i, err := p.NewInstance(t.Context(), 1<<40, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	res, err := i.Run(t.Context(), module.Task, sandbox.Call{Function: "take", First: c.first, N: uint32(c.n), Reach: s})
	return outcome(res, err, s.arrays[2], nil), s
}

// The first tasks of all languages ask the same questions, in the same order, and
// write the same: what plain Go takes. What is refused ends them alike.
func TestTasksOfAllLanguagesAskAndWriteTheSame(t *testing.T) {
	const length = 30_000
	list := make([]uint64, length)
	for i := range list {
		list[i] = uint64(i) * 0x9e3779b97f4a7c15
	}
	values := words(list)
	engine, err := sandbox.New(t.Context(), sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = engine.Close(context.Background()) }()
	first := map[string]string{}
	asked := map[string][]string{}
	for _, l := range Languages() {
		m, err := module.Admit(kernels.Built(l.Name, kernels.Task))
		if err != nil {
			t.Fatalf("%s: %v", l.Name, err)
		}
		if !slices.Equal(m.HostCalls, []string{module.HostLength, module.HostRead, module.HostWrite}) {
			t.Errorf("%s imports %s", l.Name, m.HostCalls)
		}
		p, err := engine.Load(t.Context(), m)
		if err != nil {
			t.Fatalf("%s: %v", l.Name, err)
		}
		for _, c := range takings(length) {
			said, s := c.run(t, p, values)
			if first[c.name] == "" {
				first[c.name], asked[c.name] = said, s.asked
			}
			if said != first[c.name] || !slices.Equal(s.asked, asked[c.name]) {
				t.Errorf("%s differs in %s: %.60s after %d questions", l.Name, c.name, said, len(s.asked))
			}
			if c.status != handles.Done {
				if !strings.Contains(said, fmt.Sprintf("status %d ", c.status)) {
					t.Errorf("%s, %s: %.60s, want %d", l.Name, c.name, said, c.status)
				}
				continue
			}
			var want []uint64
			for _, at := range c.index[c.first : c.first+uint64(c.n)] {
				want = append(want, list[at])
			}
			if !slices.Equal(s.arrays[2], words(want)) || len(s.asked) > 1+2*(c.n/4096+1)+c.n {
				t.Errorf("%s, %s: other elements, or %d questions", l.Name, c.name, len(s.asked))
			}
		}
	}
	if n := len(asked["all in one piece"]); n != 1+3*8 {
		t.Errorf("what lies together is asked for in %d questions", n)
	}
}

// A task that was given other handles than it wants says so before it asks for more.
func TestTasksOfAllLanguagesWantTheirHandles(t *testing.T) {
	engine, err := sandbox.New(t.Context(), sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = engine.Close(context.Background()) }()
	for _, l := range Languages() {
		m, err := module.Admit(kernels.Built(l.Name, kernels.Task))
		if err != nil {
			t.Fatal(err)
		}
		p, err := engine.Load(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		i, err := p.NewInstance(t.Context(), 1<<40, 0)
		if err != nil {
			t.Fatal(err)
		}
		s := newShelf(t, 1<<40, words([]uint64{0}), make([]byte, 8))
		_, err = i.Run(t.Context(), module.Task, sandbox.Call{Function: "take", N: 1, Reach: s})
		i.Close()
		if holo.ReasonOf(err) != sandbox.KernelError || !strings.HasSuffix(err.Error(), "status 1") || len(s.asked) != 1 {
			t.Errorf("%s: %v after %v", l.Name, err, s.asked)
		}
	}
}
