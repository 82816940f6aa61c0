package consensus

import (
	"bytes"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// logger is Raft's kind of logger.
type logger = hclog.Logger

// newLogger gives Raft a logger that writes to ours. Raft warns at each
// heartbeat that a dead node does not answer, which the leases report better;
// so its warnings are for whoever debugs, and only its errors are warnings.
func newLogger(to *slog.Logger) logger {
	return hclog.New(&hclog.LoggerOptions{
		Name: "raft", Level: hclog.Warn, Output: lines{to.With("component", "raft")}, DisableTime: true, JSONFormat: false,
	})
}

// lines turns each line of text into a record.
type lines struct{ to *slog.Logger }

func (l lines) Write(b []byte) (int, error) {
	text := string(bytes.TrimSpace(b))
	if bytes.HasPrefix(b, []byte("[ERROR]")) {
		l.to.Warn("raft reports an error", "text", text)
	} else {
		l.to.Debug("raft reports", "text", text)
	}
	return len(b), nil
}
