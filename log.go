package holocompute

import (
	"context"
	"fmt"
	"unicode"
	"unicode/utf8"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
)

// LogLine is a line that a kernel logged.
type LogLine struct {
	Task    int    `json:"task"`
	Attempt int    `json:"attempt"` // 0: of combining a partial result into that of the task
	Stage   int    `json:"stage"`   // of a graph
	Node    string `json:"node"`
	Text    string `json:"text"` // visible characters only, at most 1,024 bytes
}

// Log calls see with each line that the job's kernels logged: of the attempts
// that count, in the order in which they came to, and of the attempt that ended
// the job if one did. With follow it goes on with what comes, until the job has
// ended. It returns how many lines were not kept: a task may log 16 KiB in 256
// lines, a job 256 KiB.
//
// The node that coordinates the job has the log: ask it, while it remembers the
// job. Lines come with the result of their task. A stream that breaks after it
// told something ends with its error, and can be asked for again from its
// beginning. It needs the right to the job's result.
func (j *Job) Log(ctx context.Context, follow bool, see func(LogLine) error) (lost uint64, err error) {
	l := logging{job: j, follow: follow, see: see}
	if err := j.c.client.persist(ctx, func(session []byte) error { return l.attach(ctx, session) }); err != nil {
		return l.lost, err
	}
	return l.lost, l.err
}

type logging struct {
	job    *Job
	follow bool
	see    func(LogLine) error
	lost   uint64
	err    error // after something was told
}

func (l *logging) attach(ctx context.Context, session []byte) error {
	req := connect.NewRequest(&holov1.LogRequest{Job: l.job.id, Follow: l.follow})
	req.Header().Set(api.SessionHeader, api.EncodeSession(session))
	what := fmt.Sprintf("log of job %d", l.job.id)
	stream, err := l.job.c.traces.Log(ctx, req)
	if err != nil {
		return received(ctx, what, false, err)
	}
	defer stream.Close()
	told := false
	for stream.Receive() {
		told = true
		if l.err = l.part(stream.Msg()); l.err != nil {
			return nil
		}
	}
	err = received(ctx, what, false, stream.Err())
	switch {
	case told:
		l.err = err
		return nil
	case err == nil:
		return holo.Refuse(Unavailable, reasonCut, "%s: the node told nothing", what)
	}
	return err
}

func (l *logging) part(m *holov1.LogPart) error {
	l.lost = m.GetLost()
	for _, line := range m.GetLines() {
		if err := harmless(line.GetText()); err != nil {
			return err
		}
		err := l.see(LogLine{Task: int(line.GetTask()), Attempt: int(line.GetAttempt()), Stage: int(line.GetStage()), Node: line.GetNode(), Text: line.GetText()})
		if err != nil {
			return err
		}
	}
	return nil
}

// harmless refuses what a node should have made harmless: who prints a line
// need not look at it.
func harmless(text string) error {
	if !utf8.ValidString(text) {
		return holo.Errorf(Corrupt, "the node sent a log line that is no text")
	}
	for _, r := range text {
		if !unicode.IsGraphic(r) {
			return holo.Errorf(Corrupt, "the node sent a log line with the character %U", r)
		}
	}
	return nil
}
