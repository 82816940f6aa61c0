package memory

import "github.com/holocompute/holocompute/internal/holo"

// wordEvery is the least time between two lines that a disk takes nothing: one that
// is full to the last page is full, and not full, again and again.
const wordEvery = 30 * holo.Second

// word is what the log says of the disk of the spill folder. That it works again is
// said only after that it does not. What was held back is said later, if it is still
// so: the log ends with how things are.
type word struct {
	fails bool // how it is
	said  bool // that it fails, is what the log says
	why   string
	last  holo.Time // when that was said
}

// due reports whether the log is to be told now.
func (w *word) due(now holo.Time) bool {
	if w.fails == w.said || w.fails && w.last != 0 && now.Sub(w.last) <= wordEvery {
		return false
	}
	if w.said = w.fails; w.said {
		w.last = now
	}
	return true
}

// tell is the only place that says it.
func (s *spill) tell(now holo.Time) {
	switch {
	case !s.disk.due(now):
	case s.disk.fails:
		s.n.log.Warn("the disk of the spill folder takes no pages: they stay in memory, and what needs more is refused", "why", s.disk.why)
	default:
		s.n.log.Info("the disk of the spill folder takes pages again")
	}
}
