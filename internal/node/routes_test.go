package node

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/routes.txt anew")

var quotaNames = [quotas_]string{"protocol", "raft", "control", "data", "job", "join", "wait"}

// Which session may send which message, for people to read. What is in no line
// is open to nobody.
func TestMatrixOfSessionsAndMessages(t *testing.T) {
	kinds := []handshake.Kind{handshake.KindNode, handshake.KindJoin, handshake.KindClient}
	var b strings.Builder
	fmt.Fprintf(&b, "# Which session may send which message: its action, its quota, and the kinds of session. Written by go test -rewrite.\n\n%-18s%-20s%-12s", "message", "action", "quota")
	for _, k := range kinds {
		fmt.Fprintf(&b, "%-8s", k)
	}
	b.WriteString("\n")
	var lines []string
	for typ, rt := range routes {
		line := fmt.Sprintf("%-18s%-20s%-12s", fmt.Sprintf("%#04x", uint16(typ)), rt.action, quotaNames[rt.quota])
		for _, k := range kinds {
			cell := "."
			if slices.Contains(rt.kinds, k) {
				cell = "yes"
			}
			line += fmt.Sprintf("%-8s", cell)
		}
		lines = append(lines, strings.TrimRight(line, " "))
	}
	slices.Sort(lines)
	got := strings.ReplaceAll(b.String(), "  \n", "\n") + strings.Join(lines, "\n") + "\n"
	path := filepath.Join("testdata", "routes.txt")
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the matrix is not that of %s: look at the difference, then go test -rewrite\n%s", path, got)
	}
}

// A stream for Raft that is refused ends with the answer: what Raft writes on it
// before it reads that is no message, and nobody is blamed for it.
func TestRefusedStreamOfRaftEnds(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	n, peer := c.nodes[0], c.nodes[1]
	for range inProgress[quotaRaft] {
		if release, err := n.quotas.take(quotaRaft, peer.self); err == nil {
			defer release()
		}
	}
	before := n.refusals.all()[reasonBusy]
	for range 3 {
		st, err := peer.peers.Open(t.Context(), n.self, transport.Control)
		must(t, err)
		must(t, st.SetDeadline(time.Now().Add(patience)))
		must(t, st.WriteMessage(&wire.RaftOpen{}))
		st.Write(bytes.Repeat([]byte("RAFT"), 1000)) // fails where the node has closed the stream already
		answer, err := st.ReadMessage()
		if f, ok := answer.(*wire.Failure); err == nil && (!ok || holo.ReasonOf(f.Err()) != reasonBusy) {
			t.Errorf("the answer is %#v", answer)
		}
		for err == nil {
			_, err = st.ReadMessage()
		}
		st.Close()
	}
	await(t, "the refusals are counted", func() bool { return n.refusals.all()[reasonBusy] >= before+3 })
	if count := n.refusals.all()[reasonMalformed]; count != 0 {
		t.Errorf("%d malformed messages were counted, and none was sent", count)
	}
}

// A node that closes takes no more of Raft's streams, and reads none on.
func TestStreamOfRaftEndsWhereItsNodeCloses(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	c.lies = true // the other end of the stream gets an answer to what it never asked
	n, peer := c.nodes[0], c.nodes[1]
	closing := &Node{members: n.members, quotas: newQuotas(), refusals: n.refusals, raft: &raftStreams{}}
	closed, stop := context.WithCancel(t.Context())
	stop()
	st, err := n.peers.Open(t.Context(), peer.self, transport.Control)
	must(t, err)
	defer st.Close()
	r := &request{from: peer.self, session: st.Session(), stream: st, msg: &wire.RaftOpen{}}
	if err := closing.dispatch(closed, r); err == nil || errors.Is(err, errTaken) {
		t.Errorf("the stream is read on: %v", err)
	}
}
