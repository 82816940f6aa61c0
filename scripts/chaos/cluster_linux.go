package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/holocompute/holocompute/internal/lab"
)

const (
	size     = 5 // nodes: two may be cut off and three go on
	port     = 7600
	patience = 90 * time.Second
)

// cluster is the nodes, each on a machine of its own.
type cluster struct {
	lab   *lab.Lab
	nodes []*node
}

// node is a machine and the node that runs there.
type node struct {
	*lab.Machine
	program string // with its clock
	agent   *exec.Cmd
	log     *os.File
}

func newCluster(holo string) (*cluster, error) {
	made, err := lab.New(holo)
	if err != nil {
		return nil, err
	}
	c := &cluster{lab: made}
	for i := range size {
		if err := c.add(i); err != nil {
			return nil, errors.Join(err, c.close(true))
		}
	}
	return c, c.healed("the cluster is made")
}

// add makes a machine and has it make the cluster or join it.
func (c *cluster) add(i int) error {
	m, err := c.lab.Add(fmt.Sprintf("m%d", i+1), fmt.Sprintf("10.77.0.%d", i+1), "")
	if err != nil {
		return err
	}
	n := &node{Machine: m, program: "holo"}
	if wrong, ok := clocks[i]; ok {
		dir := filepath.Join(c.lab.Dir, fmt.Sprintf("clock%d", i+1))
		if err := skewed(dir, wrong); err != nil {
			return err
		}
		n.program = filepath.Join(dir, "holo")
	}
	if err := n.makeDisk(); err != nil {
		return err
	}
	if n.log, err = os.Create(m.Dir + ".log"); err != nil {
		return err
	}
	c.nodes = append(c.nodes, n)
	if i == 0 {
		_, err = n.Query("holo init --name m1")
	} else {
		var invite string
		if invite, err = c.nodes[0].Query("holo invite"); err == nil {
			_, err = n.Query(fmt.Sprintf("holo join %s --name m%d --no-run", strings.TrimSpace(invite), i+1))
		}
	}
	if err != nil {
		return err
	}
	if err := n.start(); err != nil {
		return err
	}
	_, err = c.nodes[0].Query(fmt.Sprintf("holo status --wait 60s --nodes %d", i+1))
	return err
}

func (n *node) start() error {
	n.agent = n.Command(fmt.Sprintf("exec %s agent --listen %s:%d --memory %s --spill %s/pages --spill-limit %s", n.program, n.IP, port, memory, n.disk(), spillLimit))
	n.agent.Stdout, n.agent.Stderr = n.log, n.log
	return n.agent.Start()
}

// kill ends the node as a power cut does: without a word.
func (n *node) kill() error {
	if err := n.agent.Process.Kill(); err != nil {
		return err
	}
	n.agent.Wait()
	return nil
}

func (n *node) socket() string { return filepath.Join(n.Dir, ".local/share/holo/holo.sock") }
func (n *node) config() string { return filepath.Join(n.Dir, ".config/holo") }

// rules replaces what the machine's firewall drops of what comes in.
func (n *node) rules(lines ...string) error {
	text := "add table inet chaos; flush table inet chaos; add chain inet chaos in { type filter hook input priority 0; };"
	for _, l := range lines {
		text += "add rule inet chaos in " + l + " drop;"
	}
	_, err := n.Query("nft '" + text + "'")
	return err
}

// health is a part of what `holo status -o json` prints.
type health struct {
	Nodes []struct {
		State string
		Lease bool
	}
	Shards struct {
		Total, Full, Lost int
	}
}

// long is after how much time healed says what it waits for.
const long = 10 * time.Second

// healed waits until all nodes have leases and all shards their copies.
func (c *cluster) healed(when string) error {
	var last health
	told := time.Now().Add(long)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(told) {
			told = told.Add(long)
			fmt.Printf("chaos: %s: still waiting: %+v\n", when, last)
		}
		for _, n := range c.nodes {
			if h, ok := n.health(); ok {
				if last = h; h.whole() {
					return nil
				}
				break
			}
		}
	}
	return fmt.Errorf("%s: not whole within %s: %+v", when, patience, last)
}

func (n *node) health() (h health, ok bool) {
	out, err := n.Query("timeout -s KILL 5 holo status -o json")
	return h, err == nil && json.Unmarshal([]byte(out), &h) == nil
}

func (h *health) whole() bool {
	leased := 0
	for _, n := range h.Nodes {
		if n.State == "active" && n.Lease {
			leased++
		}
	}
	return leased == size && h.Shards.Full == h.Shards.Total
}

// close ends the nodes and removes the lab. After a failure they end with a list
// of what each of their goroutines was doing, and the logs stay for whoever has to
// find out why.
func (c *cluster) close(failed bool) error {
	var errs []error
	end := os.Signal(syscall.SIGINT)
	if failed {
		end = syscall.SIGQUIT
	}
	for _, n := range c.nodes {
		if n.agent != nil && n.agent.ProcessState == nil {
			n.agent.Process.Signal(syscall.SIGCONT)
			n.agent.Process.Signal(end)
			if err := n.agent.Wait(); !failed {
				errs = append(errs, err)
			}
		}
		errs = append(errs, n.log.Close(), n.dropDisk())
	}
	if failed {
		fmt.Fprintf(os.Stderr, "chaos: what the nodes logged is in %s\n", c.lab.Dir)
		return errors.Join(append(errs, c.lab.Leave())...)
	}
	return errors.Join(append(errs, c.lab.Close())...)
}
