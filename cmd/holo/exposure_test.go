package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/transport"
)

// startWithin is how long a busy machine may take to start a process.
const startWithin = 60 * time.Second

var readyLine = regexp.MustCompile(`is ready: nodes ([^\s]+), clients`)

// started is an agent that runs, or one that ended without.
type started struct {
	address string // "" when it did not become ready
	words   string
}

// startAgent runs `holo agent` with arguments until it is ready or has ended.
func startAgent(t *testing.T, dir string, args ...string) started {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	cmd := exec.CommandContext(ctx, "holo", append([]string{"agent"}, args...)...)
	cmd.Env = append(os.Environ(), "HOLO_DIR="+filepath.Join(dir, "n1"), "HOLO_CONFIG="+filepath.Join(dir, "config"))
	cmd.Dir = dir
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	background(func() { cmd.Wait(); w.Close(); close(ended) })
	t.Cleanup(func() { stdin.Close(); cancel(); <-ended })
	var words bytes.Buffer
	b := make([]byte, 4096)
	for {
		n, err := r.Read(b)
		words.Write(b[:n])
		if m := readyLine.FindStringSubmatch(words.String()); m != nil {
			background(func() { io.Copy(io.Discard, r) })
			return started{address: m[1], words: words.String()}
		}
		if err != nil {
			return started{words: words.String()}
		}
	}
}

// stranger tries to open a session without what the cluster gives its members,
// in every way that the handshake has words for. It gives the ways that worked.
type stranger struct {
	t    *testing.T
	link *transport.Transport
	id   holo.ClusterID
}

func newStranger(t *testing.T, cluster holo.ClusterID) *stranger {
	l, err := transport.Listen(transport.Config{Listen: "127.0.0.1:0", Local: func() handshake.Local { return handshake.Local{} }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &stranger{t: t, link: l, id: cluster}
}

func (s *stranger) sessions(address string) (made []string, reasons map[string]int) {
	reasons = map[string]int{}
	for _, pq := range []handshake.PQ{handshake.PQRequire, handshake.PQOff} {
		for _, kind := range []handshake.Kind{handshake.KindNode, handshake.KindJoin, handshake.KindClient} {
			for name, psk := range map[string]handshake.PSK{"no key": {}, "a key of its own": handshake.ClusterPSK(key.Random(), s.id)} {
				what := fmt.Sprintf("%v with %s, post-quantum %v", kind, name, pq)
				err := s.dial(address, kind, psk, pq)
				if err == nil {
					made = append(made, what)
				}
				reasons[holo.ReasonOf(err)]++
			}
		}
	}
	return made, reasons
}

func (s *stranger) dial(address string, kind handshake.Kind, psk handshake.PSK, pq handshake.PQ) error {
	static, err := handshake.NewStatic(key.GenerateSigner(), s.id, "stranger", time.Now().Unix())
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	session, err := s.link.Dial(ctx, address, handshake.Local{
		Kind: kind, Static: static, PSK: psk, PQ: pq,
		Admit: func(handshake.Kind, holo.NodeID, string, []byte) error { return nil },
	}, transport.Control, holo.NodeID{})
	if err == nil {
		session.Close("test")
	}
	return err
}

// hostile are values that a flag of each type may be given in the hope that a
// protection goes away.
func hostile(f *pflag.Flag) []string {
	switch f.Value.Type() {
	case "bool":
		return []string{"true"}
	case "duration":
		return []string{"1h"}
	}
	return []string{"off", "0.0.0.0/0"}
}

// TestNoFlagLetsAStrangerIn is generated from the command line itself: whatever
// flag `holo agent` has, and whatever it is given, a node on all interfaces
// either does not start or makes no session with a stranger.
func TestNoFlagLetsAStrangerIn(t *testing.T) {
	dir, err := os.MkdirTemp("", "holo-exposure-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	init := exec.Command("holo", "init", "--dir", filepath.Join(dir, "n1"), "--config", filepath.Join(dir, "config"))
	if out, err := init.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c, err := identity.ReadCluster(filepath.Join(dir, "n1", identity.ClusterFile))
	if err != nil {
		t.Fatal(err)
	}
	s := newStranger(t, c.ID)
	a := &app{}
	agent, _, err := a.root().Find([]string{"agent"})
	if err != nil {
		t.Fatal(err)
	}
	tried, ran := 0, 0
	try := func(args ...string) {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			node := startAgent(t, dir, append([]string{"--listen", "0.0.0.0:0"}, args...)...)
			tried++
			if node.address == "" {
				return // it does not run, so nobody gets in
			}
			ran++
			_, port, err := net.SplitHostPort(node.address)
			if err != nil {
				t.Fatal(err)
			}
			made, reasons := s.sessions("127.0.0.1:" + port)
			if len(made) != 0 {
				t.Errorf("a stranger got sessions: %v", made)
			}
			if reasons[transport.ReasonRefused] == 0 && !strings.Contains(strings.Join(args, " "), "allow") {
				t.Errorf("control: the node did not refuse, it was not reached: %v", reasons)
			}
		})
	}
	try()
	for _, f := range flagsOf(agent) {
		for _, value := range hostile(f) {
			try("--" + f.Name + "=" + value)
		}
	}
	if tried < 20 || ran < 8 {
		t.Errorf("%d command lines were tried and %d ran: the test has lost its way", tried, ran)
	}
}

func flagsOf(cmd *cobra.Command) (flags []*pflag.Flag) {
	keep := func(f *pflag.Flag) {
		if f.Name != "help" {
			flags = append(flags, f)
		}
	}
	cmd.LocalFlags().VisitAll(keep)
	cmd.InheritedFlags().VisitAll(keep)
	return flags
}

// TestFlagsPromiseNoProtectionAway reads every flag of every command.
func TestFlagsPromiseNoProtectionAway(t *testing.T) {
	bad := regexp.MustCompile(`(?i)insecure|skip|no-?auth|disable|bypass|unsafe|plain|trust-|force|anonymous|debug-`)
	a := &app{}
	count := 0
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		for _, f := range flagsOf(c) {
			count++
			if bad.MatchString(f.Name) {
				t.Errorf("%s has the flag --%s", c.CommandPath(), f.Name)
			}
		}
		for _, under := range c.Commands() {
			visit(under)
		}
	}
	visit(a.root())
	if count < 50 {
		t.Errorf("%d flags were read", count)
	}
}
