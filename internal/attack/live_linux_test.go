package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/audit"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/node"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// The attackers of these tests come from many networks, which only Linux has on
// its loopback interface without being asked: all of 127.0.0.0/8.

// program is the binary, built once for all live tests.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "holo")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "holo")
	out, err := exec.Command("go", "build", "-o", path, "../../cmd/holo").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// live is a cluster whose nodes are processes of their own, seen by a client of
// the first one. The last member was admitted, and an attacker has its keys.
type live struct {
	t      *testing.T
	root   string
	first  *exec.Cmd
	sdk    *holocompute.Cluster
	target Target
	thief  credentials
	data   []byte // of the array "precious", which is sealed, and of "open"
	agents int    // nodes that run
}

const liveName = "eve"

// startLive starts nodes, each with extra arguments of holo agent, and has them
// keep two arrays.
func startLive(t *testing.T, nodes int, args ...string) *live {
	t.Helper()
	root, err := os.MkdirTemp("", "live") // sockets need short paths
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	l := &live{t: t, root: root}
	_, err = node.Init(t.Context(), node.InitConfig{Dir: l.dir(0), ConfigDir: l.config(), NodeName: "n0", MemoryBytes: testMemory})
	must(t, err)
	l.first = l.agent(0, args...)
	l.connect()
	for i := 1; i < nodes; i++ {
		l.join(l.dir(i), "n"+strconv.Itoa(i))
		l.agent(i, args...)
	}
	l.await("all nodes have leases", func(s *holocompute.Status) bool {
		leases := 0
		for _, n := range s.Nodes {
			if n.Lease {
				leases++
			}
		}
		return leases == nodes && s.Leader != ""
	})
	l.plant()
	l.audits()
	l.join(filepath.Join(root, liveName), liveName)
	l.steal()
	t.Cleanup(l.verified)
	return l
}

func (l *live) dir(i int) string { return filepath.Join(l.root, "n"+strconv.Itoa(i)) }
func (l *live) config() string   { return filepath.Join(l.root, "config") }

// agent starts a node that ends with this test.
func (l *live) agent(i int, args ...string) *exec.Cmd {
	l.t.Helper()
	path, err := program()
	must(l.t, err)
	cmd := exec.Command(path, append([]string{"agent", "--exit-with-parent", "--log", "error", "--dir", l.dir(i)}, args...)...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	in, err := cmd.StdinPipe()
	must(l.t, err)
	must(l.t, cmd.Start())
	l.agents = max(l.agents, i+1)
	l.t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil || strings.Contains(log.String(), "panic") {
			l.t.Errorf("node %d ended badly: %v\n%s", i, err, log.String())
		}
	})
	return cmd
}

func (l *live) connect() {
	l.t.Helper()
	o := holocompute.Options{Socket: filepath.Join(l.dir(0), holocompute.SocketName), Config: l.config()}
	await(l.t, "the node answers", func() bool {
		sdk, err := holocompute.Connect(l.t.Context(), o)
		l.sdk = sdk
		return err == nil
	})
	l.t.Cleanup(func() { l.sdk.Close() })
	var s *holocompute.Status
	await(l.t, "the status is there", func() (ok bool) {
		var err error
		s, err = l.sdk.Status(l.t.Context())
		return err == nil && s.Leader != ""
	})
	cluster, err := holo.ParseClusterID(s.Cluster)
	must(l.t, err)
	id, err := holo.ParseNodeID(s.Node)
	must(l.t, err)
	l.target = Target{Address: s.Listen[0], Cluster: cluster, Node: id, Refusals: func(ctx context.Context) (map[string]uint64, error) {
		s, err := l.sdk.Status(ctx)
		if err != nil {
			return nil, err
		}
		return s.Refusals, nil
	}}
}

func (l *live) await(what string, holds func(*holocompute.Status) bool) {
	l.t.Helper()
	await(l.t, what, func() bool {
		s, err := l.sdk.Status(l.t.Context())
		return err == nil && holds(s)
	})
}

func (l *live) join(dir, name string, advertise ...string) {
	l.t.Helper()
	invite, err := l.sdk.Invite(l.t.Context(), time.Hour)
	must(l.t, err)
	_, err = node.Join(l.t.Context(), node.JoinConfig{
		Dir: dir, ConfigDir: dir + "-config", Invite: invite, NodeName: name, Advertise: advertise, MemoryBytes: testMemory,
		Policy: node.Policy{PostQuantum: handshake.PQPrefer.String()}, // whatever the node requires
	})
	must(l.t, err)
}

// audits lets the client read the audit log, which is a right of its own.
func (l *live) audits() {
	l.t.Helper()
	self, err := l.sdk.WhoAmI(l.t.Context())
	must(l.t, err)
	_, err = l.sdk.AddGrant(l.t.Context(), holocompute.Grant{Principal: self.Principal, Role: "security"})
	must(l.t, err)
}

// plant writes an array that is sealed and one that is not.
func (l *live) plant() {
	l.t.Helper()
	l.data = bytes.Repeat([]byte("precious"), 2*holo.PageSize/8)
	for _, name := range []string{"precious", "open"} {
		a, err := holocompute.Create[uint8](l.t.Context(), l.sdk, name, uint64(len(l.data)), holocompute.ArrayOptions{Copies: 1, Extent: holo.PageSize})
		must(l.t, err)
		must(l.t, a.Write(l.t.Context(), 0, l.data))
		if name == "precious" {
			must(l.t, a.Seal(l.t.Context()))
		}
	}
}

// steal reads the keys of the member that never ran.
func (l *live) steal() {
	l.t.Helper()
	dir := filepath.Join(l.root, liveName)
	signer, err := identity.ReadSigner(filepath.Join(dir, identity.NodeKeyFile))
	must(l.t, err)
	clusterKey, err := identity.ReadSecret(filepath.Join(dir, identity.ClusterKeyFile))
	must(l.t, err)
	l.thief = l.credentials(signer, clusterKey)
}

// attested is a command on the word of the member whose keys were stolen.
func (l *live) attested(body wire.Message) *wire.Attested {
	l.t.Helper()
	signer, err := identity.ReadSigner(filepath.Join(l.root, liveName, identity.NodeKeyFile))
	must(l.t, err)
	m := &wire.Attested{Node: signer.Public(), Body: body}
	copy(m.Sig[:], signer.Sign(wire.AttestProof(l.target.Cluster, m)))
	return m
}

func (l *live) credentials(signer key.Signer, clusterKey key.Secret) credentials {
	l.t.Helper()
	static, err := handshake.NewStatic(signer, l.target.Cluster, liveName, time.Now().Unix())
	must(l.t, err)
	return credentials{static, handshake.ClusterPSK(clusterKey, l.target.Cluster)}
}

// local is the side of a member in a handshake.
func (l *live) local() handshake.Local {
	return handshake.Local{Kind: handshake.KindNode, Static: l.thief.static, PSK: l.thief.psk, Admit: anybody}
}

// state is all that an attack must not change: who the members are and what the
// catalogue holds, and which command it applied last. The data is compared, too.
// Reading it is the probe: the cluster answers.
type state struct {
	held string
	last uint64
}

func (s state) String() string { return fmt.Sprintf("%s, last command %d", s.held, s.last) }

func (l *live) state() state {
	l.t.Helper()
	ctx := l.t.Context()
	s, err := l.sdk.Status(ctx)
	must(l.t, err)
	arrays, err := l.sdk.Arrays(ctx)
	must(l.t, err)
	kernels, err := l.sdk.Kernels(ctx)
	must(l.t, err)
	jobs, err := l.sdk.Jobs(ctx)
	must(l.t, err)
	for i := range s.Nodes {
		s.Nodes[i].ResidentBytes, s.Nodes[i].SpilledBytes, s.Nodes[i].Voter = 0, 0, false // measured now and then; as many as live
		s.Nodes[i].CachedBytes, s.Nodes[i].CacheHits, s.Nodes[i].CacheMisses = 0, 0, 0    // of what the test itself reads
		if n := &s.Nodes[i]; n.Name == liveName {                                         // it may say that it lives, and where
			*n = holocompute.NodeStatus{ID: n.ID, Name: n.Name}
		}
	}
	held, err := json.Marshal([]any{s.Cluster, s.Nodes, arrays, kernels, jobs})
	must(l.t, err)
	for _, name := range []string{"precious", "open"} {
		a, err := l.sdk.OpenRaw(ctx, name)
		must(l.t, err)
		got := make([]byte, a.Len())
		must(l.t, a.ReadBytes(ctx, 0, got))
		if !bytes.Equal(got, l.data) {
			l.t.Errorf("array %s has changed", name)
		}
	}
	return state{string(held), s.CatalogIndex}
}

// counted is how often the target refused for a reason.
func (l *live) counted(reason string) uint64 {
	l.t.Helper()
	counts, err := l.target.Refusals(l.t.Context())
	must(l.t, err)
	return counts[reason]
}

// refuses carries out an attack and wants it refused: counted for its reason at
// least so many times, nothing changed, and everybody served.
func (l *live) refuses(what, reason string, times uint64, attack func()) {
	l.t.Helper()
	was := l.state()
	l.counts(what, reason, times, attack)
	l.unchanged(what, was)
}

// counts carries out an attack and wants it counted at least so many times, and
// on the record.
func (l *live) counts(what, reason string, times uint64, attack func()) {
	l.t.Helper()
	before := l.counted(reason)
	attack()
	if l.t.Failed() {
		return // it was not refused
	}
	l.await(what+" is counted as "+reason, func(s *holocompute.Status) bool { return s.Refusals[reason] >= before+times })
	if times > 0 && reason != transport.ReasonRetry { // which refuses nothing yet
		l.recorded(what, eventFor(reason), reason)
	}
}

// eventFor is what the record of a refusal is called: of the handshake, of what
// was said in a session or to none, and of all else.
func eventFor(reason string) string {
	switch reason {
	case handshake.ReasonBadHello, handshake.ReasonBadHandshake, handshake.ReasonSuiteRefused, handshake.ReasonDowngrade,
		handshake.ReasonUnknownPSK, handshake.ReasonUnknownNode, handshake.ReasonWrongKind, handshake.ReasonReflection, handshake.ReasonVersion:
		return "auth.failed"
	case transport.ReasonDatagram, transport.ReasonBadRecord, "malformed":
		return "msg.rejected"
	}
	return "refusals.counted"
}

// recorded wants the refusals of a reason in the audit log of the first node,
// under an event if one is named: its first within a minute is there at once.
func (l *live) recorded(what, event, reason string) {
	l.t.Helper()
	await(l.t, what+" is on the record as "+reason, func() bool {
		for r, err := range l.sdk.Audit(l.t.Context(), holocompute.AuditQuery{Event: event}) {
			must(l.t, err)
			if r.Reason == reason && r.Decision == "refused" {
				return true
			}
		}
		return false
	})
}

// verified wants every node's audit log to verify by its public key alone, from
// a copy, as the files lie when the test is over.
func (l *live) verified() {
	l.t.Helper()
	for i := range l.agents {
		elsewhere := filepath.Join(l.t.TempDir(), "audit")
		must(l.t, os.CopyFS(elsewhere, os.DirFS(node.AuditDir(l.dir(i)))))
		source, err := node.AuditSource(l.dir(i))
		must(l.t, err)
		if s, err := audit.Verify(elsewhere, source); err != nil || s.Records == 0 {
			l.t.Errorf("the audit log of node %d after it: %d records, %v", i, s.Records, err)
		}
	}
}

// unchanged wants the state as it was.
func (l *live) unchanged(what string, was state) {
	l.t.Helper()
	if now := l.state(); now != was {
		l.t.Errorf("%s: state %s, was %s", what, now, was)
	}
}

// cost is what the first node's process has taken: memory in pages and open
// files.
func (l *live) cost() (residentBytes, files int) {
	l.t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(l.first.Process.Pid))
	b, err := os.ReadFile(filepath.Join(proc, "statm"))
	must(l.t, err)
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	must(l.t, err)
	list, err := os.ReadDir(filepath.Join(proc, "fd"))
	must(l.t, err)
	return pages * os.Getpagesize(), len(list)
}
