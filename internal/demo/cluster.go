package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
)

// inviteLifetime is longer than a demo lasts.
const inviteLifetime = 15 * time.Minute

// cluster is some nodes on this machine, and a session with one of them.
type cluster struct {
	root   string // a temporary folder with everything that the nodes keep
	config string // the user's keys
	nodes  []*process
	at     *process // the node that the session is with
	sdk    *holocompute.Cluster
	suite  string
	id     string // the cluster's
}

// startCluster makes a cluster of n nodes the way a person would: init, agent,
// and then invite and join for each further node.
func startCluster(ctx context.Context, holoPath string, n int, memory uint64) (c *cluster, err error) {
	root, err := os.MkdirTemp("", "holo-demo-")
	if err != nil {
		return nil, holo.Errorf(holo.Internal, "start cluster: %w", err)
	}
	c = &cluster{root: root, config: filepath.Join(root, "config")}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.stop())
			c = nil
		}
	}()
	if err := c.startFirst(ctx, holoPath, memory); err != nil {
		return c, err
	}
	for i := 2; i <= n; i++ {
		if err := c.startNext(ctx, holoPath, i, memory); err != nil {
			return c, err
		}
	}
	return c, c.settle(ctx, n)
}

func (c *cluster) dir(i int) (name, dir string) {
	name = "n" + strconv.Itoa(i)
	return name, filepath.Join(c.root, name)
}

// places tells a command where the demo's files are, whatever the environment
// says.
func (c *cluster) places(dir string) []string {
	return []string{"--dir", dir, "--config", c.config, "--socket", filepath.Join(dir, holocompute.SocketName)}
}

func (c *cluster) startFirst(ctx context.Context, holoPath string, memory uint64) error {
	name, dir := c.dir(1)
	args := append([]string{"init", "--name", name}, c.places(dir)...)
	if out, err := exec.CommandContext(ctx, holoPath, args...).CombinedOutput(); err != nil {
		return holo.Errorf(holo.Internal, "holo init: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return c.start(ctx, holoPath, name, dir, memory, "agent")
}

func (c *cluster) startNext(ctx context.Context, holoPath string, i int, memory uint64) error {
	invite, err := c.sdk.Invite(ctx, inviteLifetime)
	if err != nil {
		return err
	}
	name, dir := c.dir(i)
	return c.start(ctx, holoPath, name, dir, memory, "join", invite, "--name", name)
}

// start starts a node, and opens the session where there is none yet.
func (c *cluster) start(ctx context.Context, holoPath, name, dir string, memory uint64, args ...string) error {
	args = append(args, "--listen", listenAnywhere, "--exit-with-parent", "--memory", strconv.FormatUint(memory, 10))
	p, err := startProcess(holoPath, name, dir, append(args, c.places(dir)...)...)
	if err != nil {
		return err
	}
	c.nodes = append(c.nodes, p)
	sdk, err := p.connect(ctx, c.config)
	if err != nil {
		return err
	}
	if c.sdk == nil {
		c.sdk, c.at = sdk, p
		return nil
	}
	return sdk.Close()
}

// settle waits until every node holds its lease and the voters are as many as
// the cluster's size asks for, and learns the nodes' IDs.
func (c *cluster) settle(ctx context.Context, n int) error {
	voters := 1
	if n >= 3 {
		voters = 3
	}
	var last *holocompute.Status
	err := poll(ctx, startLimit, func() (bool, error) {
		status, err := c.sdk.Status(ctx)
		if err != nil {
			return false, err
		}
		last = status
		leases := 0
		for _, node := range status.Nodes {
			if node.Lease && node.State == "active" {
				leases++
			}
		}
		return leases == n && len(status.Voters) == voters, nil
	})
	if err != nil {
		return holo.Errorf(holo.Unavailable, "wait for %d nodes and %d voters: %w; the last status was %+v", n, voters, err, last)
	}
	c.suite, c.id = last.Suite, last.Cluster
	for _, p := range c.nodes {
		for _, node := range last.Nodes {
			if node.Name == p.name {
				p.id = node.ID
			}
		}
	}
	return nil
}

// attach opens the session with another node.
func (c *cluster) attach(ctx context.Context, p *process) error {
	sdk, err := p.connect(ctx, c.config)
	if err != nil {
		return err
	}
	c.sdk.Close()
	c.sdk, c.at = sdk, p
	return nil
}

// attachFarthest moves the session to the node with the fewest extents, so that
// a node with many can be killed while the session lives.
func (c *cluster) attachFarthest(ctx context.Context, data *dataset) error {
	extents, err := data.arrays[0].Pages(ctx)
	if err != nil {
		return err
	}
	held := map[string]int{}
	for _, e := range extents {
		held[e.Primary]++
	}
	fewest := c.nodes[0]
	for _, p := range c.nodes {
		if held[p.id] < held[fewest.id] {
			fewest = p
		}
	}
	return c.attach(ctx, fewest)
}

func (c *cluster) byID(id string) *process {
	for _, p := range c.nodes {
		if p.id == id {
			return p
		}
	}
	return nil
}

// nameOf is a node's name for people.
func (c *cluster) nameOf(id string) string {
	if p := c.byID(id); p != nil {
		return p.name
	}
	return fmt.Sprintf("%.8s", id)
}

func (c *cluster) lastWords() string {
	var b strings.Builder
	for _, p := range c.nodes {
		b.WriteString(p.lastWords())
	}
	return b.String()
}

// stop ends all nodes and removes everything that they kept.
func (c *cluster) stop() error {
	var errs []error
	if c.sdk != nil {
		errs = append(errs, c.sdk.Close())
	}
	for _, p := range c.nodes {
		errs = append(errs, p.stop())
	}
	errs = append(errs, os.RemoveAll(c.root))
	return errors.Join(errs...)
}
