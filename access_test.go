package holocompute_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/kernels"
)

// someone is a client with a key of its own and the grants that the owner gives
// it, at the node of these tests.
func someone(t *testing.T, grants ...holocompute.Grant) *holocompute.Cluster {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config")
	public, err := holocompute.UserKey(holocompute.Options{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	mine := connect(t)
	if len(grants) == 0 {
		grants = []holocompute.Grant{{Role: "security"}} // opens no data
	}
	for _, g := range grants {
		g.Principal = public
		if _, err := mine.AddGrant(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	c, err := holocompute.Connect(t.Context(), holocompute.Options{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func wantNotGranted(t *testing.T, what string, err error) {
	t.Helper()
	if holocompute.KindOf(err) != holocompute.Denied || holocompute.ReasonOf(err) != "not_granted" {
		t.Errorf("%s: %v (%s), want it denied", what, err, holocompute.ReasonOf(err))
	}
}

func wantAllowed(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func array(t *testing.T, c *holocompute.Cluster, name string) *holocompute.Raw {
	t.Helper()
	a, err := holocompute.Create[int32](t.Context(), c, name, 1000, holocompute.ArrayOptions{Extent: 16384})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Fill(t.Context(), 0, 1000, 3); err != nil {
		t.Fatal(err)
	}
	return a.Raw()
}

// as opens an array by somebody's session, through what OBSERVE lets see.
func as(t *testing.T, c *holocompute.Cluster, name string) *holocompute.Raw {
	t.Helper()
	a, err := c.OpenRaw(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func readOne(t *testing.T, a *holocompute.Raw) error {
	return a.ReadBytes(t.Context(), 0, make([]byte, 4))
}

func TestGrantIsLimitedToWhatLiesUnderItsName(t *testing.T) {
	mine := connect(t)
	array(t, mine, "scope/in/a")
	array(t, mine, "scope/inner")
	c := someone(t, holocompute.Grant{Role: "reader", Scope: holocompute.Scope{Under: "scope/in"}})
	wantAllowed(t, "read scope/in/a", readOne(t, as(t, c, "scope/in/a")))
	wantNotGranted(t, "write scope/in/a", as(t, c, "scope/in/a").Fill(t.Context(), 0, 1, make([]byte, 4)))
	_, err := c.OpenRaw(t.Context(), "scope/inner")
	wantNotGranted(t, "see scope/inner", err)
	_, err = c.OpenRaw(t.Context(), "scope/that-is-not-there")
	wantNotGranted(t, "learn whether an array is there", err)
	secret := as(t, mine, "scope/inner")
	_, err = c.OpenRaw(t.Context(), fmt.Sprintf("#%d", secret.ID()))
	wantNotGranted(t, "see scope/inner by its number", err)
	if strings.Contains(err.Error(), "inner") {
		t.Errorf("the denial tells the name: %v", err)
	}
	list, err := c.Arrays(t.Context())
	if err != nil || len(list) != 1 {
		t.Errorf("%d arrays are seen, %v", len(list), err)
	}
}

func TestGrantEndsAtItsTime(t *testing.T) {
	array(t, connect(t), "timed/a")
	c := someone(t, holocompute.Grant{Role: "reader", Scope: holocompute.Scope{Under: "timed", NotAfter: time.Now().Add(2 * time.Second)}}, holocompute.Grant{Role: "security"})
	a := as(t, c, "timed/a")
	wantAllowed(t, "read in time", readOne(t, a))
	err := readOne(t, a)
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for tries := 0; err == nil && tries < 3000; tries++ {
		<-look.C
		err = readOne(t, a)
	}
	wantNotGranted(t, "read after its time", err)
}

func TestGrantIsLimitedToAnAmount(t *testing.T) {
	page := holocompute.ArrayOptions{Extent: 16384, Copies: 1}
	c := someone(t, holocompute.Grant{Role: "allocator", Scope: holocompute.Scope{Under: "small", MaxBytes: 128 << 10}})
	for _, name := range []string{"small/a", "small/b"} {
		_, err := holocompute.Create[int32](t.Context(), c, name, 10, page)
		wantAllowed(t, "create "+name, err)
	}
	_, err := holocompute.Create[int32](t.Context(), c, "small/c", 10, page)
	wantKind(t, err, holocompute.Exhausted, "granted to")
	if holocompute.ReasonOf(err) != "amount" {
		t.Errorf("reason %q", holocompute.ReasonOf(err))
	}
	_, err = holocompute.Create[int32](t.Context(), c, "elsewhere", 10, page)
	wantNotGranted(t, "create elsewhere", err)
}

// push names the basic kernels and gives their module.
func push(t *testing.T, name, sample string) string {
	t.Helper()
	k, err := connect(t).PushKernel(t.Context(), name, kernels.Get(sample))
	if err != nil {
		t.Fatal(err)
	}
	return k.Module
}

func stats(t *testing.T, c *holocompute.Cluster, kernel string, a *holocompute.Raw) (*holocompute.Job, error) {
	return c.Reduce(t.Context(), holocompute.Call{Kernel: kernel, Function: "stats", Inputs: []*holocompute.Raw{a}}, 120)
}

func done(t *testing.T, c *holocompute.Cluster, kernel string, a *holocompute.Raw) error {
	t.Helper()
	job, err := stats(t, c, kernel, a)
	if err == nil {
		_, err = job.Wait(t.Context())
	}
	return err
}

// Ruling 15: a job needs RUN and, of each input, READ; each alone is refused.
func TestRunAloneAndReadAloneAreRefused(t *testing.T) {
	module := push(t, "both/stats", "basic")
	push(t, "both/loop", "loop")
	array(t, connect(t), "both/a")
	under := holocompute.Scope{Under: "both"}
	runner := someone(t, holocompute.Grant{Role: "runner", Scope: under})
	_, err := runner.OpenRaw(t.Context(), "both/a")
	wantAllowed(t, "see the array", err)
	wantNotGranted(t, "RUN alone", done(t, runner, "both/stats", as(t, runner, "both/a")))
	reader := someone(t, holocompute.Grant{Role: "reader", Scope: under})
	wantNotGranted(t, "READ alone", done(t, reader, "both/stats", as(t, reader, "both/a")))
	both := someone(t, holocompute.Grant{Role: "reader", Scope: under},
		holocompute.Grant{Role: "runner", Scope: holocompute.Scope{Under: "both", Module: module}})
	wantAllowed(t, "RUN and READ", done(t, both, "both/stats", as(t, both, "both/a")))
	_, err = both.Reduce(t.Context(), holocompute.Call{Kernel: "both/loop", Function: "attack", Inputs: []*holocompute.Raw{as(t, both, "both/a")}}, 8)
	wantNotGranted(t, "RUN of another module", err)
	_, err = both.PushKernel(t.Context(), "both/stats", kernels.Get("loop")) // the name of an allowed one
	wantNotGranted(t, "give the kernel's name to another module", err)
}

// COMPUTE lets one module read what its caller may not; what comes out is bound
// like what went in, unless the grant releases it.
func TestAnAnalystComputesOnWhatItMayNotRead(t *testing.T) {
	mine := connect(t)
	module := push(t, "an/stats", "basic")
	array(t, mine, "an/secret")
	array(t, mine, "an/out/a")
	scope := holocompute.Scope{Under: "an/secret", Module: module}
	run := holocompute.Grant{Role: "runner", Scope: holocompute.Scope{Under: "an", Module: module}}
	out := holocompute.Grant{Role: "writer", Scope: holocompute.Scope{Under: "an/out"}}
	c := someone(t, run, out, holocompute.Grant{Role: "analyst", Scope: scope})
	secret := as(t, c, "an/secret")
	wantNotGranted(t, "read the input", readOne(t, secret))
	err := done(t, c, "an/stats", secret)
	if holocompute.ReasonOf(err) != "not_released" {
		t.Errorf("a result that was not released: %v", err)
	}
	wantAllowed(t, "read the output before", readOne(t, as(t, c, "an/out/a")))
	job, err := c.Map(t.Context(), holocompute.Call{Kernel: "an/stats", Function: "scale", Inputs: []*holocompute.Raw{secret}, Params: []byte{2, 0, 0, 0}}, as(t, c, "an/out/a"))
	if err == nil {
		_, err = job.Wait(t.Context())
	}
	wantAllowed(t, "map into an array of one's own", err)
	wantNotGranted(t, "read the output", readOne(t, as(t, c, "an/out/a")))
	wantAllowed(t, "read the output, with READ on what it is made of", readOne(t, as(t, mine, "an/out/a")))
	outsider := someone(t, out)
	wantNotGranted(t, "read the output as another writer of it", readOne(t, as(t, outsider, "an/out/a")))

	released := someone(t, run, holocompute.Grant{Role: "analyst", Scope: scope, Release: true})
	wantAllowed(t, "a result that is released", done(t, released, "an/stats", as(t, released, "an/secret")))
	noRun := someone(t, holocompute.Grant{Role: "analyst", Scope: scope})
	wantNotGranted(t, "COMPUTE alone", done(t, noRun, "an/stats", as(t, noRun, "an/secret")))
}

// M-05: a result belongs to whoever submitted the job and to those who may read
// what it was made of.
func TestResultIsForThoseWhoMayReadWhatItIsMadeOf(t *testing.T) {
	mine := connect(t)
	push(t, "m5/stats", "basic")
	job, err := stats(t, mine, "m5/stats", array(t, mine, "m5/a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := job.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	reader := someone(t, holocompute.Grant{Role: "reader", Scope: holocompute.Scope{Under: "m5"}})
	info, err := reader.Job(job.ID()).Info(t.Context())
	if err != nil || len(info.Result) != 120 {
		t.Errorf("who may read the input gets %d bytes, %v", len(info.Result), err)
	}
	other := someone(t, holocompute.Grant{Role: "reader", Scope: holocompute.Scope{Under: "elsewhere"}})
	_, err = other.Job(job.ID()).Info(t.Context())
	wantNotGranted(t, "get the result", err)
	runner := someone(t, holocompute.Grant{Role: "runner"})
	wantNotGranted(t, "cancel another's job", runner.Job(job.ID()).Cancel(t.Context()))
	wantNotGranted(t, "watch the job", other.Job(job.ID()).Watch(t.Context(), func(holocompute.Progress) error { return nil }))
	if jobs, err := other.Jobs(t.Context()); err != nil || len(jobs) != 0 {
		t.Errorf("%d jobs of kernels that it may not see, %v", len(jobs), err)
	}
	jobs, err := reader.Jobs(t.Context())
	if err != nil || len(jobs) == 0 {
		t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	for _, j := range jobs {
		if len(j.Result) != 0 {
			t.Errorf("the list tells the result of job %d", j.ID)
		}
	}
}

func TestRevokedGrantIsOverAtOnceHere(t *testing.T) {
	mine := connect(t)
	array(t, mine, "rev/a")
	c := someone(t, holocompute.Grant{Role: "reader", Scope: holocompute.Scope{Under: "rev"}}, holocompute.Grant{Role: "security"})
	a := as(t, c, "rev/a")
	wantAllowed(t, "read", readOne(t, a))
	self, err := c.WhoAmI(t.Context())
	if err != nil || len(self.Grants) != 2 {
		t.Fatalf("%+v, %v", self, err)
	}
	if _, err := mine.RevokeGrant(t.Context(), self.Grants[0].ID); err != nil {
		t.Fatal(err)
	}
	wantNotGranted(t, "read after the revocation", readOne(t, a))
}

// TB-3 and E1-2: an administrator without the owner's key says who may do what
// and sees no data, of its own giving or of others'.
func TestAdminWithoutTheOwnersKeyIsNotTheOwner(t *testing.T) {
	mine := connect(t)
	array(t, mine, "tb3/a")
	admin := someone(t, holocompute.Grant{Role: "admin"})
	self, err := admin.WhoAmI(t.Context())
	if err != nil || self.Owner {
		t.Fatalf("%+v, %v", self, err)
	}
	wantNotGranted(t, "read an array", readOne(t, as(t, admin, "tb3/a")))
	_, err = admin.AddGrant(t.Context(), holocompute.Grant{Principal: self.Principal, Role: "reader"})
	if holocompute.ReasonOf(err) != "grant_too_wide" {
		t.Errorf("grant itself READ: %v", err)
	}
	_, err = admin.AddGrant(t.Context(), holocompute.Grant{Principal: self.Principal, Role: "owner"})
	wantKind(t, err, holocompute.Invalid, "cannot be granted")
	grants, err := mine.Grants(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = admin.RevokeGrant(t.Context(), grants[0].ID) // the founding user's
	if holocompute.ReasonOf(err) != "grant_too_wide" {
		t.Errorf("revoke what it could not grant: %v", err)
	}
	_, err = admin.Invite(t.Context(), time.Hour)
	wantKind(t, err, holocompute.NotFound, "owner.key")
	helper := someone(t)
	who, err := helper.WhoAmI(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = admin.AddGrant(t.Context(), holocompute.Grant{Principal: who.Principal, Role: "admin", Scope: holocompute.Scope{Under: "tb3"}})
	wantAllowed(t, "grant what it holds", err)
}
