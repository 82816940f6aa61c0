package door

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
)

// Audit is where signed requests leave their records.
type Audit interface {
	// Record keeps what a caller asked for, before it is carried out: that it
	// is allowed (refusal is nil), or why it is refused. The backend counts a
	// refusal that it records. When Record returns an error the request is not
	// carried out.
	Record(ctx context.Context, c Caller, refusal error) error
}

// recorded marks a refusal that has its record, and was counted with it.
type recorded struct{ error }

func (r recorded) Unwrap() error { return r.error }

// settle leaves the one record of a signed request. What cannot be recorded is
// refused, whoever asks. Who is refused more often than its quota is recorded by
// number: nobody fills the log by asking for what they may not have.
func (g *gate) settle(ctx context.Context, c Caller, refusal error) error {
	if refusal != nil && !decided(refusal) {
		return refusal
	}
	if refusal != nil && g.quotas.take(c.Principal, classRefused, time.Now()) != nil {
		return refusal
	}
	if err := g.audit.Record(ctx, c, refusal); err != nil {
		return firstOf(refusal, err)
	}
	if refusal != nil {
		return recorded{refusal}
	}
	return nil
}

// count counts a refusal that has no record of its own. What is corrupt was
// counted where it was found.
func (g *gate) count(err error) {
	if _, ok := errors.AsType[recorded](err); ok {
		return
	}
	if kind, reason := classify(err); kind != holo.Corrupt {
		g.refused(reason)
	}
}

// decided reports whether a refusal is a decision about the request. What may
// pass (a quota, a policy that is not known yet) is none: it is recorded by
// number, so that whoever asks too often does not fill the log.
func decided(refusal error) bool {
	switch kind, _ := classify(refusal); kind {
	case holo.Unavailable, holo.Exhausted, holo.Stale, holo.Cancelled, holo.Indeterminate, holo.Internal:
		return false
	}
	return true
}

// actionOf names the right that a call needs first.
func actionOf(needs []Access) string {
	if len(needs) == 0 {
		return ""
	}
	return strings.ToLower(needs[0].Action.String())
}

// resourceOf says in a few words what a signed request is about: "array 7",
// "kernel basic".
func resourceOf(event string, m proto.Message) string {
	switch m := m.(type) {
	case interface{ GetArray() uint64 }:
		return fmt.Sprintf("array %d", m.GetArray())
	case interface{ GetJob() uint64 }:
		return fmt.Sprintf("job %d", m.GetJob())
	case interface{ GetKernel() string }:
		return "kernel " + m.GetKernel()
	case interface{ GetNode() []byte }:
		return fmt.Sprintf("node %x", m.GetNode())
	case interface{ GetNext() []byte }:
		return fmt.Sprintf("key %x", m.GetNext())
	case interface{ GetGrant() *holov1.Grant }:
		return fmt.Sprintf("grant of %s to %s", m.GetGrant().GetRole(), m.GetGrant().GetPrincipal())
	case interface{ GetInviteKey() []byte }:
		return fmt.Sprintf("invite %x", m.GetInviteKey())
	case interface{ GetName() string }:
		noun, _, _ := strings.Cut(event, ".")
		return noun + " " + m.GetName()
	}
	return ""
}
