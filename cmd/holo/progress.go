package main

import (
	"fmt"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// lineEvery is how often progress is told where there is no terminal.
const lineEvery = 10 * time.Second

// meter shows how far long work is, on the error stream: a bar on a terminal,
// else a line now and then.
type meter struct {
	a     *app
	what  string
	total int64
	unit  func(int64) string
	bars  *mpb.Progress
	bar   *mpb.Bar
	told  time.Time
}

// terminal reports whether people watch the error stream on something that can
// redraw a line.
func (a *app) terminal() bool {
	return term.IsTerminal(int(a.err.Fd())) && os.Getenv("TERM") != "dumb"
}

func bytesUnit(n int64) string { return size(uint64(n)) }

func countUnit(n int64) string { return fmt.Sprint(n) }

func (a *app) meter(what string, total int64, unit func(int64) string) *meter {
	m := &meter{a: a, what: what, total: total, unit: unit, told: time.Now()}
	if !a.terminal() {
		return m
	}
	m.bars = mpb.New(mpb.WithOutput(a.err), mpb.WithWidth(48))
	m.bar = m.bars.New(total, mpb.BarStyle(), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(what+" ")),
		mpb.AppendDecorators(decor.Percentage(), decor.Any(func(s decor.Statistics) string {
			return fmt.Sprintf(" %s of %s", unit(s.Current), unit(s.Total))
		})))
	return m
}

// at says how much is done.
func (m *meter) at(done int64) {
	if m.bar != nil {
		m.bar.SetCurrent(done)
		return
	}
	if now := time.Now(); now.Sub(m.told) >= lineEvery {
		m.told = now
		m.a.note("%s: %s of %s", m.what, m.unit(done), m.unit(m.total))
	}
}

// end takes the bar away.
func (m *meter) end() {
	if m.bars == nil {
		return
	}
	m.bar.Abort(true)
	m.bars.Wait()
	m.bars = nil
}
