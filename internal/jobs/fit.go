package jobs

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
)

// ReasonInfeasible is why a job is refused that no node could ever run.
const ReasonInfeasible = "infeasible"

// fitsATask refuses what no task may have on any node, before anything is
// recorded: it says what is missing, and what would fit. All nodes give a task
// alike, so what does not fit here fits nowhere.
func (s *Spec) fitsATask(m *module.Module) error {
	if s.Gas > MaxGas {
		return s.infeasible("it asks for %d gas for each task, %d more than a task may have: ask for %d at most, or for smaller extents", s.Gas, s.Gas-MaxGas, MaxGas)
	}
	if m != nil && m.MinPages > memoryPages {
		return s.infeasible("its kernel starts with %d KiB of memory, %d KiB more than a task may have: build it for %d KiB at most, or work on smaller extents",
			kib(m.MinPages), kib(m.MinPages-memoryPages), kib(memoryPages))
	}
	return nil
}

// kib is the size of pages of a kernel's memory.
func kib(pages uint32) uint64 { return uint64(pages) * uint64(sandbox.PageBytes>>10) }

func (s *Spec) infeasible(format string, args ...any) error {
	err := s.bad(format, args...)
	return holo.Refuse(holo.Exhausted, ReasonInfeasible, "%w", err)
}
