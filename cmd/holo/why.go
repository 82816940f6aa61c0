package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
)

// barWidth is the length of the bar of the node that holds the most.
const barWidth = 24

// whyArray is who holds an array, and what is not as it should be.
type whyArray struct {
	Array holocompute.ArrayInfo `json:"array"`
	Nodes []holding             `json:"nodes"` // by what they hold, the most first
	Bad   []trouble             `json:"bad"`   // extents that are not ok, by state
}

// holding is what one node holds of an array.
type holding struct {
	Node    string `json:"node"`
	Name    string `json:"name"`
	State   string `json:"state"`
	Primary int    `json:"primary"` // extents that it is home to
	Copies  int    `json:"copies"`  // extents that it has a copy of
	Bytes   uint64 `json:"bytes"`   // of pages in those, if every one was written
}

// trouble is a state and the extents that are in it.
type trouble struct {
	State   string   `json:"state"`
	Extents []uint64 `json:"extents"`
}

func arrayWhy(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "why NAME",
		Short: "Show which nodes hold an array, how much each, and what is wrong with it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withExtents(cmd.Context(), args[0], func(c *holocompute.Cluster, i holocompute.ArrayInfo, extents []holocompute.ExtentInfo) error {
				members, err := c.Members(cmd.Context())
				if err != nil {
					return err
				}
				v := whyOf(i, extents, members)
				return a.emit("ArrayWhy", v, func(w *tabwriter.Writer) { whyTable(w, v) })
			})
		},
	}
}

func whyOf(info holocompute.ArrayInfo, extents []holocompute.ExtentInfo, members []holocompute.MemberInfo) whyArray {
	v := whyArray{Array: info, Nodes: []holding{}, Bad: []trouble{}}
	at := map[string]*holding{}
	for _, m := range members {
		at[m.ID] = &holding{Node: m.ID, Name: m.Name, State: m.State}
	}
	bad := map[string][]uint64{}
	for _, e := range extents {
		for _, id := range e.Members {
			if h := at[id]; h != nil {
				h.Copies++
				h.Bytes += e.Pages * holo.PageSize
			}
		}
		if h := at[e.Primary]; h != nil {
			h.Primary++
		}
		if e.State != "ok" {
			bad[e.State] = append(bad[e.State], e.Number)
		}
	}
	for _, h := range at {
		v.Nodes = append(v.Nodes, *h)
	}
	slices.SortFunc(v.Nodes, func(a, b holding) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.Name, b.Name))
	})
	for state, list := range bad {
		v.Bad = append(v.Bad, trouble{state, list})
	}
	slices.SortFunc(v.Bad, func(a, b trouble) int { return strings.Compare(a.State, b.State) })
	return v
}

func whyTable(w *tabwriter.Writer, v whyArray) {
	arrayHead(w)
	arrayRow(w, v.Array)
	row(w)
	row(w, "NODE", "NAME", "STATE", "HOME TO", "COPIES OF", "BYTES", "")
	most := uint64(1)
	for _, h := range v.Nodes {
		most = max(most, h.Bytes)
	}
	for _, h := range v.Nodes {
		bar := strings.Repeat("#", int((h.Bytes*barWidth+most-1)/most))
		row(w, short(h.Node), h.Name, h.State, h.Primary, h.Copies, size(h.Bytes), bar)
	}
	for _, t := range v.Bad {
		row(w)
		row(w, t.State, ranges(t.Extents), meaning[t.State])
	}
}

// meaning says what a state means for whoever uses the array.
var meaning = map[string]string{
	"under_replicated": "fewer copies than wanted; another is being made where a node can take it",
	"refusing_writes":  "too few copies to write; read while one answers",
	"lost":             "every node that held it is gone: reading it is an error, never zeros",
}

// ranges prints ascending numbers as "extents 1-4, 7".
func ranges(list []uint64) string {
	var parts []string
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		if part := fmt.Sprint(list[i]); i == j {
			parts = append(parts, part)
		} else {
			parts = append(parts, fmt.Sprintf("%s-%d", part, list[j]))
		}
		i = j + 1
	}
	return "extents " + strings.Join(parts, ", ")
}
