package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/audit"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/wire"
)

// recordsOf are a node's audit records of an event, the oldest first.
func recordsOf(t *testing.T, n *Node, event string) []*wire.AuditRecord {
	t.Helper()
	records, _, err := n.audit.Select(context.Background(), audit.Query{Newest: true, Event: event, Limit: 1000})
	must(t, err)
	return records
}

// verifyAudit checks a node's log as an outsider would, from a copy.
func (c *cluster) verifyAudit(i int) *audit.Summary {
	c.t.Helper()
	return verifyLog(c.t, c.dirs[i])
}

func verifyLog(t *testing.T, dir string) *audit.Summary {
	t.Helper()
	elsewhere := filepath.Join(t.TempDir(), "copy")
	must(t, os.CopyFS(elsewhere, os.DirFS(AuditDir(dir))))
	source, err := AuditSource(dir)
	must(t, err)
	s, err := audit.Verify(elsewhere, source)
	must(t, err)
	return s
}

// onRecord wants a node's record of refusals for a reason to be called so: each is
// there within a second of the first.
func onRecord(t *testing.T, n *Node, event, reason string) {
	t.Helper()
	under := func(event string) bool {
		return slices.ContainsFunc(recordsOf(t, n, event), func(r *wire.AuditRecord) bool { return r.Reason == reason })
	}
	await(t, event+" "+reason+" is on record", func() bool { return under(event) || under("refusals.counted") })
	if !under(event) {
		t.Errorf("%s is on record as one refusal of many, want %s", reason, event)
	}
	verifyLog(t, n.home.dir)
}

// A hundred thousand refusals are one record in the first minute and one in the
// next, each with its number: they neither fill the log nor are lost in it.
func TestFloodOfRefusalsIsRecordedByNumber(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	const reason, flood = "flood_test", 100_000
	before, _ := n.audit.State()
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range flood / 10 {
				n.refusals.add(reason)
			}
		})
	}
	wg.Wait()
	counted := func() (sum uint64, records int) {
		for _, r := range recordsOf(t, n, "refusals.counted") {
			if r.Reason == reason {
				sum, records = sum+r.Count, records+1
			}
		}
		return sum, records
	}
	await(t, "the flood is recorded", func() bool { _, records := counted(); return records > 0 })
	const more = 1000
	for range more {
		n.refusals.add(reason)
	}
	now := n.clock.now()
	n.recordRefusals(n.refusals.due(now)) // within the minute: nothing more
	if _, records := counted(); records != 1 {
		t.Errorf("%d records within a minute, want 1", records)
	}
	n.recordRefusals(n.refusals.due(now.Add(recordEvery)))
	if sum, records := counted(); sum != flood+more || records != 2 {
		t.Errorf("%d refusals in %d records, want %d in 2", sum, records, flood+more)
	}
	if after, _ := n.audit.State(); after-before > 10 {
		t.Errorf("the flood left %d records", after-before)
	}
	if got := n.refusals.all()[reason]; got != flood+more {
		t.Errorf("the counter says %d, want %d", got, flood+more)
	}
	for _, reason := range routine {
		n.refusals.add(reason)
	}
	due := n.refusals.due(n.clock.now().Add(2 * recordEvery))
	for _, reason := range routine {
		if due[reason] != 0 {
			t.Errorf("%s is to be recorded, and is routine", reason)
		}
	}
}

// Refusals that nobody has recorded yet when the node ends are recorded then,
// and what cannot be recorded stays owed.
func TestRefusalsAreNotForgotten(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	n.refusals.add("last_minute_test")
	n.refusals.owe("last_minute_test", 4)
	must(t, n.Close())
	n.recordRefusals(map[string]uint64{"late_test": 3}) // the log is closed
	if owed := n.refusals.rest()["late_test"]; owed != 3 {
		t.Errorf("%d refusals are still owed, want 3", owed)
	}
	c.start(0)
	var sum uint64
	for _, r := range recordsOf(t, c.nodes[0], "refusals.counted") {
		if r.Reason == "last_minute_test" {
			sum += r.Count
		}
	}
	if sum != 5 {
		t.Errorf("%d refusals recorded, want 5", sum)
	}
	start, stop := recordsOf(t, c.nodes[0], "node.start"), recordsOf(t, c.nodes[0], "node.stop")
	if len(start) != 2 || len(stop) != 1 || stop[0].Seq > start[1].Seq {
		t.Errorf("%d starts and %d stops, want 2 and 1 between them", len(start), len(stop))
	}
	c.verifyAudit(0)
}

// Joining, being refused, and being removed leave records at the node that was
// asked and at every node that learns of it.
func TestMembershipIsRecorded(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	invite := c.invite(time.Hour)
	_, err := c.askToJoin("third", invite)
	must(t, err)
	_, err = c.askToJoin("fourth", invite)
	wantRefused(t, err, holo.Denied, "invite_bound")

	asked := recordsOf(t, c.nodes[0], "cluster.join")
	if len(asked) != 3 { // n1, third, fourth
		t.Fatalf("%d records of joining, want 3", len(asked))
	}
	for i, want := range []struct {
		name, reason string
		decision     wire.Decision
	}{{" n1", "", wire.Allowed}, {" third", "", wire.Allowed}, {" fourth", "invite_bound", wire.Refused}} {
		r := asked[i]
		if !strings.HasSuffix(r.Resource, want.name) || r.Reason != want.reason || r.Decision != want.decision || r.Actor.Kind != wire.ActorNode {
			t.Errorf("record %+v, want%s %q", r, want.name, want.reason)
		}
	}
	if got := c.nodes[0].refusals.all()["invite_bound"]; got != 1 {
		t.Errorf("the refusal was counted %d times", got)
	}
	if owed := c.nodes[0].refusals.rest()["invite_bound"]; owed != 0 {
		t.Error("the refusal is recorded a second time, by number")
	}
	await(t, "the other node learns of the third", func() bool { return len(recordsOf(t, c.nodes[1], "member.admitted")) == 1 })
	admitted := recordsOf(t, c.nodes[0], "member.admitted")
	if len(admitted) != 2 {
		t.Fatalf("%d admissions learnt by the first node, want 2", len(admitted))
	}
	third := admitted[1]

	c.evict(c.nodes[0], holo.NodeID(asked[1].Actor.Key))
	for i := range 2 {
		await(t, "a node learns of the removal", func() bool { return len(recordsOf(t, c.nodes[i], "member.removed")) == 1 })
		if r := recordsOf(t, c.nodes[i], "member.removed")[0]; !strings.Contains(third.Resource, strings.TrimSpace(r.Resource)) {
			t.Errorf("removed was %q, admitted %q", r.Resource, third.Resource)
		}
		c.verifyAudit(i)
	}
}

// A node whose log was changed does not start, and says where.
func TestNodeDoesNotStartOnATamperedLog(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	must(t, c.nodes[0].Close())
	files, err := filepath.Glob(filepath.Join(AuditDir(c.dirs[0]), "*.log"))
	must(t, err)
	b, err := os.ReadFile(files[0])
	must(t, err)
	b[len(b)/2] ^= 1
	must(t, os.WriteFile(files[0], b, 0o600))
	_, err = Start(context.Background(), c.config(0))
	wantRefused(t, err, holo.Corrupt, audit.ReasonDamaged)
	if !strings.Contains(err.Error(), "record ") {
		t.Errorf("it does not say where: %v", err)
	}
}

// With the log unable to take records, what is signed is refused, what only
// reads goes on, and the status says so; a joiner gets no key of the cluster.
func TestUnrecordableActionsAreRefusedAndReadsGoOn(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	a := c.create(n, "a", 1<<20)
	invite := c.invite(time.Hour)
	must(t, n.audit.Close()) // as a failed sync would leave it

	caller := door.Caller{Principal: holo.PrincipalID{1}, Procedure: "holo.v1.ArrayService/Create", Signature: make([]byte, 64)}
	wantRefused(t, n.Record(context.Background(), caller, nil), holo.Unavailable, audit.ReasonUnavailable)
	dir, err := c.askToJoin("unrecorded", invite)
	if err == nil {
		t.Fatal("a node was admitted without a record")
	}
	if _, err := os.Stat(filepath.Join(dir, identity.ClusterKeyFile)); err == nil {
		t.Error("the cluster's key was handed over without a record")
	}
	must(t, n.ReadRange(context.Background(), holo.ArrayID(a.Id), 0, make([]byte, 100)))
	s, err := n.Status(context.Background(), door.Caller{})
	must(t, err)
	if len(s.Nodes) == 0 {
		t.Error("no status")
	}
}

// The log is read through the door in pieces, by event, and while it grows.
func TestAuditIsReadWhileItGrows(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	ctx := context.Background()
	for i := range 5 {
		must(t, n.audit.Permit(n.ownEvent("test.event", fmt.Sprint(i))))
	}
	page, err := n.ReadAudit(ctx, door.Caller{}, &holov1.ReadAuditRequest{Event: "test.event", Limit: 2})
	must(t, err)
	if len(page.Records) != 2 || page.Records[1].Resource != "1" || page.Records[0].Actor != n.self.Hex() {
		t.Fatalf("first page: %+v", page)
	}
	last, err := n.ReadAudit(ctx, door.Caller{}, &holov1.ReadAuditRequest{Event: "test.event", Newest: true, Limit: 2})
	must(t, err)
	if len(last.Records) != 2 || last.Records[1].Resource != "4" || last.Next != last.Size {
		t.Fatalf("the newest: %+v", last)
	}
	got := make(chan string)
	n.group.Run(func(context.Context) {
		r, err := n.ReadAudit(ctx, door.Caller{}, &holov1.ReadAuditRequest{First: last.Next, Event: "test.event", WaitMs: uint32(patience.Milliseconds())})
		if err != nil || len(r.Records) == 0 {
			got <- fmt.Sprint("nothing ", err)
			return
		}
		got <- r.Records[0].Resource
	})
	must(t, n.audit.Permit(n.ownEvent("test.other", "")))
	must(t, n.audit.Permit(n.ownEvent("test.event", "awaited")))
	if r := <-got; r != "awaited" {
		t.Errorf("the waiting reader got %q", r)
	}
}

// The page for operators says which refusals the audit log hears of.
func TestRoutineReasonsAreThoseOfThePage(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations", "reasons.md"))
	must(t, err)
	var unrecorded []string
	for line := range strings.Lines(string(data)) {
		if cells := strings.Split(line, " | "); len(cells) == 4 && cells[2] == "no" {
			unrecorded = append(unrecorded, strings.Trim(cells[0], "| `"))
		}
	}
	slices.Sort(unrecorded)
	ours := slices.Clone(routine)
	slices.Sort(ours)
	if !slices.Equal(ours, unrecorded) {
		t.Errorf("not recorded are\n%v, the page says\n%v", ours, unrecorded)
	}
}
