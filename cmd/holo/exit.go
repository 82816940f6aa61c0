package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute/internal/holo"
)

// The exit codes. Scripts rely on them: `holo help exit-codes` prints them, and
// they never change their meaning.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitDenied      = 4
	exitConflict    = 5
	exitUnreachable = 6
	exitQuota       = 7
	exitIntegrity   = 8
	exitTrapped     = 9
	exitUnprotected = 10
	exitInterrupted = 130
)

var exitMeanings = []struct {
	code  int
	means string
}{
	{exitOK, "done"},
	{exitFailed, "failed for another reason"},
	{exitUsage, "the command line or the input is malformed"},
	{exitNotFound, "what was named does not exist"},
	{exitDenied, "not allowed"},
	{exitConflict, "the name is taken, or somebody else changed it first"},
	{exitUnreachable, "no node answers, too few copies answer, or the time is over"},
	{exitQuota, "a quota or the memory is used up"},
	{exitIntegrity, "data is lost, damaged or wrongly signed"},
	{exitTrapped, "a kernel failed, and would fail again"},
	{exitUnprotected, "holo status: a protection that should hold does not"},
	{exitInterrupted, "interrupted or cancelled"},
}

// exitHelp is a help topic.
func exitHelp() *cobra.Command {
	var long strings.Builder
	long.WriteString("Every command ends with one of these codes:\n")
	for _, m := range exitMeanings {
		fmt.Fprintf(&long, "\n  %3d  %s", m.code, m.means)
	}
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: long.String()}
}

// kindCodes is the one table from the kind of an error to the exit code.
var kindCodes = map[holo.Kind]int{
	holo.Internal:      exitFailed,
	holo.Invalid:       exitUsage,
	holo.NotFound:      exitNotFound,
	holo.Exists:        exitConflict,
	holo.Denied:        exitDenied,
	holo.Stale:         exitConflict,
	holo.Conflict:      exitConflict,
	holo.Unavailable:   exitUnreachable,
	holo.Indeterminate: exitUnreachable,
	holo.DataLost:      exitIntegrity,
	holo.Exhausted:     exitQuota,
	holo.Corrupt:       exitIntegrity,
	holo.Cancelled:     exitInterrupted,
	holo.KernelTrapped: exitTrapped,
}

// exitOf gives the exit code of an error. A deadline that passed is a timeout,
// not an interruption.
func (a *app) exitOf(err error) int {
	var u errUsage
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &u) || !a.begun:
		return exitUsage
	case errors.Is(err, errUnprotected):
		return exitUnprotected
	case errors.Is(err, context.DeadlineExceeded):
		return exitUnreachable
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return kindCodes[holo.KindOf(err)]
}

// hints says what to try next, by the reason or else by the kind.
var hints = map[string]string{
	"no_node":           "holo agent, which runs the node; or name another one with --dir or --socket",
	"unknown_principal": "holo grant add KEY ROLE by the cluster's owner; or --config with the folder of a user that something is granted to; from another machine holo connect, with an invite of holo invite --client",
	"unknown_cluster":   "--pin with the fingerprint that holo cluster pin show prints on a machine of the cluster, or holo cluster pin import, or a terminal",
	"pin_mismatch":      "nothing, until you know why; then holo cluster pin remove",
	"clients_off":       "holo agent --clients on this machine, or holo invite --client on one that lets clients in",
	"refused_by_peer":   "holo agent --clients on that machine, or the address of another",
	"unreachable":       "holo connect with the address of a node that runs",
	"other_key":         "the same on a machine that is a node: over a link only the key of --config is heard",
	"not_drained":       "holo node drain NAME, and wait until it is drained; holo node evict where it does not run any more",
	"draining":          "holo node list, for a node that takes work; holo node undrain NAME",
	"not_granted":       "holo auth explain ACTION NAME, which says what is missing",
	"grant_too_wide":    "holo auth whoami, which shows how far your own rights go; or the owner's key in --config",
	"policy_stale":      "holo status: this node is cut off from the others",
	"not_released":      "an analyst's grant with --release, or a map whose output inherits who may read it",
	"not_discovered":    "holo join INVITE --address HOST:PORT, with an address that holo status shows on a machine of the cluster; holo doctor INVITE says more",
	"protected":         "--credential with the file that holds the passphrase",
	"wrong_passphrase":  "--credential with the file that holds the passphrase it was protected with",
	"under_replicated":  "holo status, which says which copies are missing",
	"no_leader":         "holo status here and on other machines: more than half of the voters must run",
	"audit_unavailable": "holo status, which says why; then free disk space or restart the node",
	"audit_damaged":     "holo audit verify, and keep a copy of the folder: it is evidence",
	"out_of_gas":        "holo job run --gas with a larger budget per task",
	"quota":             "holo status, which shows the memory of each node; fewer --copies need less",
	"bad_invite":        "holo invite on a machine of the cluster, and paste all of it",
	"invite_refused":    "holo invite on a machine of the cluster: each invite is good for one machine, until it expires",
	"invite_bound":      "holo invite on a machine of the cluster: each invite is good for one machine",
	"invite_superseded": "holo invite on a machine of the cluster: invites made before the owner's key was replaced are void",
	"former_owner":      "the same again in some seconds, or with --address of another node; if it stays so, holo cluster pin show there and here",
	"not_the_owner":     "--config with the folder of the owner's key of now; holo cluster pin show on a node's machine tells which that is",
	"invite_expired":    "holo invite on a machine of the cluster",
	"version_skew":      "holo version on both machines, and upgrade the one that speaks less",
	"clock_skew":        "date on both machines: one of the clocks is wrong",
	"pending":           "holo node approve on machines of the cluster; then the same command here again",
	"data_loss":         "holo node evict --lose-data, or export those arrays before",
	"name_taken":        "--name with a name that no node of the cluster has",
	"evicted":           "holo join with a new invite and another --dir, if the owner lets this machine in again",
	"token_refused":     "holo token show --token-file FILE, which says until when it is good; else ask for another one",
	"token_expired":     "ask for another one: holo token issue, on the side of whom it is from",
	"token_stolen":      "--config with the folder of the key that it was made for (holo auth key)",
	"token_scope":       "holo token show --token-file FILE, which says what it covers",
	"no_token_key":      "holo token key create --activate, on the owner's machine",
	"not_isolated":      "a system with what is missing, or holo agent without --isolation strict",
	"array_not_open":    "another array: a sealed one never changes",
}

var kindHints = map[holo.Kind]string{
	holo.Exhausted: "holo status, which shows the memory of each node",
	holo.DataLost:  "import the data again",
}

// finish prints the error, if there is one, as "holo: what: why", and gives the
// exit code. Errors repeat names that others chose, of files, of columns and on
// other machines: nothing in them reaches the terminal but characters.
func (a *app) finish(err error) int {
	code := a.exitOf(err)
	if err == nil {
		return code
	}
	text := strings.ReplaceAll(err.Error(), "\n", "; ") // joined errors, on one line
	fmt.Fprintf(a.err, "holo: %s\n", holo.Plain(text))
	hint := hints[holo.ReasonOf(err)]
	if hint == "" {
		hint = kindHints[holo.KindOf(err)]
	}
	if code == exitUsage && !a.begun {
		hint = "holo --help"
	}
	if hint != "" {
		fmt.Fprintf(a.err, "  try: %s\n", hint)
	}
	return code
}
