package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/audit"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/node"
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

	clients int // sessions of a client, in which nothing was heard
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
	if err != nil {
		return err
	}
	defer session.Close("test")
	if kind != handshake.KindClient {
		return nil
	}
	if heard := s.heard(ctx, session); len(heard) > 0 {
		return nil
	}
	s.clients++
	return errNothingHeard
}

var errNothingHeard = errors.New("a session in which nothing is heard")

// heard makes every call of the service description, and gives those that are
// answered otherwise than for the want of a session. Begin is answered that its
// key is none.
func (s *stranger) heard(ctx context.Context, session *transport.Session) (heard []string) {
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return session.Open(ctx) }}}
	defer client.CloseIdleConnections()
	for path, c := range calls() {
		body, kind := "", "application/proto"
		if c.streams {
			body, kind = "\x00\x00\x00\x00\x00", "application/connect+proto"
		}
		resp, err := client.Post("http://"+api.Host+path, kind, strings.NewReader(body))
		if err != nil {
			s.t.Fatalf("%s: %v", path, err)
		}
		answer, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if said := resp.Header.Get(api.ReasonHeader) + string(answer); !strings.Contains(said, c.told) {
			heard = append(heard, path+": "+resp.Status+" "+said)
		}
	}
	if len(heard) > 0 {
		s.t.Errorf("a stranger is heard: %v", heard)
	}
	return heard
}

// call is a procedure: whether its answer is a stream, and what a stranger is told
// that makes an empty one.
type call struct {
	streams bool
	told    string
}

// calls are all procedures.
func calls() map[string]call {
	all := map[string]call{}
	protoregistry.GlobalFiles.RangeFilesByPackage("holo.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				m := f.Services().Get(i).Methods().Get(j)
				all[fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())] = call{m.IsStreamingServer(), "no_session"}
			}
		}
		return true
	})
	all[holov1connect.SessionServiceBeginProcedure] = call{told: "a public key of 0 bytes"}
	return all
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
// either does not start or makes no session with a stranger. Where it lets clients
// in, a stranger's session is one in which no call is heard but those that open a
// session, for which it lacks the key.
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
	tried, ran, told := 0, 0, false
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
			if told = told || slices.Contains(args, "--clients=true"); s.clients > 0 && !told {
				t.Error("a node that was not told to lets clients in")
			}
			if reasons[transport.ReasonRefused] == 0 && !strings.Contains(strings.Join(args, " "), "allow") {
				t.Errorf("control: the node did not refuse, it was not reached: %v", reasons)
			}
			if len(args) == 0 {
				onTheRecord(t, dir)
			}
		})
	}
	try()
	for _, f := range flagsOf(agent) {
		for _, value := range hostile(f) {
			try("--" + f.Name + "=" + value)
		}
	}
	if !told || s.clients == 0 {
		t.Error("clients were never let in")
	}
	if tried < 20 || ran < 8 {
		t.Errorf("%d command lines were tried and %d ran: the test has lost its way", tried, ran)
	}
}

// onTheRecord wants the strangers' refusals counted by the agent, which still
// answers its own client, and in its audit log, which verifies by its public key alone.
func onTheRecord(t *testing.T, dir string) {
	t.Helper()
	o := holocompute.Options{Socket: filepath.Join(dir, "n1", holocompute.SocketName), Config: filepath.Join(dir, "config")}
	sdk, err := holocompute.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer sdk.Close()
	public, err := holocompute.UserKey(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sdk.AddGrant(t.Context(), holocompute.Grant{Principal: public, Role: "security"}); err != nil {
		t.Fatal(err)
	}
	s, err := sdk.Status(t.Context())
	if err != nil || s.Refusals[handshake.ReasonUnknownPSK] == 0 {
		t.Errorf("the agent counted %v, %v", s.Refusals, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startWithin)
	defer cancel()
	found := false
	for r, err := range sdk.Audit(ctx, holocompute.AuditQuery{Event: "auth.failed", Follow: true}) {
		if err != nil {
			break
		}
		if found = r.Reason == handshake.ReasonUnknownPSK && r.Decision == "refused"; found {
			break
		}
	}
	copied := filepath.Join(t.TempDir(), "audit")
	if err := os.CopyFS(copied, os.DirFS(node.AuditDir(filepath.Join(dir, "n1")))); err != nil {
		t.Fatal(err)
	}
	source, err := node.AuditSource(filepath.Join(dir, "n1"))
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := audit.Verify(copied, source); err != nil || sum.Records == 0 || !found {
		t.Errorf("on the record %v, which verifies %v", found, err)
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
