package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

func openDir(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := Open(Config{Dir: dir, Cluster: testCluster, Signer: testNode})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// A log on disk, opened again and again, verified from a copy of its folder.
func TestRecordsComeBackAndACopyVerifies(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	const runs, each = 3, 5
	for run := range runs {
		l := openDir(t, dir)
		for i := range each {
			must(t, l.Permit(act(testUser, "holo.v1.ArrayService/Create", fmt.Sprint(run, i))))
		}
		must(t, l.Close())
		wantReason(t, l.Permit(noteRecord("closed")), holo.Unavailable, ReasonUnavailable)
	}
	l := openDir(t, dir)
	records, next, err := l.Select(t.Context(), Query{Limit: 100})
	must(t, err)
	if len(records) != runs*each || next != runs*each {
		t.Fatalf("%d records up to %d, want %d", len(records), next, runs*each)
	}
	for i, r := range records {
		if r.Seq != uint64(i) || r.Node != testNode.Public() || r.Time == 0 || r.Actor.Key != testUser.Public() || r.Event != "array.create" || r.Action != r.Event {
			t.Errorf("record %d: %+v", i, r)
		}
	}
	private(t, dir)

	elsewhere := filepath.Join(t.TempDir(), "copy")
	must(t, os.CopyFS(elsewhere, os.DirFS(dir)))
	claim, err := SourceOf(elsewhere)
	must(t, err)
	s, err := Verify(elsewhere, claim)
	must(t, err)
	if claim != testSource() || s.Records != runs*each || s.Proven != runs*each || s.Segments != 1 || len(s.Head) != 64 {
		t.Errorf("%+v of %+v", s, claim)
	}
	_, err = Verify(elsewhere, Source{testCluster, key.GenerateSigner().Public()})
	wantReason(t, err, holo.Corrupt, ReasonDamaged)
	_, err = Verify(elsewhere, Source{holo.ClusterID{8}, testNode.Public()})
	wantReason(t, err, holo.Corrupt, ReasonDamaged)
	if _, err := Verify(t.TempDir(), testSource()); holo.KindOf(err) != holo.NotFound {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := Verify(filepath.Join(elsewhere, "nothing"), testSource()); holo.KindOf(err) != holo.NotFound {
		t.Errorf("no folder: %v", err)
	}
	must(t, os.Remove(filepath.Join(elsewhere, headFile)))
	_, err = Verify(elsewhere, testSource())
	wantReason(t, err, holo.Corrupt, ReasonDamaged)
}

func private(t *testing.T, dir string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		must(t, err)
		info, err := e.Info()
		must(t, err)
		want := os.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: mode %04o, want %04o", path, info.Mode().Perm(), want)
		}
		return nil
	}))
}

func TestFolderThatOthersCanEnterIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Chmod(dir, 0o755))
	_, err := Open(Config{Dir: dir, Cluster: testCluster, Signer: testNode})
	wantReason(t, err, holo.Denied, "wrong_mode")
}

func TestTwoProcessesDoNotShareALog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := openDir(t, dir)
	_, err := Open(Config{Dir: dir, Cluster: testCluster, Signer: testNode})
	if holo.KindOf(err) != holo.Conflict {
		t.Fatalf("%v, want a conflict", err)
	}
	must(t, l.Close())
	openDir(t, dir)
}

// Segments roll, and reading finds every record from every place, forwards,
// backwards and by event.
func TestSelectFindsEveryRecord(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := openDir(t, dir)
	l.full = 300 << 10
	const total = 1500
	for range total / 50 {
		group := make([]*entry, 50)
		for i := range group {
			event := "test.common"
			if i == 7 {
				event = "test.rare"
			}
			group[i] = &entry{record: wire.AuditRecord{Event: event, Action: event, Decision: wire.Allowed, Count: 1, Resource: strings.Repeat("x", 190)}}
		}
		l.write(group)
	}
	if len(l.mu.segments) < 2 {
		t.Fatalf("%d segments", len(l.mu.segments))
	}
	must(t, l.Close())
	l = openDir(t, dir)
	for first := uint64(0); first < total; first += 37 {
		records, next, err := l.Select(t.Context(), Query{First: first, Limit: 100})
		must(t, err)
		want := min(total-first, 100)
		if uint64(len(records)) != want || next != first+want || records[0].Seq != first || records[want-1].Seq != first+want-1 {
			t.Fatalf("from %d: %d records up to %d", first, len(records), next)
		}
	}
	records, _, err := l.Select(t.Context(), Query{Event: "test.rare", Limit: 1000})
	must(t, err)
	newest, next, err := l.Select(t.Context(), Query{Newest: true, Event: "test.rare", Limit: 1000})
	must(t, err)
	same := slices.EqualFunc(records, newest, func(a, b *wire.AuditRecord) bool { return a.Seq == b.Seq })
	if len(records) != total/50 || !same || next != total {
		t.Errorf("%d rare ones forwards, %d backwards, same: %v", len(records), len(newest), same)
	}
	last, _, err := l.Select(t.Context(), Query{Newest: true, Limit: 3})
	must(t, err)
	if len(last) != 3 || last[2].Seq != total-1 {
		t.Errorf("the newest: %+v", last)
	}
	if past, next, err := l.Select(t.Context(), Query{First: total + 5, Limit: 3}); err != nil || len(past) != 0 || next != total {
		t.Errorf("behind the end: %d records up to %d, %v", len(past), next, err)
	}
	if s, err := Verify(dir, testSource()); err != nil || s.Records != total || s.Segments != len(l.mu.segments) {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestChangedTellsOfNewRecords(t *testing.T) {
	l := openDisk(t, newDisk())
	changed := l.Changed()
	select {
	case <-changed:
		t.Fatal("told of nothing")
	default:
	}
	must(t, l.Permit(noteRecord("x")))
	<-changed
}

// A record that reads differently after it was written is not shown.
func TestRecordChangedUnderARunningLogIsNotShown(t *testing.T) {
	d := newDisk()
	l := openDisk(t, d)
	must(t, l.Permit(noteRecord("true")))
	data := d.files[firstName].data
	frames := framesOf(t, d, firstName)
	data[len(frames[0])+frameHead+4] ^= 1
	_, _, err := l.Select(t.Context(), Query{Limit: 1})
	wantDamage(t, err, 0)

	d = newDisk()
	l = openDisk(t, d)
	must(t, l.Permit(noteRecord("1")))
	must(t, l.Permit(noteRecord("2")))
	fs := framesOf(t, d, firstName)
	fs[1], fs[3] = fs[3], fs[1] // of one length
	copy(d.files[firstName].data, slices.Concat(fs...))
	_, _, err = l.Select(t.Context(), Query{Limit: 2})
	wantDamage(t, err, 0)
}
