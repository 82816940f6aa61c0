package audit

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// Callers who come while a group is being synced share the next sync.
func TestManyCallersShareASync(t *testing.T) {
	const callers = 100
	d := newDisk()
	l := openDisk(t, d)
	before := d.syncs
	var once sync.Once
	d.fault = func(op string, _ int64) error {
		if op == "sync "+firstName {
			once.Do(func() { // the first waits here until all others have asked
				for {
					l.waiting.Lock()
					n := len(l.waiting.entries)
					l.waiting.Unlock()
					if n == callers-1 {
						return
					}
					runtime.Gosched()
				}
			})
		}
		return nil
	}
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			if err := l.Permit(noteRecord(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := d.syncs - before; got != 2 {
		t.Errorf("%d syncs for %d callers, want 2", got, callers)
	}
	s, err := verify(d, testSource())
	if err != nil || s.Records != callers {
		t.Fatalf("%+v, %v", s, err)
	}
}

// What was acknowledged is there after a loss of power, whatever part of the
// write under way reached the disk.
func TestPowerLossTakesNothingThatWasAcknowledged(t *testing.T) {
	d := newDisk()
	l := openDisk(t, d)
	for i := range 5 {
		must(t, l.Permit(noteRecord(fmt.Sprint(i))))
	}
	whole := int64(0)
	d.fault = func(op string, n int64) error {
		if op == "write "+firstName {
			whole = n
		}
		return failing("sync "+firstName, errIO)(op, n)
	}
	if err := l.Permit(noteRecord(strings.Repeat("lost ", 40))); err == nil {
		t.Fatal("acknowledged without a sync")
	}
	for kept := range int(whole) + 1 {
		after := d.crash(kept)
		again, err := open(after, Config{Cluster: testCluster, Signer: testNode})
		if err != nil {
			t.Fatalf("%d bytes of the last write: %v", kept, err)
		}
		if size, err := after.files[firstName].Size(); err != nil || size != again.writing.end {
			t.Fatalf("%d bytes of the last write: the file has %d, %v, the log %d", kept, size, err, again.writing.end)
		}
		want := []string{"test.note", "test.note", "test.note", "test.note", "test.note"}
		switch {
		case kept == int(whole):
			want = append(want, "test.note") // written, and nobody was told
		case kept > 0:
			want = append(want, "audit.repaired")
		}
		if got := events(t, again); !slices.Equal(got, want) {
			t.Fatalf("%d bytes of the last write: %v, want %v", kept, got, want)
		}
		must(t, again.Permit(noteRecord("after")))
		must(t, again.Close())
		if _, err := verify(after, testSource()); err != nil {
			t.Fatalf("%d bytes of the last write: %v", kept, err)
		}
	}
}

// A sync that failed is never asked again: the next one might say yes although
// the bytes are gone.
func TestFailedSyncEndsTheLog(t *testing.T) {
	d := newDisk()
	l := openDisk(t, d)
	must(t, l.Permit(noteRecord("good")))
	d.setFault(failing("sync "+firstName, errIO))
	wantReason(t, l.Permit(noteRecord("lost")), holo.Unavailable, ReasonUnavailable)
	d.setFault(nil)
	writes, syncs := d.writes, d.syncs
	wantReason(t, l.Permit(noteRecord("later")), holo.Unavailable, ReasonUnavailable)
	wantReason(t, l.Report(denial("later")), holo.Unavailable, ReasonUnavailable)
	if d.writes != writes || d.syncs != syncs {
		t.Error("the log was written to after a failed sync")
	}
	if _, err := l.State(); holo.ReasonOf(err) != ReasonUnavailable {
		t.Errorf("the state does not tell: %v", err)
	}
	again := openDisk(t, d.crash(0))
	if got := events(t, again); !slices.Equal(got, []string{"test.note"}) {
		t.Errorf("after a restart: %v", got)
	}
}

// A write that fails half-way is cut off, so that the next begins at the last
// good byte.
func TestHalfAWriteIsCutOff(t *testing.T) {
	for _, partial := range []int64{0, 1, 7, 8, 9, 100, 750} {
		d := newDisk()
		l := openDisk(t, d)
		must(t, l.Permit(noteRecord("first")))
		d.partial = partial
		d.setFault(failing("write "+firstName, errIO))
		wantReason(t, l.Permit(noteRecord(strings.Repeat("lost ", 40))), holo.Unavailable, ReasonUnavailable)
		if size, err := d.files[firstName].Size(); err != nil || size != l.writing.end {
			t.Errorf("after %d bytes: the file has %d, %v, the log %d", partial, size, err, l.writing.end)
		}
		d.setFault(nil)
		must(t, l.Permit(noteRecord("second")))
		must(t, l.Close())
		s, err := verify(d, testSource())
		if err != nil || s.Records != 2 || s.Loose != 0 {
			t.Errorf("after %d bytes: %+v, %v", partial, s, err)
		}
	}
}

// Where even cutting off fails nobody knows where the log ends.
func TestWriteThatCannotBeCutOffEndsTheLog(t *testing.T) {
	d := newDisk()
	l := openDisk(t, d)
	d.partial = 20
	d.setFault(func(op string, _ int64) error {
		if op == "write "+firstName || op == "truncate "+firstName {
			return errIO
		}
		return nil
	})
	wantReason(t, l.Permit(noteRecord("lost")), holo.Unavailable, ReasonUnavailable)
	d.setFault(nil)
	wantReason(t, l.Permit(noteRecord("later")), holo.Unavailable, ReasonUnavailable)
}

// With the disk full to the last byte actions are refused and refusals are
// still recorded; when there is space again, both go on, and records tell of it.
func TestFullDiskRefusesActionsAndRecordsRefusals(t *testing.T) {
	d := newDisk()
	l := openDisk(t, d)
	must(t, l.Permit(noteRecord("before")))
	d.setFull(true)
	// What was set aside beyond the reserve is used up first.
	permitted := 0
	for l.Permit(noteRecord("until full")) == nil {
		if permitted++; permitted > reserveStep/100 {
			t.Fatal("the full disk does not fill")
		}
	}
	for range 7 {
		wantReason(t, l.Permit(noteRecord("full")), holo.Exhausted, ReasonUnavailable)
	}
	if _, err := l.State(); holo.ReasonOf(err) != ReasonUnavailable {
		t.Errorf("the state does not tell: %v", err)
	}
	const denials = 500
	for i := range denials {
		must(t, l.Report(denial(fmt.Sprint(i))))
	}
	wantReason(t, l.Permit(noteRecord("still full")), holo.Exhausted, ReasonUnavailable)
	d.setFull(false)
	must(t, l.Permit(noteRecord("after")))
	if _, err := l.State(); err != nil {
		t.Errorf("the state still tells: %v", err)
	}
	must(t, l.Close())

	again := openDisk(t, d)
	got := events(t, again)
	count := map[string]int{}
	for _, e := range got {
		count[e]++
	}
	if count["test.note"] != 2+permitted || count["test.deny"] != denials || count["audit.degraded"] != 1 || count["audit.recovered"] != 1 {
		t.Errorf("%v with %d permitted", count, permitted)
	}
	records, _, err := again.Select(t.Context(), Query{Newest: true, Event: "audit.recovered", Limit: 1})
	must(t, err)
	if want := "9 actions were refused while the disk was full"; len(records) != 1 || records[0].Resource != want {
		t.Errorf("%+v, want %q", records, want)
	}
	if _, err := verify(d, testSource()); err != nil {
		t.Error(err)
	}
}

// A file system without reservation shows that it is full only when a write
// fails; the log is whole after it, and goes on when there is space.
func TestFullDiskWithoutReservation(t *testing.T) {
	d := newDisk()
	l := openDisk(t, d)
	must(t, l.Permit(noteRecord("before")))
	d.partial = 30
	d.setFault(failing("write "+firstName, syscall.ENOSPC))
	for range 3 {
		wantReason(t, l.Permit(noteRecord("full")), holo.Exhausted, ReasonUnavailable)
	}
	wantReason(t, l.Report(denial("full")), holo.Exhausted, ReasonUnavailable)
	d.setFault(nil)
	must(t, l.Permit(noteRecord("after")))
	must(t, l.Close())
	if s, err := verify(d, testSource()); err != nil || s.Records < 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

// A restart on a full disk works: what was set aside is still set aside.
func TestRestartOnAFullDisk(t *testing.T) {
	d := newDisk()
	l := openDisk(t, d)
	must(t, l.Permit(noteRecord("before")))
	must(t, l.Close())
	d.setFull(true)
	again := openDisk(t, d)
	must(t, again.Report(noteRecord("node.start")))
	must(t, again.Close())
	if s, err := verify(d, testSource()); err != nil || s.Records < 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

// A segment that cannot be begun leaves the old one in use.
func TestFailedRollGoesOnInTheOldSegment(t *testing.T) {
	d := newDisk()
	l := openDisk(t, d)
	l.full = 2000
	for sizeOf(l) < 4 {
		must(t, l.Permit(noteRecord("filling")))
	}
	if len(d.files) != 2 {
		t.Fatalf("%d files", len(d.files))
	}
	d.setFault(func(op string, _ int64) error {
		if op != "write "+firstName && op != "sync "+firstName && op != "write "+headFile {
			return errIO
		}
		return nil
	})
	for range 5 {
		must(t, l.Permit(noteRecord("old one")))
	}
	if len(l.mu.segments) != 1 || len(d.files) != 2 {
		t.Fatalf("%d segments, %d files", len(l.mu.segments), len(d.files))
	}
	d.setFault(nil)
	must(t, l.Permit(noteRecord("new one")))
	if len(l.mu.segments) != 2 {
		t.Fatalf("%d segments", len(l.mu.segments))
	}
	must(t, l.Close())
	if s, err := verify(d, testSource()); err != nil || s.Segments != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

// A crash while a segment is begun leaves a file that is none.
func TestCrashWhileASegmentIsBegun(t *testing.T) {
	d := newDisk()
	l := openDisk(t, d)
	for range 3 {
		must(t, l.Permit(noteRecord("x")))
	}
	must(t, l.Close())
	begun, _, err := l.seal(l.writing.tree, nil)
	must(t, err)
	for _, bytes := range []int{0, 5, 40} {
		after := d.copied()
		f, err := after.create(segmentName(begun.size))
		must(t, err)
		if _, err := f.WriteAt(make([]byte, bytes), 0); err != nil {
			t.Fatal(err)
		}
		again := openDisk(t, after)
		must(t, again.Permit(noteRecord("after")))
		must(t, again.Close())
		if s, err := verify(after, testSource()); err != nil || s.Records != 4 || s.Segments != 1 {
			t.Errorf("%d bytes: %+v, %v", bytes, s, err)
		}
	}
}

// A crash while the log is begun leaves nothing that hinders the next start.
func TestCrashWhileTheLogIsBegun(t *testing.T) {
	whole := newDisk()
	must(t, openDisk(t, whole).Close())
	for _, remove := range [][]string{{headFile}, {headFile, firstName}} {
		d := whole.copied()
		for _, name := range remove {
			must(t, d.remove(name))
		}
		l := openDisk(t, d)
		must(t, l.Permit(noteRecord("x")))
		must(t, l.Close())
		if s, err := verify(d, testSource()); err != nil || s.Records != 1 {
			t.Errorf("without %v: %+v, %v", remove, s, err)
		}
	}
}
