package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/holocompute/holocompute/internal/holo"
)

// apiVersion is the version of the JSON that commands print.
const apiVersion = "holo/v1"

// emit prints a result: as JSON with its kind, or as what table writes, columns
// apart by tabs. The value is a struct or a map.
func (a *app) emit(kind string, value any, table func(w *tabwriter.Writer)) error {
	if a.output == "json" {
		return a.emitJSON(kind, value)
	}
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	table(w)
	return w.Flush()
}

// emitJSON puts apiVersion and kind in front of the value's own fields.
func (a *app) emitJSON(kind string, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return holo.Errorf(holo.Internal, "print JSON: %w", err)
	}
	head := fmt.Sprintf(`{"apiVersion":%q,"kind":%q`, apiVersion, kind)
	if inner := bytes.TrimPrefix(body, []byte("{")); len(inner) > 1 {
		head += ","
	}
	var out bytes.Buffer
	if err := json.Indent(&out, append([]byte(head), body[1:]...), "", "  "); err != nil {
		return holo.Errorf(holo.Internal, "print JSON: %w", err)
	}
	out.WriteByte('\n')
	_, err = a.out.Write(out.Bytes())
	return err
}

// list is a result of several things.
type list[T any] struct {
	Items []T `json:"items"`
}

func listOf[T any](items []T) list[T] {
	if items == nil {
		items = []T{}
	}
	return list[T]{items}
}

// row writes one line of a table.
func row(w *tabwriter.Writer, cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(w, "\t")
		}
		fmt.Fprint(w, c)
	}
	fmt.Fprintln(w)
}

// note tells people something beside the result, on the error stream.
func (a *app) note(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) }

// short is an ID for a table: the first ten digits say enough there.
func short(id string) string {
	if id == "" {
		return "-"
	}
	return id[:min(10, len(id))]
}

// size prints bytes for people.
func size(b uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	v, u := float64(b), 0
	for v >= 1024 && u < len(units)-1 {
		v, u = v/1024, u+1
	}
	if u == 0 {
		return fmt.Sprintf("%d B", b)
	}
	return fmt.Sprintf("%.4g %s", v, units[u])
}

// bytesFlag is a number of bytes on the command line: 268435456, 256MiB, 2G.
type bytesFlag uint64

var byteUnits = map[string]uint64{"": 1, "b": 1, "k": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mib": 1 << 20, "g": 1 << 30, "gib": 1 << 30, "t": 1 << 40, "tib": 1 << 40}

func (f *bytesFlag) Set(s string) error {
	end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(s)
	}
	n, err := strconv.ParseUint(s[:end], 10, 64)
	unit, ok := byteUnits[strings.ToLower(strings.TrimSpace(s[end:]))]
	if err != nil || !ok || n > 1<<62/unit {
		return fmt.Errorf("want bytes such as 268435456 or 256MiB")
	}
	*f = bytesFlag(n * unit)
	return nil
}

func (f *bytesFlag) String() string { return size(uint64(*f)) }

func (*bytesFlag) Type() string { return "bytes" }
