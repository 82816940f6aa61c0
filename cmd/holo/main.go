// Command holo is HoloCompute: the node, and the command line that speaks to
// one. Each command is a file here and has no logic of its own; what it does
// is in the SDK, in internal/node and in internal/format.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/holocompute/holocompute/internal/lockdown"
	"github.com/holocompute/holocompute/internal/workers"
)

func main() {
	workers.Main() // before all else: a worker is not a command
	os.Exit(run())
}

// run executes the command line, whatever it is, in a process that is locked
// down before it holds a secret. SIGINT and SIGTERM cancel the command, which
// then tidies up and ends; a second one ends the process at once.
func run() int {
	lockdown.Engage()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	return a.main(ctx, os.Args[1:])
}

// background runs f beside the command, until the process ends.
func background(f func()) { go f() }
