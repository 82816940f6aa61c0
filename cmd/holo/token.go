package main

import (
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/identity"
)

func tokenCommand(a *app) *cobra.Command {
	return group("token", "Tokens: lend a client some of your rights for a while",
		tokenKeyCommand(a), tokenIssue(a), tokenNarrow(a), tokenShow(a), tokenList(a), tokenRevoke(a))
}

// options say where the cluster is: what a flag names comes first; where none
// does, the SDK looks at the environment and at what holo connect remembered.
// With them goes the token of --token-file. A token is a secret: it comes from a
// file that nobody else can read, never from a flag or the environment.
func (a *app) options() (holocompute.Options, error) {
	o := holocompute.Options{Config: a.config, Passphrase: a.passphrase, Address: a.far.address, Pin: a.far.pin}
	if a.local {
		o.Socket = a.socket
	}
	if !a.far.pinned && term.IsTerminal(int(a.in.Fd())) && term.IsTerminal(int(a.err.Fd())) {
		o.Trust = a.firstContact
	}
	if a.tokenFile == "" {
		return o, nil
	}
	var err error
	o.Token, err = identity.ReadToken(a.tokenFile)
	return o, err
}

// theToken is options for a command that needs a token.
func (a *app) theToken() (holocompute.Options, error) {
	if a.tokenFile == "" {
		return holocompute.Options{}, usage("name the token with --token-file")
	}
	return a.options()
}

// tokenFlags say what a token allows, to whom, and where it goes.
type tokenFlags struct {
	r   holocompute.TokenRequest
	out string
}

func (f *tokenFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.r.For, "for", "", "public key of the client that may use it (holo auth key, on its side)")
	cmd.Flags().StringArrayVar(&f.r.Caps, "cap", nil, "capability ACTION:RESOURCE, such as READ:flights/**; again for more")
	cmd.Flags().DurationVar(&f.r.Life, "life", 15*time.Minute, "how long it is good for, at most 1h")
	cmd.Flags().IntVar(&f.r.Delegations, "delegations", 0, "how often the client may narrow it for another, 0 to 3")
	cmd.Flags().StringVar(&f.out, "out", "", "write it to this file, for you alone (default: print it)")
	_ = cmd.MarkFlagRequired("for")
}

// emitToken prints a token, or writes it to its file.
func (a *app) emitToken(f *tokenFlags, chain string) error {
	links, err := holocompute.ShowToken(chain)
	if err != nil {
		return err
	}
	leaf := links[len(links)-1]
	if f.out == "" {
		a.note("token %s, good until %s; there, in a file of mode 0600: --token-file FILE", leaf.ID, leaf.Expires.Format(time.RFC3339))
		return a.emit("Token", map[string]string{"id": leaf.ID, "token": chain}, func(w *tabwriter.Writer) { row(w, chain) })
	}
	if err := identity.WriteToken(f.out, chain); err != nil {
		return err
	}
	return a.emit("Token", map[string]string{"id": leaf.ID, "file": f.out}, func(w *tabwriter.Writer) {
		row(w, "TOKEN", "UNTIL", "FILE")
		row(w, leaf.ID, leaf.Expires.Format(time.RFC3339), f.out)
	})
}

func tokenIssue(a *app) *cobra.Command {
	var f tokenFlags
	cmd := &cobra.Command{
		Use:   "issue --for KEY --cap CAPABILITY...",
		Short: "Make a token with which a client acts in your name, within capabilities",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				chain, err := c.IssueToken(cmd.Context(), f.r)
				if err != nil {
					return err
				}
				return a.emitToken(&f, chain)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.r.As, "as", "", "principal in whose name the client acts (default: yours)")
	_ = cmd.MarkFlagRequired("cap")
	return cmd
}

func tokenNarrow(a *app) *cobra.Command {
	var f tokenFlags
	cmd := &cobra.Command{
		Use:   "narrow --token-file FILE --for KEY",
		Short: "Pass on less of a token to another client, without asking anybody",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			o, err := a.theToken()
			if err != nil {
				return err
			}
			chain, err := holocompute.NarrowToken(o, f.r)
			if err != nil {
				return err
			}
			return a.emitToken(&f, chain)
		},
	}
	f.add(cmd)
	return cmd
}

func tokenShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show --token-file FILE",
		Short: "Show what a token claims, without asking or verifying",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			o, err := a.theToken()
			if err != nil {
				return err
			}
			links, err := holocompute.ShowToken(o.Token)
			if err != nil {
				return err
			}
			return a.emit("TokenLinks", listOf(links), func(w *tabwriter.Writer) {
				row(w, "TOKEN", "SUBJECT", "FOR", "UNTIL", "MORE", "CAPABILITIES")
				for _, l := range links {
					row(w, l.ID, short(l.Subject), short(l.Client), l.Expires.Format(time.RFC3339), l.Delegations, strings.Join(l.Caps, " "))
				}
			})
		},
	}
}

func tokenList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the tokens that were issued, and what was revoked",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				t, err := c.Tokens(cmd.Context())
				if err != nil {
					return err
				}
				return a.emit("Tokens", t, func(w *tabwriter.Writer) { tokenTable(w, t) })
			})
		},
	}
}

func tokenTable(w *tabwriter.Writer, t *holocompute.Tokens) {
	row(w, "TOKEN", "SUBJECT", "FOR", "KEY", "UNTIL")
	for _, i := range t.Issued {
		row(w, i.ID, short(i.Subject), short(i.Client), short(i.Key), i.Expires.Format(time.RFC3339))
	}
	if len(t.Revocations) == 0 {
		return
	}
	row(w, "REVOKED", "NAME", "", "", "UNTIL")
	for _, r := range t.Revocations {
		row(w, r.Kind, r.Name, "", "", r.Expires.Format(time.RFC3339))
	}
}

func tokenRevoke(a *app) *cobra.Command {
	var client, subject string
	cmd := &cobra.Command{
		Use:   "revoke [ID]",
		Short: "Revoke a token, all tokens for a client, or all in a principal's name",
		Long: "Revoke a token by its ID, all tokens for a client by its public key, or all in a principal's name that were issued until a\n" +
			"minute from now. Nodes refuse them and end sessions that they opened as soon as they know. It needs the owner's key.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			given := map[string]string{holocompute.RevokeKey: client, holocompute.RevokeSubject: subject}
			if len(args) == 1 {
				given[holocompute.RevokeToken] = args[0]
			}
			kind, name := "", ""
			for k, n := range given {
				if n != "" && kind != "" {
					return usage("revoke one: an ID, --key or --subject")
				}
				if n != "" {
					kind, name = k, n
				}
			}
			if kind == "" {
				return usage("say what to revoke: an ID, --key or --subject")
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				r, err := c.RevokeTokens(cmd.Context(), kind, name)
				if err != nil {
					return err
				}
				return a.emit("Revocation", r, func(w *tabwriter.Writer) {
					row(w, "REVOKED", "NAME")
					row(w, r.Kind, r.Name)
				})
			})
		},
	}
	cmd.Flags().StringVar(&client, "key", "", "public key of a client")
	cmd.Flags().StringVar(&subject, "subject", "", "principal")
	return cmd
}
