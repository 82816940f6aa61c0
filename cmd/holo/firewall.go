package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/firewall"
)

func firewallCommand(a *app) *cobra.Command {
	return group("firewall", "Packet filter rules for this node", firewallPrintCommand(a))
}

func firewallPrintCommand(a *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print rules that let this node talk with members of the cluster only",
		Long: "Print rules that let this node talk with members of the cluster only, over its one UDP port. Nothing is changed:\n" +
			"read them, and load them with `nft -f -`, or in a shell with --format iptables.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.status(cmd.Context())
			if err != nil {
				return err
			}
			plan, err := firewall.PlanOf(s.Listen, others(s))
			if err != nil {
				return err
			}
			rules, err := plan.Print(format)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return a.emitJSON("Firewall", map[string]string{"format": format, "rules": rules})
			}
			_, err = io.WriteString(a.out, rules)
			return err
		},
	}
	cmd.Flags().StringVar(&format, "format", "nft", "which rules: "+strings.Join(firewall.Formats, " or "))
	return cmd
}

// others are the addresses of the other nodes that are known.
func others(s *holocompute.Status) (addresses []string) {
	for _, n := range s.Nodes {
		if n.ID != s.Node && n.Address != "" {
			addresses = append(addresses, n.Address)
		}
	}
	return addresses
}
