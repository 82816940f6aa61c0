package door

import (
	"fmt"
	"strings"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
)

const (
	// MaxName bounds the names of arrays, kernels and affinity groups.
	MaxName = 100
	// maxInputs is the most arrays that a kernel may read at once.
	maxInputs = 16
)

// checkName wants letters, digits, '.', '_', '-' and '/', the first a letter
// or a digit: what needs no quoting in a shell and cannot be taken for an
// option, an ID ("#7") or a file outside a folder.
func checkName(what, name string) error {
	if name == "" || len(name) > MaxName {
		return holo.Errorf(holo.Invalid, "%s: a name of %d bytes, want 1 to %d", what, len(name), MaxName)
	}
	if i := strings.IndexFunc(name, func(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune("._-/", r) }); i >= 0 {
		return holo.Errorf(holo.Invalid, "%s: the name %q may hold only letters, digits and . _ - /", what, name)
	}
	if !alphanumeric(rune(name[0])) || strings.Contains(name, "..") {
		return holo.Errorf(holo.Invalid, "%s: the name %q must begin with a letter or digit and have no two dots in a row", what, name)
	}
	return nil
}

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// checkReference wants a name, or "#" and an ID.
func checkReference(what, name string) error {
	if digits, ok := strings.CutPrefix(name, "#"); ok {
		name = digits
	}
	return checkName(what, name)
}

func checkCreate(m *holov1.CreateArrayRequest) error {
	if err := checkName("create array", m.GetName()); err != nil {
		return err
	}
	if m.GetAffinity() != "" {
		if err := checkName("create array: affinity", m.GetAffinity()); err != nil {
			return err
		}
	}
	t, err := holo.ParseElementType(m.GetType())
	if err != nil {
		return err
	}
	if m.GetCopies() > holo.MaxClass {
		return holo.Errorf(holo.Invalid, "create array: %d copies, want 1 to %d", m.GetCopies(), holo.MaxClass)
	}
	shape := holo.Shape{Type: t, Length: m.GetLength(), Extent: m.GetExtentElements()}
	if shape.Extent == 0 {
		shape.Extent = holo.DefaultExtent
	}
	return shape.Check()
}

func checkPush(m *holov1.PushKernelRequest) error {
	if err := checkName("push kernel", m.GetName()); err != nil {
		return err
	}
	if n := len(m.GetModule()); n != 32 {
		return holo.Errorf(holo.Invalid, "push kernel %s: a hash of %d bytes, want 32", m.GetName(), n)
	}
	if n := m.GetSize(); n == 0 || n > api.MaxModule {
		return holo.Errorf(holo.Invalid, "push kernel %s: a module of %d bytes, want 1 to %d", m.GetName(), n, api.MaxModule)
	}
	return nil
}

// checkSubmit looks at every stage. Those after the first have none of their own.
func checkSubmit(m *holov1.SubmitRequest) error {
	if err := checkStage(m); err != nil || len(m.GetThen()) == 0 {
		return err
	}
	if n := len(m.GetThen()) + 1; n > api.MaxStages {
		return holo.Errorf(holo.Invalid, "submit job: a graph of %d stages, at most %d", n, api.MaxStages)
	}
	for i, s := range m.GetThen() {
		err := checkStage(s)
		if err == nil && s.GetKeepSeconds() > 0 {
			err = holo.Errorf(holo.Invalid, "submit job: a stage has a time to live: it is the job that has one")
		}
		if err == nil && len(s.GetThen()) > 0 {
			err = holo.Errorf(holo.Invalid, "submit job: a stage has stages of its own")
		}
		if err != nil {
			return holo.Refuse(holo.KindOf(err), holo.ReasonOf(err), "stage %d: %w", i+1, err)
		}
	}
	return nil
}

func checkStage(m *holov1.SubmitRequest) error {
	if err := checkReference("submit job: kernel", m.GetKernel()); err != nil {
		return err
	}
	if err := checkName("submit job: function", m.GetFunction()); err != nil {
		return err
	}
	bad := ""
	switch {
	case m.GetKind() != "map" && m.GetKind() != "reduce" && m.GetKind() != "task":
		bad = fmt.Sprintf("the kind %q, want map, reduce or task", m.GetKind())
	case len(m.GetInputs()) == 0 || len(m.GetInputs()) > maxInputs:
		bad = fmt.Sprintf("%d inputs, want 1 to %d", len(m.GetInputs()), maxInputs)
	case len(m.GetParams()) > api.MaxParams:
		bad = fmt.Sprintf("%d bytes of parameters, at most %d", len(m.GetParams()), api.MaxParams)
	case m.GetKind() != "reduce" && (m.GetOutput() == 0 || m.GetAccBytes() != 0):
		bad = "a " + m.GetKind() + " has an output array and no accumulator"
	case m.GetKind() == "reduce" && (m.GetOutput() != 0 || m.GetAccBytes() == 0 || m.GetAccBytes() > api.MaxAcc):
		bad = fmt.Sprintf("a reduce has no output array and an accumulator of 1 to %d bytes", api.MaxAcc)
	}
	if bad != "" {
		return holo.Errorf(holo.Invalid, "submit job: %s", bad)
	}
	return nil
}

func checkGetArray(m *holov1.GetArrayRequest) error { return checkReference("array", m.GetName()) }

func checkGetKernel(m *holov1.GetKernelRequest) error { return checkReference("kernel", m.GetName()) }

func checkInvite(m *holov1.CreateInviteRequest) error {
	if len(m.GetInviteKey()) != 32 || len(m.GetPsk()) != 32 || len(m.GetOwnerSignature()) != 64 {
		return holo.Errorf(holo.Invalid, "create invite: want a key and a psk of 32 bytes and a signature of 64")
	}
	if m.GetRole() != "" && len(m.GetRoleSignature()) != 64 {
		return holo.Errorf(holo.Invalid, "create invite: a role needs a signature of 64 bytes")
	}
	return nil
}

func checkPutGrant(m *holov1.PutGrantRequest) error {
	if m.GetGrant() == nil || len(m.GetSignature()) != 64 {
		return holo.Errorf(holo.Invalid, "grant: want a grant and a signature of 64 bytes")
	}
	return nil
}

func checkRevoke(m *holov1.RevokeGrantRequest) error {
	if len(m.GetSignature()) != 64 {
		return holo.Errorf(holo.Invalid, "revoke grant: want a signature of 64 bytes")
	}
	return nil
}

func checkExplain(m *holov1.ExplainRequest) error {
	if _, err := holo.ParseAction(m.GetAction()); err != nil {
		return err
	}
	for _, name := range []string{m.GetResource(), m.GetModule()} {
		if name == "" {
			continue
		}
		if err := checkReference("explain", name); err != nil {
			return err
		}
	}
	return nil
}

// checkRange wants count elements from first to lie in the array.
func checkRange(what string, s holo.Shape, first, count uint64) error {
	if first > s.Length || count > s.Length-first {
		return holo.Errorf(holo.Invalid, "%s: elements %d to %d of an array of %d", what, first, first+count, s.Length)
	}
	return nil
}
