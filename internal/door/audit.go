package door

import (
	"context"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
)

const (
	maxAuditRecords = 1000             // in one answer
	maxAuditWait    = 30 * time.Second // for a record that is not there yet
	maxEvent        = 64
)

func (s auditService) Read(ctx context.Context, _ *connect.Request[holov1.ReadAuditRequest]) (*connect.Response[holov1.ReadAuditResponse], error) {
	return reply(s.b.ReadAudit(ctx, callerOf(ctx), messageOf[*holov1.ReadAuditRequest](ctx)))
}

func checkReadAudit(m *holov1.ReadAuditRequest) error {
	switch {
	case m.GetLimit() > maxAuditRecords:
		return holo.Errorf(holo.Invalid, "read audit log: %d records, at most %d in one call", m.GetLimit(), maxAuditRecords)
	case time.Duration(m.GetWaitMs())*time.Millisecond > maxAuditWait:
		return holo.Errorf(holo.Invalid, "read audit log: a wait of %d ms, at most %s", m.GetWaitMs(), maxAuditWait)
	case len(m.GetEvent()) > maxEvent || strings.ContainsFunc(m.GetEvent(), func(r rune) bool { return !alphanumeric(r) && r != '.' && r != '_' }):
		return holo.Errorf(holo.Invalid, "read audit log: an event is letters, digits, '.' and '_', such as array.create")
	}
	return nil
}
