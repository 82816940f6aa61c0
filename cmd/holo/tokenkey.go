package main

import (
	"context"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
)

func tokenKeyCommand(a *app) *cobra.Command {
	return group("key", "Keys that tokens are signed with: they lie in your configuration folder, never on a node",
		tokenKeyCreate(a), tokenKeyList(a),
		tokenKeyChange(a, "activate", "Sign tokens with this key from now on; the one before verifies what it has signed", holocompute.TokenKeyActive),
		tokenKeyChange(a, "retire", "Sign no more tokens with this key; what it has signed stays good until it expires", holocompute.TokenKeyRetired),
		tokenKeyChange(a, "revoke", "Refuse all tokens of this key, and end sessions that they opened", holocompute.TokenKeyRevoked))
}

func tokenKeyCreate(a *app) *cobra.Command {
	var activate bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a token key and register it",
		Long: "Make a token key in the configuration folder and register it. It needs the owner's key. Nodes learn the key within seconds;\n" +
			"then activate it. With --activate that happens at once, which is right for the first key: there is no token to lose yet.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				k, err := c.CreateTokenKey(cmd.Context())
				if err == nil && activate {
					k, err = c.ChangeTokenKey(cmd.Context(), k.ID, holocompute.TokenKeyActive)
				}
				if err != nil {
					return err
				}
				return a.emitTokenKeys("TokenKey", k, []holocompute.TokenKey{*k})
			})
		},
	}
	cmd.Flags().BoolVar(&activate, "activate", false, "sign with it at once")
	return cmd
}

func tokenKeyList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the token keys",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				t, err := c.Tokens(cmd.Context())
				if err != nil {
					return err
				}
				return a.emitTokenKeys("TokenKeys", listOf(t.Keys), t.Keys)
			})
		},
	}
}

func tokenKeyChange(a *app, use, about, state string) *cobra.Command {
	return &cobra.Command{
		Use:   use + " KEY",
		Short: about,
		Long:  about + ".\n\nKEY is its ID, or the beginning of it. It needs the owner's key.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				return a.changeTokenKey(cmd.Context(), c, args[0], state)
			})
		},
	}
}

func (a *app) changeTokenKey(ctx context.Context, c *holocompute.Cluster, id, state string) error {
	k, err := c.ChangeTokenKey(ctx, id, state)
	if err != nil {
		return err
	}
	return a.emitTokenKeys("TokenKey", k, []holocompute.TokenKey{*k})
}

func (a *app) emitTokenKeys(kind string, value any, keys []holocompute.TokenKey) error {
	return a.emit(kind, value, func(w *tabwriter.Writer) {
		row(w, "KEY", "STATE", "REGISTERED", "HERE")
		for _, k := range keys {
			row(w, k.ID, k.State, k.Registered.Format(time.RFC3339), yes(k.Here))
		}
	})
}
