package holocompute_test

import (
	"testing"
	"time"

	"github.com/holocompute/holocompute"
)

// The log says who asked for what, allowed and refused, with the client's
// signature; who has no right to it is refused.
func TestAuditSaysWhoAskedForWhat(t *testing.T) {
	owner, auditor := connect(t), someone(t)
	a := array(t, owner, "audited")
	if _, err := holocompute.Create[int8](t.Context(), auditor, "not-mine", 10, holocompute.ArrayOptions{}); err == nil {
		t.Fatal("an auditor makes arrays")
	}
	var newest []holocompute.AuditRecord
	for r, err := range auditor.Audit(t.Context(), holocompute.AuditQuery{Event: "array.create", Last: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		newest = append(newest, r)
	}
	if len(newest) != 2 {
		t.Fatalf("%d records, want 2", len(newest))
	}
	made, refused := newest[0], newest[1]
	if made.Decision != "allowed" || made.Resource != "array audited" || made.Action != "allocate" || made.Proof == nil || made.Proof.Procedure != "holo.v1.ArrayService/Create" {
		t.Errorf("the array %s left %+v", a.Info().Name, made)
	}
	if refused.Decision != "refused" || refused.Reason != "not_granted" || refused.Resource != "array not-mine" || refused.Actor == made.Actor || refused.Proof == nil {
		t.Errorf("the refused one left %+v", refused)
	}
	for _, err := range owner.Audit(t.Context(), holocompute.AuditQuery{}) { // user.key has the role user
		wantNotGranted(t, "reading the log", err)
	}
}

// An array beyond what the nodes offer is refused with the figures, and the log hears
// of it by number: who asks again and again does not fill it.
func TestArrayBeyondTheQuotaIsOnTheRecord(t *testing.T) {
	owner, auditor := connect(t), someone(t)
	const asked = 20
	for range asked {
		_, err := holocompute.Create[int64](t.Context(), owner, "beyond", 1<<30, holocompute.ArrayOptions{})
		wantKind(t, err, holocompute.Exhausted, "8192 MiB")
	}
	records := 0
	for until := time.Now().Add(time.Minute); records == 0 && time.Now().Before(until); {
		for r, err := range auditor.Audit(t.Context(), holocompute.AuditQuery{Event: "quota.denied"}) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Reason != "quota" || r.Decision != "refused" {
				t.Errorf("on the record is %+v", r)
			}
			records++
		}
	}
	if records == 0 || records > asked/4 {
		t.Errorf("%d refusals left %d records", asked, records)
	}
}
