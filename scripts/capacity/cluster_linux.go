package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/holocompute/holocompute"
)

const (
	size     = 3
	patience = 60 * time.Second
)

type cluster struct {
	dir    string
	holo   string
	memory uint64
	nodes  []*node
	stood  time.Duration // the longest that one write took
}

// node is a process, and a client at its socket.
type node struct {
	dir   string
	agent *exec.Cmd
	bare  uint64 // bytes of memory that the process had when its node was empty
	group string // control group that holds it to a part of the processors; empty: none
	*holocompute.Cluster
}

func newCluster(holo string, nodes int, memory, spill uint64) (*cluster, error) {
	c := &cluster{holo: holo, memory: memory}
	var err error
	if c.dir, err = os.MkdirTemp("", "holo-cap-"); err != nil {
		return c, err
	}
	for i := range nodes {
		if err := c.add(i, spill); err != nil {
			return c, err
		}
	}
	for _, n := range c.nodes {
		if n.Cluster, err = holocompute.Connect(context.Background(), holocompute.Options{Socket: filepath.Join(n.dir, "node/holo.sock"), Config: filepath.Join(n.dir, "config")}); err != nil {
			return c, err
		}
	}
	return c, nil
}

// add makes the cluster or joins it, and starts the node.
func (c *cluster) add(i int, spill uint64) error {
	n := &node{dir: filepath.Join(c.dir, fmt.Sprint("n", i+1))}
	if err := os.Mkdir(n.dir, 0o700); err != nil {
		return err
	}
	c.nodes = append(c.nodes, n)
	memory := strconv.FormatUint(c.memory, 10)
	if i == 0 {
		if _, err := c.query(n, "init", "--name", "n1", "--memory", memory); err != nil {
			return err
		}
	} else {
		invite, err := c.query(c.nodes[0], "invite")
		if err != nil {
			return err
		}
		if _, err := c.query(n, "join", strings.TrimSpace(invite), "--name", fmt.Sprint("n", i+1), "--memory", memory, "--no-run"); err != nil {
			return err
		}
	}
	args := []string{"agent", "--memory", memory}
	if spill > 0 {
		args = append(args, "--spill", filepath.Join(n.dir, "pages"), "--spill-limit", strconv.FormatUint(spill, 10))
	}
	n.agent = c.command(n, args...)
	n.agent.Stderr = os.Stderr
	if err := n.agent.Start(); err != nil {
		return err
	}
	_, err := c.query(c.nodes[0], "status", "--wait", "60s", "--nodes", fmt.Sprint(i+1))
	return err
}

func (c *cluster) command(n *node, args ...string) *exec.Cmd {
	cmd := exec.Command(c.holo, append(args, "--dir", filepath.Join(n.dir, "node"), "--config", filepath.Join(n.dir, "config"))...)
	cmd.Dir, cmd.Env = n.dir, append(os.Environ(), "HOME="+n.dir, "NO_COLOR=1")
	return cmd
}

func (c *cluster) query(n *node, args ...string) (string, error) {
	cmd := c.command(n, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("holo %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return string(out), nil
}

func (c *cluster) close() error {
	var errs []error
	for _, n := range c.nodes {
		if n.Cluster != nil {
			errs = append(errs, n.Cluster.Close())
		}
		if n.agent != nil && n.agent.Process != nil && n.agent.ProcessState == nil { // not killed
			errs = append(errs, n.agent.Process.Signal(syscall.SIGINT), n.agent.Wait())
		}
		errs = append(errs, n.release())
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}

// resident is how much memory the process has, as the system counts it.
func (n *node) resident() (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", n.agent.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Anonymous:" { // without the program itself, which it shares
			kib, err := strconv.ParseUint(f[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("smaps_rollup has no line about anonymous memory")
}
