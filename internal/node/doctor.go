package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/protocol"
	"github.com/holocompute/holocompute/internal/transport"
)

// The steps of a diagnosis, in their order. Each needs those before it.
const (
	StepDisk    = "disk"    // folders and key files are there for this user alone
	StepInvite  = "invite"  // it is whole and has not expired
	StepAddress = "address" // the host is known, and there is a way there
	StepPort    = "port"    // a node answers on the UDP port
	StepVersion = "version" // it speaks this protocol
	StepPin     = "pin"     // it is a member of the very cluster, by the owner's word
	StepClock   = "clock"   // both machines have the same time, nearly
	StepAdmit   = "admit"   // it knows the invite
)

// Finding is what one step found. Try says what to do about a failure.
type Finding struct {
	Step   string
	At     string // the address, where the step is about one
	OK     bool
	Detail string
	Try    string
	Err    error // nil where OK
}

// Diagnosis says what to look at: this machine's files, and each target, which
// is an invite or an address.
type Diagnosis struct {
	Dir, ConfigDir string
	Targets        []string
	Policy         Policy
}

// Diagnose goes through the steps. It changes nothing, here or there: an invite
// that it looks at is not used.
func Diagnose(ctx context.Context, d Diagnosis) []Finding {
	c := &checkup{Diagnosis: d}
	c.disk()
	for _, target := range d.Targets {
		if looksLikeAddress(target) {
			c.reach(ctx, target, nil)
		} else {
			c.withInvite(ctx, target)
		}
	}
	return c.found
}

func looksLikeAddress(s string) bool {
	_, _, err := net.SplitHostPort(s)
	return err == nil
}

// checkup is one diagnosis under way.
type checkup struct {
	Diagnosis
	found []Finding
}

// note keeps a finding and reports whether to go on.
func (c *checkup) note(step, at, detail, try string, err error) bool {
	f := Finding{Step: step, At: at, OK: err == nil, Detail: detail, Err: err}
	if err != nil {
		f.Detail, f.Try = err.Error(), try
	}
	c.found = append(c.found, f)
	return f.OK
}

func (c *checkup) disk() {
	var errs []error
	for _, dir := range []string{c.Dir, c.ConfigDir, filepath.Join(c.Dir, raftDir)} {
		if err := identity.CheckDir(dir); err != nil && holo.KindOf(err) != holo.NotFound {
			errs = append(errs, err)
		}
	}
	keys, err := identity.Inventory(c.Dir, c.ConfigDir)
	if _, settings := os.Stat(filepath.Join(c.Dir, identity.ClusterFile)); settings == nil && err == nil {
		var known *identity.Cluster
		if known, err = identity.ReadCluster(filepath.Join(c.Dir, identity.ClusterFile)); err == nil {
			defer c.spoken(known.Protocol)
		}
	}
	err = errors.Join(append(errs, err)...)
	c.note(StepDisk, "", fmt.Sprintf("%d keys, for this user alone", len(keys)), "the command at the end of the line", err)
}

// spoken looks whether this program is not too old for the cluster that this
// machine's node is a member of.
func (c *checkup) spoken(at protocol.Version) {
	detail := fmt.Sprintf("the cluster is at version %d of the protocol, this program speaks %s", max(at, protocol.First), protocol.Spoken())
	c.note(StepVersion, "", detail, "the release of holo that the other nodes run", protocol.CheckKnown(at))
}

func (c *checkup) withInvite(ctx context.Context, text string) {
	const again = "holo invite on a machine of the cluster, and paste all of it"
	invite, err := identity.ParseInvite(text)
	if err == nil && time.Now().After(invite.Expires) {
		err = holo.Refuse(holo.Denied, "invite_expired", "the invite expired %s ago", time.Since(invite.Expires).Round(time.Second))
	}
	if !c.note(StepInvite, "", "good for another "+time.Until(invite.Expires).Round(time.Second).String(), again, err) {
		return
	}
	for _, address := range invite.Addresses {
		c.reach(ctx, address, &invite)
	}
}

// reach goes from the name of a host to a session with a node, as far as it
// can get.
func (c *checkup) reach(ctx context.Context, address string, invite *identity.Invite) {
	from := transport.SourceFor(ctx, address)
	var err error
	if !from.IsValid() {
		err = holo.Refuse(holo.Unavailable, transport.ReasonNoAddress, "%s: the name is not known, or there is no way there", address)
	}
	if !c.note(StepAddress, address, "reached from "+from.String(), "another address of that machine: holo status there shows it", err) {
		return
	}
	err = transport.Probe(ctx, address)
	if !c.note(StepPort, address, "a node answers over UDP", portAdvice(address), err) {
		return
	}
	c.shake(ctx, address, invite)
}

func portAdvice(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return fmt.Sprintf("there: holo status (does it run, and listen on this address?), --allow, and a firewall that lets UDP port %s through", port)
}

// shake tries a handshake: with an invite as a joiner that goes no further, and
// without one as a stranger, who learns that a node is there from being refused.
func (c *checkup) shake(ctx context.Context, address string, invite *identity.Invite) {
	known := invite != nil
	if !known {
		invite = &identity.Invite{Cluster: holo.ClusterID{1}, Seed: key.RandomOf(identity.SeedSize)}
	}
	j := &joiner{invite: *invite, config: JoinConfig{Policy: c.Policy}, log: quiet}
	var err error
	if j.static, err = handshake.NewStatic(key.GenerateSigner(), invite.Cluster, "doctor", unixNow()); err == nil {
		var m *meeting
		if m, err = j.meetAt(ctx, address, 0); err == nil {
			m.close()
		}
	}
	c.judge(address, known, err)
}

// judge says which steps a handshake got through. A peer that refuses does not
// say why, so what is left is told together.
func (c *checkup) judge(address string, known bool, err error) {
	stranger := !known && holo.ReasonOf(err) == transport.ReasonRefused
	var version, pin, clock, admit error
	switch {
	case err == nil || stranger:
	case errors.Is(err, handshake.ErrClock):
		clock = err
	case holo.ReasonOf(err) == transport.ReasonRefused:
		admit = err
	case slices.Contains([]string{transport.ReasonVersion, handshake.ReasonVersion, handshake.ReasonSuiteRefused}, holo.ReasonOf(err)) || holo.KindOf(err) == holo.Unavailable:
		version = err
	default:
		pin = err
	}
	c.note(StepVersion, address, "it speaks this protocol", "holo version on both machines, upgrade the one that speaks less, and the same --post-quantum and --cipher", version)
	if version != nil || !known {
		return
	}
	if admit == nil {
		if clock == nil {
			c.note(StepPin, address, "it is a member of the cluster of the invite", "holo invite again: what answers there is not of the cluster that the invite names", pin)
		}
		if pin == nil {
			c.note(StepClock, address, "the clocks agree", "set the clock of this machine or of that one (timedatectl)", clock)
		}
	}
	if pin == nil && clock == nil {
		c.note(StepAdmit, address, "it knows the invite", "holo invite again: it is used up, expired or of another cluster; or set this machine's clock, if it is more than 5 minutes ahead", admit)
	}
}
