package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/audit"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/node"
)

func auditCommand(a *app) *cobra.Command {
	return group("audit", "The record of who asked for what on this node", auditShow(a), auditVerify(a))
}

func auditShow(a *app) *cobra.Command {
	q := holocompute.AuditQuery{}
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the records of the node on this machine",
		Long: "Show the records of the node on this machine, the newest last. The node is believed; holo audit verify checks.\n\n" +
			"With -o json there is one record in each line.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.Last < 0 {
				return usage("--limit %d: want 0 for all, or a number of records", q.Last)
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error { return a.showAudit(cmd.Context(), c, q) })
		},
	}
	cmd.Flags().StringVar(&q.Event, "event", "", "only this event, such as array.create")
	cmd.Flags().IntVar(&q.Last, "limit", 50, "only the newest so many, at most 1000; 0: all")
	cmd.Flags().BoolVar(&q.Follow, "follow", false, "go on with records as they come")
	return cmd
}

// showAudit prints each record when it comes: there may be no end of them.
func (a *app) showAudit(ctx context.Context, c *holocompute.Cluster, q holocompute.AuditQuery) error {
	lines := json.NewEncoder(a.out)
	head := sync.OnceFunc(func() { fmt.Fprintf(a.out, auditLine, "SEQ", "TIME", "EVENT", "DECISION", "ACTOR", "RESOURCE") })
	for r, err := range c.Audit(ctx, q) {
		switch {
		case err != nil:
			return err
		case a.output == "json":
			err = lines.Encode(r)
		default:
			head() // not above an error
			_, err = fmt.Fprintf(a.out, auditLine, fmt.Sprint(r.Seq), r.Time.Format(time.DateTime), r.Event, decision(r), short(r.Actor), r.Resource)
		}
		if err != nil {
			return holo.Errorf(holo.Unavailable, "show audit log: %w", err)
		}
	}
	return nil
}

// auditLine has columns of fixed width, because lines are printed one by one.
const auditLine = "%8s  %-19s  %-22s  %-24s  %-10s  %s\n"

func decision(r holocompute.AuditRecord) string {
	switch {
	case r.Decision != "refused":
		return r.Decision
	case r.Count > 1:
		return fmt.Sprintf("refused %s, %d times", r.Reason, r.Count)
	}
	return "refused " + r.Reason
}

// auditSummary is what verify prints.
type auditSummary struct {
	Records  uint64 `json:"records"`
	Segments int    `json:"segments"`
	Head     string `json:"head"`
	Node     string `json:"node"`
	Cluster  string `json:"cluster"`
	Proven   uint64 `json:"proven"`
	Loose    int64  `json:"loose_bytes"`
}

func auditVerify(a *app) *cobra.Command {
	var nodeID string
	cmd := &cobra.Command{
		Use:   "verify [FOLDER]",
		Short: "Check a node's audit log, without the node",
		Long: "Check a node's audit log, without the node: every record, every checkpoint's signature, every client's signature. " +
			"FOLDER is a copy of the folder audit of a node; without it the log of the node in --dir is checked, whose key is then taken from its membership chain.\n\n" +
			"A folder that was put back to an older copy as a whole still verifies: compare the number of records and the head with what you noted before.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := a.verifyAudit(args, nodeID)
			if err != nil {
				return err
			}
			return a.emit("AuditSummary", s, func(w *tabwriter.Writer) {
				row(w, fmt.Sprintf("%d records, %d segments, head %s", s.Records, s.Segments, s.Head))
				row(w, fmt.Sprintf("of node %s; %d records hold a client's signature, and every one verifies", s.Node, s.Proven))
			})
		},
	}
	cmd.Flags().StringVar(&nodeID, "key", "", "public key of the node, 64 hexadecimal digits (holo status -o json)")
	return cmd
}

func (a *app) verifyAudit(args []string, nodeID string) (*auditSummary, error) {
	folder := node.AuditDir(a.dir)
	if len(args) == 1 {
		folder = args[0]
	}
	source, err := a.auditSource(folder, nodeID)
	if err != nil {
		return nil, err
	}
	s, err := audit.Verify(folder, source)
	if err != nil {
		return nil, err
	}
	return &auditSummary{
		Records: s.Records, Segments: s.Segments, Head: s.Head, Node: s.Node.Hex(), Cluster: s.Cluster.String(), Proven: s.Proven, Loose: s.Loose,
	}, nil
}

// auditSource says whose log it must be: that of the key that was given, of
// whatever cluster the log names; else that of the node in --dir.
func (a *app) auditSource(folder, nodeID string) (audit.Source, error) {
	if nodeID == "" {
		return node.AuditSource(a.dir)
	}
	id, err := holo.ParseNodeID(nodeID)
	if err != nil {
		return audit.Source{}, usage("--key: %w", err)
	}
	claim, err := audit.SourceOf(folder)
	return audit.Source{Cluster: claim.Cluster, Node: id}, err
}
