package main

import (
	"context"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/node"
)

func keyRotateCommand(a *app) *cobra.Command {
	return group("rotate", "Replace keys while they are used", keyRotateUser(a), keyRotateOwner(a), keyRotateNode(a), keyRotateData(a))
}

func keyRotateUser(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "user",
		Short: "Replace your key, in every cluster that knows it",
		Long: "Replace your key: a new one takes its place in the cluster of this machine's node and in all that are pinned, each of\n" +
			"which must answer. What is granted to you, and your arrays, kernels and jobs, become the new key's. The old key, and\n" +
			"every token that was bound to it or issued for it, is refused by all nodes within seconds. A command that broke off\n" +
			"is repeated: until then both keys lie in the configuration folder.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.rotate(cmd.Context(), "UserRotation", holocompute.RotateUserKey)
		},
	}
}

func keyRotateOwner(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "owner",
		Short: "Replace the owner's key, in every cluster that it owns",
		Long: "Replace the owner's key: a new one takes its place in the cluster of this machine's node and in all that are pinned,\n" +
			"each of which must answer. The old key signs for the new one, and every node verifies that for itself; from then on\n" +
			"nothing that the old key signs is accepted, whoever holds it. Clients that know the old key follow it to the new one.\n" +
			"The cluster's fingerprint is another afterwards. Invites that nobody has used yet are void: make new ones. Whoever had\n" +
			"the old key before may have signed with it: look through holo node list, holo grant list and holo token key list.\n" +
			"A command that broke off is repeated: until then both keys lie in the configuration folder.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.rotate(cmd.Context(), "OwnerRotation", holocompute.RotateOwnerKey)
		},
	}
}

func (a *app) rotate(ctx context.Context, kind string, do func(context.Context, holocompute.Options) (*holocompute.KeyRotation, error)) error {
	o, err := a.options()
	if err != nil {
		return err
	}
	if o.Socket == "" {
		o.Socket = a.socket
	}
	r, err := do(ctx, o)
	if err != nil {
		return err
	}
	return a.emit(kind, r, func(w *tabwriter.Writer) {
		row(w, "CLUSTER AT", "KEY", "OUTCOME")
		for _, p := range r.Places {
			row(w, p.Where, short(r.New), p.Outcome)
		}
	})
}

func keyRotateNode(a *app) *cobra.Command {
	var policy node.Policy
	var logLevel string
	cmd := &cobra.Command{
		Use:   "node INVITE",
		Short: "Replace the key of this machine's node, which the owner has drained and removed",
		Long: "Replace the key of this machine's node. A node is known by its key, so one member takes the place of another, and the\n" +
			"owner says so:\n\n" +
			"    holo node drain NAME      at that node: everything it holds goes to the others\n" +
			"    holo node remove NAME     by the owner: the old key is refused, and the agent ends\n" +
			"    holo invite               by the owner\n" +
			"    holo key rotate node -    on this machine, with the invite on standard input\n" +
			"    holo agent\n\n" +
			"Nothing is lost, and no call of anybody's fails. The node keeps its name and settings. Its old keys are removed from\n" +
			"this machine; its old audit log stays in the folder DIR.former-KEY. A command that broke off is repeated.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			log, err := a.logger(logLevel)
			if err != nil {
				return err
			}
			invite, err := a.pasted(args[0])
			if err != nil {
				return err
			}
			c, err := node.NewKey(cmd.Context(), node.NewKeyConfig{
				Dir: a.dir, ConfigDir: a.config, Invite: invite, Policy: policy, Keys: a.keys(), Logger: log,
				Waiting: func(have, need int) {
					a.note("holo: waiting for votes: %d of %d; there: holo node approve", have, need)
				},
			})
			if err != nil {
				return err
			}
			a.note("next: holo agent")
			return a.emitBelonging(c)
		},
	}
	cmd.Flags().StringVar(&logLevel, "log", "warn", "what to log on the error stream: debug, info, warn or error")
	policyFlags(cmd, &policy)
	return cmd
}

func keyRotateData(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "data",
		Short: "Replace the key that a node seals the pages on its disk under",
		Long: "Replace the key that a node with --spill seals the pages on its disk under. It is asked of the node itself (--dir,\n" +
			"--address), and takes the right KEY_ROTATE or the owner's key. Pages that lie under the key before are sealed anew in\n" +
			"the background; that key is wiped when the last of them is. `holo key data` shows how far that is.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				k, err := c.RotateDataKey(cmd.Context())
				if err != nil {
					return err
				}
				return a.emitDataKey(k)
			})
		},
	}
}

func keyDataCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "data",
		Short: "Show the key that a running node seals the pages on its disk under, not what is in it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				k, err := c.DataKey(cmd.Context())
				if err != nil {
					return err
				}
				return a.emitDataKey(k)
			})
		},
	}
}

func (a *app) emitDataKey(k *holocompute.DataKey) error {
	return a.emit("DataKey", k, func(w *tabwriter.Writer) {
		row(w, "GENERATION", "CREATED", "OLDER KEYS", "PAGES UNDER THEM")
		created := "-"
		if k.Generation > 0 {
			created = k.Created.Format(time.RFC3339)
		}
		row(w, k.Generation, created, k.Older, k.Records)
	})
}
