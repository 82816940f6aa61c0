package demo

import "os/exec"

// reap waits for a process, so that none is left behind as a zombie. The
// channel is closed when it has ended.
func reap(cmd *exec.Cmd) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended does not matter: that it ended does
	}()
	return ended
}
