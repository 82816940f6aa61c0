package workers

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/code"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/sandbox"
)

// A panic in what gives a task its elements costs the worker that it was in, and
// not its place: else the next task, and Close, would wait for ever.
func TestPanicOfATaskGivesItsPlaceBack(t *testing.T) {
	p := New(Options{Max: 1})
	one, two := tasks(t, nil)["combine"], tasks(t, nil)["combine"]
	one.Gas, two.Gas = plenty, plenty
	read := one.Inputs[0].Read
	for name, run := range map[string]func() error{
		"alone":    func() error { _, err := p.Run(t.Context(), one); return err },
		"together": func() error { _, _, err := p.Together(t.Context(), []*Task{one, two}); return err },
	} {
		one.Inputs[0].Read = func([]byte, uint64) { panic("no elements") }
		if said := panics(run); said != "no elements" {
			t.Fatalf("%s: panics with %v", name, said)
		}
		if len(p.busy) != 0 {
			t.Fatalf("%s: %d places of %d stay taken", name, len(p.busy), p.opt.Max)
		}
		one.Inputs[0].Read = read
		if err := run(); err != nil {
			t.Errorf("%s, after it: %v", name, err)
		}
	}
	p.Close()
}

// failing is a log that fails whoever writes to it.
type failing struct{ slog.Handler }

func (failing) Enabled(context.Context, slog.Level) bool { return true }

func (failing) Handle(context.Context, slog.Record) error { panic("no log") }

// So does a panic while a worker is made ready for a task: where it is chosen what
// to load, where machine code is kept, and where the deadline is set.
func TestPanicBeforeATaskGivesItsPlaceBack(t *testing.T) {
	closed, err := code.Open(code.Config{Dir: t.TempDir(), Key: key.SignerFromSeed(&[key.Size]byte{7}).Seed(), Logger: slog.New(failing{slog.DiscardHandler})})
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Pool, *Task){
		"choose": func(_ *Pool, k *Task) { k.Module = nil },
		"keep":   func(p *Pool, _ *Task) { p.opt.Code = closed },
		"limit": func(p *Pool, _ *Task) {
			p.wall = func(sandbox.EngineKind, holo.Gas) time.Duration { panic("no limit") }
		},
	} {
		for together, run := range map[bool]func(*Pool, *Task, *Task) error{
			false: func(p *Pool, k, _ *Task) error { _, err := p.Run(t.Context(), k); return err },
			true: func(p *Pool, k, other *Task) error {
				_, _, err := p.Together(t.Context(), []*Task{k, other})
				return err
			},
		} {
			p, k, other := New(Options{Max: 1}), tasks(t, nil)["combine"], tasks(t, nil)["combine"]
			k.Gas, other.Gas = plenty, plenty
			opt, wall, module := p.opt, p.wall, k.Module
			change(p, k)
			if said := panics(func() error { return run(p, k, other) }); said == nil {
				t.Errorf("%s, together %t: no panic", name, together)
			}
			if len(p.busy) != 0 {
				t.Fatalf("%s, together %t: %d places of %d stay taken", name, together, len(p.busy), p.opt.Max)
			}
			p.opt, p.wall, k.Module = opt, wall, module
			if err := run(p, k, other); err != nil {
				t.Errorf("%s, together %t, after it: %v", name, together, err)
			}
			p.Close()
		}
	}
}

func panics(run func() error) (said any) {
	defer func() { said = recover() }()
	_ = run()
	return nil
}
