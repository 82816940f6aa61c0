package policy

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// FuzzParse: whatever the text, the process lives, and what is taken has names
// of its own.
func FuzzParse(f *testing.F) {
	r := record(1, alice, holo.RoleAnalyst, holo.Scope{Under: "lab", Module: module, Nodes: []holo.NodeID{here}, NotAfter: noon})
	f.Add(grantText(&r))
	f.Add(baseText + ownerText(owner))
	f.Add(`@id("a") permit (principal, action, resource) when { if !!true then [[1]] == [[2]] else {a: {b: -1}}.a.b > 2 };`)
	g, err := newGrammar()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := g.parse(text)
		if err != nil && list != nil {
			t.Fatalf("%d policies of a text that is refused: %v", len(list), err)
		}
		seen := map[string]bool{}
		for _, p := range list {
			if p.id == "" || seen[p.id] {
				t.Fatalf("the name %q is empty, or used twice", p.id)
			}
			seen[p.id] = true
		}
	})
}
