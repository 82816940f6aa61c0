package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

// ticksPerSecond is what processor times are counted in (USER_HZ).
const ticksPerSecond = 100

// quotaPeriod is how often a node gets its part: short beside a task.
const quotaPeriod = 20 * time.Millisecond

// hold has the system give a node, its workers and those that it starts later, at
// most so many processors' time, in a control group of its own. It is held until
// it ends; then release takes the group away.
func (n *node) hold(processors float64) error {
	if n.group == "" {
		dir, err := groupsFolder()
		if err != nil {
			return err
		}
		n.group = filepath.Join(dir, fmt.Sprintf("holo-capacity-%d", n.agent.Process.Pid))
		if err := os.Mkdir(n.group, 0o755); err != nil {
			return fmt.Errorf("hold a node to a part of the processors: %w", err)
		}
	}
	period := quotaPeriod.Microseconds()
	quota := int64(processors * float64(period))
	err := errors.Join(n.setQuota(quota, period))
	pid := n.agent.Process.Pid
	for _, p := range append(children(pid), pid) { // who is started meanwhile is started in the group
		err = errors.Join(err, n.groupFile("cgroup.procs", strconv.Itoa(p)))
	}
	return err
}

func (n *node) setQuota(quota, period int64) error {
	if _, err := os.Stat(filepath.Join(n.group, "cpu.max")); err == nil {
		return n.groupFile("cpu.max", fmt.Sprintf("%d %d", quota, period))
	}
	return errors.Join(n.groupFile("cpu.cfs_period_us", fmt.Sprint(period)), n.groupFile("cpu.cfs_quota_us", fmt.Sprint(quota)))
}

func (n *node) groupFile(name, value string) error {
	return os.WriteFile(filepath.Join(n.group, name), []byte(value), 0o644)
}

// release takes the group of a node that has ended away.
func (n *node) release() error {
	if n.group == "" {
		return nil
	}
	var err error
	for range 100 { // its workers end a moment later
		if err = os.Remove(n.group); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// groupsFolder is where control groups for processors are made, of either version.
func groupsFolder() (string, error) {
	const old, now = "/sys/fs/cgroup/cpu", "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(old, "cpu.cfs_quota_us")); err == nil {
		return old, nil
	}
	if err := os.WriteFile(filepath.Join(now, "cgroup.subtree_control"), []byte("+cpu"), 0o644); err != nil {
		return "", fmt.Errorf("hold a node to a part of the processors: needs control groups, and root: %w", err)
	}
	return now, nil
}

// fullPart is how many processors' time a node has that is not slow: all three fit
// on the machine, with the client and what else it does.
func fullPart() float64 { return 0.4 * float64(runtime.NumCPU()) }
