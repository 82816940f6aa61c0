package main

import (
	"context"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/node"
)

// stepAgent is the step that the door decides: whether the node of this machine
// answers, and is protected as it should be.
const stepAgent = "agent"

// findingRow is a finding as it is printed.
type findingRow struct {
	Step   string `json:"step"`
	At     string `json:"at,omitempty"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Try    string `json:"try,omitempty"`
}

func doctorCommand(a *app) *cobra.Command {
	var policy node.Policy
	cmd := &cobra.Command{
		Use:   "doctor [ADDRESS|INVITE]",
		Short: "Find out which step does not work, and what to do about it",
		Long: "Find out which step does not work, and what to do about it: the files and the node of this machine, and the way to\n" +
			"another one: its address, its UDP port, its version; with an invite also whose it is, the clocks and the invite itself,\n" +
			"which is not used up. Without an argument the other nodes of the cluster are tried. With - the argument is read from\n" +
			"standard input.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			targets, err := a.targets(args)
			if err != nil {
				return err
			}
			findings, others := a.agentFindings(cmd.Context(), len(targets) > 0)
			d := node.Diagnosis{Dir: a.dir, ConfigDir: a.config, Targets: append(targets, others...), Policy: policy}
			return a.emitFindings(append(findings, node.Diagnose(cmd.Context(), d)...))
		},
	}
	policyFlags(cmd, &policy)
	return cmd
}

func (a *app) targets(args []string) ([]string, error) {
	if len(args) == 0 {
		return nil, nil
	}
	text, err := a.pasted(args[0])
	return []string{strings.TrimSpace(text)}, err
}

// agentFindings asks the node of this machine, and gives the addresses of the
// others. Who looks at the way to another machine may have no node yet.
func (a *app) agentFindings(ctx context.Context, elsewhere bool) (found []node.Finding, addresses []string) {
	s, err := a.status(ctx)
	switch {
	case err == nil:
		err = belowPolicy(s)
	case elsewhere && holo.ReasonOf(err) == "no_node" || elsewhere && holo.KindOf(err) == holo.NotFound:
		return nil, nil
	}
	f := node.Finding{Step: stepAgent, OK: err == nil, Detail: "the node of this machine answers", Err: err}
	if err != nil {
		f.Detail, f.Try = err.Error(), hints[holo.ReasonOf(err)]
	}
	if s != nil && !elsewhere {
		addresses = others(s)
	}
	return []node.Finding{f}, addresses
}

// emitFindings prints what was found. Its error is the first failure.
func (a *app) emitFindings(findings []node.Finding) error {
	var rows []findingRow
	var failed error
	for _, f := range findings {
		rows = append(rows, findingRow{Step: f.Step, At: f.At, OK: f.OK, Detail: f.Detail, Try: f.Try})
		if f.Err != nil && failed == nil {
			failed = holo.Errorf(holo.KindOf(f.Err), "doctor: step %s fails: %w", f.Step, f.Err)
		}
	}
	err := a.emit("Diagnosis", listOf(rows), func(w *tabwriter.Writer) {
		row(w, "STEP", "AT", "", "")
		for _, r := range rows {
			word := "ok"
			if !r.OK {
				word = "FAILS"
			}
			row(w, r.Step, r.At, word, r.Detail)
			if r.Try != "" {
				row(w, "", "", "try", r.Try)
			}
		}
	})
	if err != nil {
		return err
	}
	return failed
}
