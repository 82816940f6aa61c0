package api

import (
	"fmt"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
)

const leaseQuery = "&lease="

// LeasedPath is the path and query of a bulk write under a write lease.
func LeasedPath(path string, t holo.Token) string {
	return fmt.Sprintf("%s%s%d.%d.%d", path, leaseQuery, uint64(t.Lease), uint64(t.Epoch), t.Number)
}

// CutLease takes the token off a path that LeasedPath made, and refuses any other
// spelling of one. A path without a lease is given back as it is.
func CutLease(s string) (path string, t holo.Token, err error) {
	path, text, found := strings.Cut(s, leaseQuery)
	if !found {
		return s, t, nil
	}
	n, err := fmt.Sscanf(text, "%d.%d.%d", (*uint64)(&t.Lease), (*uint64)(&t.Epoch), &t.Number)
	if n != 3 || err != nil || t.Lease == 0 || LeasedPath(path, t) != s {
		return "", holo.Token{}, holo.Errorf(holo.Invalid, "data path: want lease=NAME.EPOCH.NUMBER, as the lease was given out")
	}
	return path, t, nil
}
