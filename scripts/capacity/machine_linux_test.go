package main

import (
	"errors"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// What a node's workers take is the node's, not other work by which a bar is
// stretched; what this program's nodes take is not this program's once more.
func TestWorkersCountWithTheirNode(t *testing.T) {
	node := exec.Command("sh", "-c", "(while :; do :; done) & wait")
	node.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // they end together
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(-node.Process.Pid, syscall.SIGKILL)
		_ = node.Wait() // it was killed
	}()
	const enough = ticksPerSecond / 2
	nodes, all := watch([]int{node.Process.Pid}), watch([]int{node.Process.Pid}, syscall.Getpid())
	deadline := time.Now().Add(time.Minute)
	for look := time.NewTicker(10 * time.Millisecond); used(t, nodes) < enough; <-look.C {
		if time.Now().After(deadline) {
			t.Fatalf("a worker at work: %d ticks were counted", used(t, nodes))
		}
	}
	own, err := processTicks(node.Process.Pid)
	if err != nil || own >= enough/2 {
		t.Fatalf("control: the node took %d ticks itself: %v", own, err)
	}
	mine, err := processTicks(syscall.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if both, one := used(t, all), used(t, nodes); both > one+mine+enough/2 {
		t.Errorf("%d ticks of both, %d of the nodes and %d of this program", both, one, mine)
	}
}

// used is what was counted since the watch began.
func used(t *testing.T, m *machine) uint64 {
	t.Helper()
	_, _, ours, err := m.ticks()
	if err := errors.Join(m.err, err); err != nil {
		t.Fatal(err)
	}
	return ours - m.ours
}
