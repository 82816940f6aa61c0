package catalog

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	// longAnswer is the shortest result that counts as long: records of jobs, of up
	// to 200 KiB with parameters and result, and of kernels with many functions. All
	// shorter ones together take at most 8 MiB, and none gives way to a long one.
	longAnswer = 4 << 10
	// MaxLongAnswers is how many bytes of long results are kept, 40 of the longest:
	// who asks again does so within seconds.
	MaxLongAnswers = 8 << 20
)

// ReasonAnswerGone is why a request that is asked again is not answered as it was.
const ReasonAnswerGone = "answer_gone"

// answers is what requests were answered with, for those who ask again. That a
// request was carried out is remembered for MaxAnswered others, however long the
// answers are: none of them is carried out twice. Of long results the oldest give
// way, and leave an error.
type answers struct {
	given map[wire.RequestID]wire.Answered
	order []wire.RequestID // of given, oldest first
	long  int              // bytes of long results
}

func newAnswers() answers { return answers{given: map[wire.RequestID]wire.Answered{}} }

// remember keeps an answer; the oldest gives way.
func (s *answers) remember(id wire.RequestID, result wire.Message, err error) {
	a := wire.Answered{Request: id}
	switch {
	case err != nil:
		a.Failed, a.Failure = true, *wire.FailureOf(err)
	case result != nil:
		a.Result = wire.Encode(result)
	}
	if len(s.order) == MaxAnswered {
		s.long -= longBytes(s.given[s.order[0]])
		delete(s.given, s.order[0])
		s.order = s.order[1:]
	}
	s.add(a)
	s.shorten()
}

func (s *answers) add(a wire.Answered) {
	s.given[a.Request] = a
	s.order = append(s.order, a.Request)
	s.long += longBytes(a)
}

// shorten gives up the oldest long results. What is left depends on the answers
// alone, not on when it was last called: a snapshot of before the bound may hold more.
func (s *answers) shorten() {
	for _, id := range s.order {
		if s.long <= MaxLongAnswers {
			return
		}
		if n := longBytes(s.given[id]); n > 0 {
			s.given[id] = wire.Answered{Request: id, Failed: true, Failure: *wire.FailureOf(errGone())}
			s.long -= n
		}
	}
}

func errGone() error {
	return holo.Refuse(holo.Indeterminate, ReasonAnswerGone, "answer request again: it was carried out, and its answer is not kept any more: list what there is before asking anew")
}

func longBytes(a wire.Answered) int {
	if len(a.Result) < longAnswer {
		return 0
	}
	return len(a.Result)
}

// consistent reports whether no request is there twice, nor too many.
func (s *answers) consistent() bool {
	return len(s.order) == len(s.given) && len(s.order) <= MaxAnswered
}

func recall(a wire.Answered) (wire.Message, error) {
	if a.Failed {
		return nil, a.Failure.Err()
	}
	if a.Result == nil {
		return nil, nil
	}
	return wire.Decode(a.Result)
}
