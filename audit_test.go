package holocompute_test

import (
	"testing"

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
