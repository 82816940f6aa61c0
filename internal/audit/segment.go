package audit

import (
	"fmt"
	"strings"
)

const (
	headFile = "head" // the newest checkpoint once more, in place, so that a log that lost its end shows it

	segmentDigits = 20
	segmentSuffix = ".log"

	// markEvery is how many records lie between two places that readers know.
	markEvery = 256
)

// segment is one file of the log. It begins with the checkpoint of all that
// lies before it and ends with a checkpoint.
type segment struct {
	first int64   // index of its first record
	bytes int64   // up to the end of its last checkpoint
	marks []int64 // where the records first, first+markEvery, ... begin
}

func (s segment) name() string { return segmentName(s.first) }

func segmentName(first int64) string {
	return fmt.Sprintf("%0*d%s", segmentDigits, first, segmentSuffix)
}

// parseSegment reads a file's name; what is no segment's is not of the log.
func parseSegment(name string) (first int64, ok bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != segmentDigits {
		return 0, false
	}
	_, err := fmt.Sscanf(digits, "%d", &first)
	return first, err == nil && segmentName(first) == name
}

func isSegment(name string) bool {
	_, ok := parseSegment(name)
	return ok
}

// mark notes where a record begins.
func (s *segment) mark(index, at int64) {
	if (index-s.first)%markEvery == 0 {
		s.marks = append(s.marks, at)
	}
}

func looseText(bytes int64) string {
	return fmt.Sprintf("%d bytes that were never acknowledged", bytes)
}
