package token

import (
	"cmp"
	"slices"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
)

// Cap is one capability: an action on the resources that a pattern matches.
//
// A resource is a path such as flights/delay, an array's name; what is no array
// begins with @, as no name does: @cluster, @jobs/7. In a pattern * stands for
// one segment, and ** at the end for one or more. Segments are compared as a
// whole, so ns1/** is silent about ns1x/a.
type Cap struct {
	Action   string // upper-case letters and _
	Resource string
}

// String is ACTION:RESOURCE.
func (c Cap) String() string { return c.Action + ":" + c.Resource }

const (
	maxAction = 32
	one       = "*"
	rest      = "**"
)

// ParseCap reads ACTION:RESOURCE.
func ParseCap(s string) (Cap, error) {
	action, resource, found := strings.Cut(s, ":")
	c := Cap{action, resource}
	if len(s) > MaxCap || !found || !validAction(action) || !validPattern(resource) {
		return Cap{}, holo.Errorf(holo.Invalid, "capability %.*q: want ACTION:RESOURCE, such as READ:flights/**, of at most %d bytes", MaxCap, s, MaxCap)
	}
	return c, nil
}

// ParseCaps reads a list and puts it in its canonical order.
func ParseCaps(list []string) ([]Cap, error) {
	caps := make([]Cap, 0, len(list))
	for _, s := range list {
		c, err := ParseCap(s)
		if err != nil {
			return nil, err
		}
		caps = append(caps, c)
	}
	slices.SortFunc(caps, compareCaps)
	return slices.Compact(caps), nil
}

// compareCaps orders as the texts are: no letter of an action is below a colon.
func compareCaps(a, b Cap) int {
	return cmp.Or(strings.Compare(a.Action, b.Action), strings.Compare(a.Resource, b.Resource))
}

func validAction(s string) bool {
	if s == "" || len(s) > maxAction || s[0] == '_' {
		return false
	}
	return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == ""
}

func validPattern(s string) bool {
	segments := strings.Split(s, "/")
	for i, segment := range segments {
		name := segment
		if i == 0 {
			name = strings.TrimPrefix(segment, "@")
		}
		switch {
		case segment == one, segment == rest && i == len(segments)-1:
		case name == "" || strings.ContainsFunc(name, notInName):
			return false
		}
	}
	return true
}

func notInName(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !letter && !strings.ContainsRune("._-", r)
}

// Covers reports whether c allows everything that other allows.
func (c Cap) Covers(other Cap) bool {
	return c.Action == other.Action && within(strings.Split(c.Resource, "/"), strings.Split(other.Resource, "/"))
}

// within reports whether every path that the inner pattern matches, the outer
// one matches too. A path is a pattern that matches itself alone.
func within(outer, inner []string) bool {
	for i, segment := range outer {
		switch {
		case segment == rest:
			return len(inner) > i
		case i == len(inner) || inner[i] == rest:
			return false
		case segment != one && segment != inner[i]:
			return false
		}
	}
	return len(inner) == len(outer)
}

// covered reports whether one of the capabilities covers c.
func covered(caps []Cap, c Cap) bool {
	return slices.ContainsFunc(caps, func(outer Cap) bool { return outer.Covers(c) })
}

// allCovered reports whether each of inner is covered by one of outer.
func allCovered(outer, inner []Cap) bool {
	return !slices.ContainsFunc(inner, func(c Cap) bool { return !covered(outer, c) })
}
