package wire

// Limits of what one attempt at a task may log. A line is counted with its
// bytes only; what is beyond a limit is dropped and counted.
const (
	MaxSaidLine  = 1 << 10  // bytes of a line
	MaxSaidLines = 256      // of an attempt
	MaxSaidBytes = 16 << 10 // of all lines of an attempt
)

// Said is what a kernel logged in one attempt: lines without control characters
// (core/joblog), and how many were not kept. It is for people: nothing that is
// computed depends on it, and no receipt is about it.
type Said struct {
	Lines []string
	Lost  uint32
}

func (s *Said) encode(e *Encoder) {
	e.U32(s.Lost)
	e.Count(len(s.Lines))
	for _, line := range s.Lines {
		e.String(line)
	}
}

func (s *Said) decode(d *Decoder) {
	s.Lost = d.U32()
	size := 0
	for range d.Count(MaxSaidLines, 4) {
		line := d.String(MaxSaidLine)
		size += len(line)
		s.Lines = append(s.Lines, line)
	}
	d.Valid(size <= MaxSaidBytes, "size of a log")
}
