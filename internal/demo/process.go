package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
)

const (
	listenAnywhere = "127.0.0.1:0"
	startLimit     = 60 * time.Second // a node answers within seconds; a busy machine gets a minute
	stopLimit      = 10 * time.Second
	pollEvery      = 25 * time.Millisecond
	lastWordsBytes = 2 << 10
)

// process is one node: `holo agent` or `holo join` in a process of its own.
type process struct {
	name  string // n1, n2, ...
	dir   string
	id    string // node ID, hexadecimal, once the cluster knows it
	cmd   *exec.Cmd
	stdin io.Closer // its end is the node's end
	log   *os.File
	ended <-chan struct{}
}

// startProcess starts the binary with arguments for a node in dir.
func startProcess(holoPath, name, dir string, args ...string) (*process, error) {
	log, err := os.Create(dir + ".log")
	if err != nil {
		return nil, holo.Errorf(holo.Internal, "start node %s: %w", name, err)
	}
	cmd := exec.Command(holoPath, args...)
	cmd.Stdout, cmd.Stderr = log, log
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		log.Close()
		return nil, holo.Errorf(holo.Internal, "start node %s: %w", name, err)
	}
	return &process{name: name, dir: dir, cmd: cmd, stdin: stdin, log: log, ended: reap(cmd)}, nil
}

func (p *process) socket() string { return filepath.Join(p.dir, holocompute.SocketName) }

func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends the process with SIGKILL: no goodbye, no flush.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil {
		return holo.Errorf(holo.Internal, "kill node %s: %w", p.name, err)
	}
	<-p.ended
	return nil
}

// stop asks the node to end by closing its pipe, and kills it when it does not.
func (p *process) stop() error {
	defer p.log.Close()
	p.stdin.Close()
	select {
	case <-p.ended:
		return nil
	case <-time.After(stopLimit):
	}
	if err := p.kill(); err != nil {
		return err
	}
	return holo.Errorf(holo.Internal, "node %s did not end within %s of being told to", p.name, stopLimit)
}

// lastWords is the end of the node's log, for an error message.
func (p *process) lastWords() string {
	text, err := os.ReadFile(p.log.Name())
	if err != nil || len(text) == 0 {
		return ""
	}
	text = text[max(0, len(text)-lastWordsBytes):]
	return fmt.Sprintf("\n--- %s\n%s", p.name, strings.TrimSpace(string(text)))
}

// connect waits until the node answers, and opens a session with it.
func (p *process) connect(ctx context.Context, config string) (*holocompute.Cluster, error) {
	var sdk *holocompute.Cluster
	err := poll(ctx, startLimit, func() (bool, error) {
		if !p.alive() {
			return false, holo.Errorf(holo.Unavailable, "node %s ended while it started%s", p.name, p.lastWords())
		}
		c, err := holocompute.Connect(ctx, holocompute.Options{Socket: p.socket(), Config: config})
		sdk = c
		return err == nil, nil
	})
	if err != nil {
		return nil, holo.Errorf(holo.KindOf(err), "reach node %s: %w", p.name, err)
	}
	return sdk, nil
}

// poll asks until the answer is yes, an error, or the limit has passed.
func poll(ctx context.Context, limit time.Duration, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		yes, err := ask()
		if yes || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return holo.Errorf(holo.Unavailable, "not within %s", limit)
		case <-tick.C:
		}
	}
}
