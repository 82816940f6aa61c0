package policy

import (
	_ "embed"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"github.com/holocompute/holocompute/internal/holo"
)

const (
	// maxText bounds a policy document. The parser recurses: 400 KB of open
	// parentheses overflow its stack, which Go does not survive.
	maxText = 64 << 10
	// maxNesting is deeper than any policy that a person reads.
	maxNesting = 64
)

//go:embed schema.cedarschema
var schemaText []byte

//go:embed base.cedar
var baseText string

// grammar is the schema: what a policy may speak of, and the groups of actions
// that the roles are.
type grammar struct {
	validator *validate.Validator
	actions   types.EntityMap
}

func newGrammar() (*grammar, error) {
	var s schema.Schema
	if err := s.UnmarshalCedar(schemaText); err != nil {
		return nil, holo.Errorf(holo.Internal, "read policy schema: %w", err)
	}
	resolved, err := s.Resolve()
	if err != nil {
		return nil, holo.Errorf(holo.Internal, "read policy schema: %w", err)
	}
	g := &grammar{validator: validate.New(resolved, validate.WithStrict()), actions: types.EntityMap{}}
	for uid, action := range resolved.Actions {
		g.actions[uid] = action.Entity
	}
	return g, nil
}

// named is a policy under the name that it gives itself.
type named struct {
	id     string
	policy *cedar.Policy
}

// parse reads policies. What is too long, too deep, has no name or one that
// was used before, or does not pass the strict validator, is refused whole.
func (g *grammar) parse(text string) ([]named, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	list, err := cedar.NewPolicyListFromBytes("policy", []byte(text))
	if err != nil {
		return nil, holo.Errorf(holo.Invalid, "read policy: %w", err)
	}
	out, seen := make([]named, 0, len(list)), map[string]bool{}
	for i, p := range list {
		id := string(p.Annotations()["id"])
		if id == "" || seen[id] {
			return nil, holo.Errorf(holo.Invalid, "read policy %d: its @id %q is missing, or another's", i, id)
		}
		seen[id] = true
		if err := g.validator.Policy(id, (*ast.Policy)(p.AST())); err != nil {
			return nil, holo.Errorf(holo.Invalid, "check policy %s: %w", id, err)
		}
		out = append(out, named{id, p})
	}
	return out, nil
}

// checkText bounds what the parser, which recurses, is given. Brackets in
// strings and comments count too, and chains of "!" and "-" nest as brackets
// do; no policy that a person reads comes near the limit.
func checkText(text string) error {
	if len(text) > maxText {
		return holo.Errorf(holo.Invalid, "read policy: %d bytes, at most %d", len(text), maxText)
	}
	nesting, chain := 0, 0
	for i := range len(text) {
		chain++
		switch text[i] {
		case '(', '[', '{':
			nesting++
		case ')', ']', '}':
			nesting = max(nesting-1, 0)
		case '!', '-', ' ', '\n', '\t':
			if nesting+chain > maxNesting {
				return tooDeep()
			}
			continue
		}
		chain = 0
		if nesting > maxNesting {
			return tooDeep()
		}
	}
	return nil
}

func tooDeep() error {
	return holo.Errorf(holo.Invalid, "read policy: nested more than %d deep", maxNesting)
}
