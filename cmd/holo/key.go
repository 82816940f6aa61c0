package main

import (
	"bytes"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
)

func keyCommand(a *app) *cobra.Command {
	return group("key", "The keys on this machine", keyListCommand(a), keyProtectCommand(a), keyUnprotectCommand(a), keyRotateCommand(a), keyDataCommand(a))
}

// keyRow is a key as it is listed.
type keyRow struct {
	Purpose   string    `json:"purpose"`
	Algorithm string    `json:"algorithm"`
	File      string    `json:"file"`
	Created   time.Time `json:"created"`
	Protected bool      `json:"protected"`
	RotateBy  time.Time `json:"rotate_by"`
}

func keyListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the keys of this machine's node and of yours, not what is in them",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			keys, err := identity.Inventory(a.dir, a.config)
			if err != nil {
				return err
			}
			var rows []keyRow
			for _, k := range keys {
				rows = append(rows, keyRow(k))
			}
			return a.emit("KeyList", listOf(rows), func(w *tabwriter.Writer) {
				row(w, "PURPOSE", "ALGORITHM", "CREATED", "PROTECTED", "ROTATE BY", "FILE")
				for _, k := range rows {
					row(w, k.Purpose, k.Algorithm, k.Created.Format(time.DateOnly), yes(k.Protected), k.RotateBy.Format(time.DateOnly), k.File)
				}
			})
		},
	}
}

const whoseKeys = "owner, user or node"

// keyFiles are the files that a word of the command line stands for. A node's
// identity and what it shares with the cluster are useful only together.
func (a *app) keyFiles(whose string) ([]string, error) {
	switch whose {
	case "owner":
		return []string{filepath.Join(a.config, identity.OwnerKeyFile)}, nil
	case "user":
		return []string{filepath.Join(a.config, identity.UserKeyFile)}, nil
	case "node":
		return []string{filepath.Join(a.dir, identity.NodeKeyFile), filepath.Join(a.dir, identity.ClusterKeyFile)}, nil
	}
	return nil, usage("keys %q: want %s", whose, whoseKeys)
}

func keyProtectCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "protect owner|user|node",
		Short: "Encrypt keys on disk under a passphrase",
		Long: "Encrypt keys on disk under a passphrase, which is read from --credential FILE or asked for. From then on every command\n" +
			"that uses the key needs it, the agent too. Without the passphrase the key is lost.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.eachKeyFile(args[0], identity.Keys{Ask: a.newPassphrase}, identity.Keys.Protect, "protected")
		},
	}
}

func keyUnprotectCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "unprotect owner|user|node",
		Short: "Write keys to disk in the plain, as they were made",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.eachKeyFile(args[0], a.keys(), identity.Keys.Unprotect, "plain")
		},
	}
}

// eachKeyFile changes files one by one. Those that were changed already by an
// attempt which was cut short are no obstacle to the others.
func (a *app) eachKeyFile(whose string, keys identity.Keys, change func(identity.Keys, string) error, now string) error {
	files, err := a.keyFiles(whose)
	if err != nil {
		return err
	}
	changed := 0
	for _, path := range files {
		already := change(keys, path)
		if already != nil && holo.KindOf(already) != holo.Conflict {
			return already
		}
		if already == nil {
			changed++
			a.note("%s: %s", now, path)
		}
		err = already
	}
	if changed > 0 {
		return nil
	}
	return err
}

// keys reads key files as this command line says.
func (a *app) keys() identity.Keys { return identity.Keys{Ask: a.passphrase} }

// passphrase is what --credential holds, or else what is typed, once.
func (a *app) passphrase(path string) ([]byte, error) {
	switch {
	case a.credential != "":
		return identity.ReadCredential(a.credential)
	case a.typed != nil:
		return bytes.Clone(a.typed), nil
	case !term.IsTerminal(int(a.in.Fd())):
		return nil, holo.Refuse(holo.Denied, identity.ReasonProtected, "read %s: it is protected by a passphrase, and nobody can be asked for it here", path)
	}
	typed, err := a.ask("Passphrase of " + path + ": ")
	a.typed = bytes.Clone(typed)
	return typed, err
}

// newPassphrase asks twice, because a slip would lose the key.
func (a *app) newPassphrase(path string) ([]byte, error) {
	asked := a.typed != nil || a.credential != ""
	first, err := a.passphrase(path)
	if err != nil || asked {
		return first, err
	}
	again, err := a.ask("Again: ")
	defer clear(again)
	if err == nil && !bytes.Equal(first, again) {
		err = usage("the passphrases differ: nothing was changed")
	}
	return first, err
}

func (a *app) ask(what string) ([]byte, error) {
	a.note("%s", what)
	typed, err := term.ReadPassword(int(a.in.Fd()))
	if err != nil {
		return nil, holo.Errorf(holo.Internal, "read passphrase: %w", err)
	}
	return typed, nil
}
