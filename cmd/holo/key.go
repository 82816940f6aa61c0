package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/holocompute/holocompute"
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
	// Generation counts the keys that there were, where anybody counts; 0: nobody.
	Generation int `json:"generation,omitempty"`
}

// age is in whole days.
func (k *keyRow) age() string { return fmt.Sprintf("%dd", int(time.Since(k.Created)/(24*time.Hour))) }

func (k *keyRow) counted() string {
	if k.Generation == 0 {
		return "-"
	}
	return strconv.Itoa(k.Generation)
}

func keyListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the keys of this machine's node and of yours, not what is in them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keys, err := identity.Inventory(a.dir, a.config)
			if err != nil {
				return err
			}
			var rows []keyRow
			for _, k := range keys {
				rows = append(rows, keyRow{
					Purpose: k.Purpose, Algorithm: k.Algorithm, File: k.File, Created: k.Created, Protected: k.Protected, RotateBy: k.RotateBy,
				})
			}
			rows = a.runningKeys(cmd.Context(), rows)
			return a.emit("KeyList", listOf(rows), func(w *tabwriter.Writer) {
				row(w, "PURPOSE", "ALGORITHM", "CREATED", "PROTECTED", "AGE", "GENERATION", "ROTATE BY", "FILE")
				for _, k := range rows {
					row(w, k.Purpose, k.Algorithm, k.Created.Format(time.DateOnly), yes(k.Protected), k.age(), k.counted(), k.RotateBy.Format(time.DateOnly), k.File)
				}
			})
		},
	}
}

// dataKeyServes is how long the key of pages on disk should serve, where the
// process lives for so long.
const dataKeyServes = 90 * 24 * time.Hour

// runningKeys adds what only a node that runs knows: which generation the cluster's
// key is, and the key of the pages on its disk.
func (a *app) runningKeys(ctx context.Context, rows []keyRow) []keyRow {
	if _, err := os.Lstat(a.socket); err != nil {
		return rows
	}
	list, err := a.askKeys(ctx, rows)
	if err != nil {
		a.note("keys that are in the memory of the running node are not listed: %v", err)
		return rows
	}
	return list
}

func (a *app) askKeys(ctx context.Context, rows []keyRow) ([]keyRow, error) {
	c, err := holocompute.Connect(ctx, holocompute.Options{Socket: a.socket, Config: a.config, Passphrase: a.passphrase})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	epoch, err := c.ClusterKeyEpoch(ctx)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if rows[i].File == filepath.Join(a.dir, identity.ClusterKeyFile) {
			rows[i].Generation = int(epoch)
		}
	}
	k, err := c.DataKey(ctx)
	if err == nil && k.Generation > 0 {
		rows = append(rows, keyRow{
			Purpose: "pages on this node's disk", Algorithm: "AES-256-GCM, HKDF-SHA-256", File: "-", Created: k.Created,
			RotateBy: k.Created.Add(dataKeyServes), Generation: k.Generation,
		})
	}
	return rows, err
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
