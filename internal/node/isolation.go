package node

import (
	"context"
	"fmt"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/confine"
)

// tryIsolation starts the first worker before anybody needs one: what its
// system lacks is then in the log, and the first task does not wait.
func (n *Node) tryIsolation(ctx context.Context) {
	if _, err := n.runner.Workers(ctx); err != nil && ctx.Err() == nil {
		n.log.Warn("kernels cannot run on this node", "error", err)
	}
}

// isolation tells in the status how kernels are kept away from this node, and
// warns where something is missing.
func (n *Node) isolation(ctx context.Context, out *holov1.StatusResponse) {
	out.Isolation = &holov1.Isolation{Strict: n.config.StrictIsolation}
	s, err := n.runner.Workers(ctx)
	if err != nil {
		out.Warnings = append(out.Warnings, fmt.Sprintf("Kernels cannot run on this node: %s.", err))
		return
	}
	i := out.Isolation
	i.Level, i.Workers, i.MaxWorkers, i.WorkerBytes = string(s.Level()), uint32(s.Running), uint32(s.Max), s.WorkerBytes
	i.MachineCode = &holov1.MachineCode{
		Modules: uint32(s.Code.Entries), Bytes: uint64(s.Code.Bytes), LimitBytes: uint64(s.Code.Limit),
		Hits: s.Code.Hits, Made: s.Code.Made, Refused: s.Code.Refused,
	}
	for _, l := range s.Active() {
		i.Layers = append(i.Layers, string(l))
	}
	for _, g := range s.Missing {
		i.Missing = append(i.Missing, &holov1.IsolationGap{Layer: string(g.Layer), Why: g.Why})
	}
	if s.Level() != confine.Full {
		out.Warnings = append(out.Warnings, fmt.Sprintf("Kernels on this node are not fully isolated (level %s): missing %s.", s.Level(), s.Report))
	}
}
