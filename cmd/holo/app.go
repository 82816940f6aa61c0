package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
)

// app is one run of the program: its streams, and the flags that every command
// has.
type app struct {
	in       *os.File
	out, err *os.File

	dir        string        // the node's folder
	config     string        // the user's keys
	socket     string        // the node's client socket
	local      bool          // a flag says that the node of this machine is meant
	far        farFlags      // which cluster on other machines is
	credential string        // file with the passphrase of protected keys
	typed      []byte        // the passphrase, once it was asked for
	tokenFile  string        // a client token; empty: none
	output     string        // table or json
	timeout    time.Duration // 0: none
	begun      bool          // a command has begun: what fails now is no longer the command line
}

// main runs one command line and gives the exit code.
func (a *app) main(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	cancel := func() {}
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if a.output != "table" && a.output != "json" {
			return holo.Errorf(holo.Invalid, "output format %q: want table or json", a.output)
		}
		if err := cmd.ValidateRequiredFlags(); err != nil {
			return err
		}
		if a.timeout > 0 {
			ctx, stop := context.WithTimeout(cmd.Context(), a.timeout)
			cancel = stop
			cmd.SetContext(ctx)
		}
		a.begun = true
		return a.places(cmd)
	}
	err := root.ExecuteContext(ctx)
	cancel()
	return a.finish(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "holo",
		Short:         "Several unlike machines as one computer that its owner can trust",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          chooseOne,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.dir, "dir", "", "folder of the node on this machine (HOLO_DIR)")
	flags.StringVar(&a.config, "config", "", "folder of your keys (HOLO_CONFIG)")
	flags.StringVar(&a.socket, "socket", "", "socket of the node on this machine (HOLO_SOCKET)")
	flags.StringVar(&a.credential, "credential", "", "file with the passphrase of protected keys (default: it is asked for)")
	flags.StringVar(&a.tokenFile, "token-file", "", "file with a client token to use, which only you can read")
	flags.StringVarP(&a.output, "output", "o", "table", "what to print: table or json")
	flags.DurationVar(&a.timeout, "timeout", 0, "give up after this long, such as 30s (default: never)")
	a.far.add(root)
	root.AddCommand(
		demoCommand(a), initCommand(a), agentCommand(a), inviteCommand(a), joinCommand(a), connectCommand(a), statusCommand(a),
		nodeCommand(a), arrayCommand(a), bufferCommand(a), kernelCommand(a), jobCommand(a), barrierCommand(a), keyCommand(a), firewallCommand(a), doctorCommand(a), clusterCommand(a), roleCommand(a), grantCommand(a), authCommand(a), auditCommand(a), tokenCommand(a), verifyCommand(a), versionCommand(a), exitHelp(),
	)
	return root
}

// group makes a command that only has commands under it.
func group(use, short string, under ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: chooseOne}
	cmd.AddCommand(under...)
	return cmd
}

// chooseOne answers a command line that names no command: the help goes to the
// error stream, because it is not what was asked for.
func chooseOne(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("there is no command %q: try %s --help", args[0], cmd.CommandPath())
	}
	cmd.SetOut(cmd.ErrOrStderr())
	if err := cmd.Help(); err != nil {
		return err
	}
	return usage("%s: choose a command", cmd.CommandPath())
}

// errUsage marks an error of the command line itself.
type errUsage struct{ error }

func (e errUsage) Unwrap() error { return e.error }

func usage(format string, args ...any) error {
	return errUsage{holo.Errorf(holo.Invalid, format, args...)}
}

// places fills in the folders and the socket: a flag comes before the
// environment, and a folder that is given says where the socket is.
func (a *app) places(cmd *cobra.Command) (err error) {
	a.local = cmd.Flags().Changed("dir") || cmd.Flags().Changed("socket")
	if a.local && a.far.address != "" {
		return usage("--address means nodes of other machines, --dir and --socket the one of this: want one of them")
	}
	if a.socket == "" && !cmd.Flags().Changed("dir") {
		a.socket = os.Getenv("HOLO_SOCKET")
	}
	if a.dir == "" {
		a.dir = os.Getenv("HOLO_DIR")
	}
	if a.config == "" {
		a.config = os.Getenv("HOLO_CONFIG")
	}
	if a.dir == "" {
		a.dir, err = identity.DefaultDataDir()
	}
	if a.config == "" && err == nil {
		a.config, err = identity.DefaultConfigDir()
	}
	if a.socket == "" {
		a.socket = filepath.Join(a.dir, holocompute.SocketName)
	}
	return err
}

// connect opens a session with the node on this machine, or on another.
func (a *app) connect(ctx context.Context) (*holocompute.Cluster, error) {
	o, err := a.options()
	if err != nil {
		return nil, err
	}
	return holocompute.Connect(ctx, o)
}

// withCluster runs f in a session.
func (a *app) withCluster(ctx context.Context, f func(*holocompute.Cluster) error) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	return errors.Join(f(c), c.Close())
}
