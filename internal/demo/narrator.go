package demo

import (
	"fmt"
	"io"
	"strings"

	"github.com/holocompute/holocompute"
)

// narrator tells the story to people, as it happens.
type narrator struct{ out io.Writer }

func (n narrator) line(format string, args ...any) {
	if n.out != nil {
		fmt.Fprintf(n.out, format+"\n", args...)
	}
}

func (n narrator) title(f *flights) {
	n.line("HoloCompute demo: three nodes become one computer, and one of them dies.")
	n.line("Nodes are processes of their own on loopback; every figure below was measured in this run.\n")
	n.line("data      %s flights (%s)", thousands(f.rows), f.name)
}

func (n narrator) cluster(c *cluster) {
	n.line("cluster   %d nodes joined by invite, each with an identity of its own", len(c.nodes))
	n.line("links     %s inside QUIC, every stream sealed", c.suite)
}

func (n narrator) loaded(c *cluster, rows uint64, data *dataset, extents []holocompute.ExtentInfo) {
	if len(c.nodes) != 3 {
		return
	}
	held := map[string]int{}
	for _, e := range extents {
		held[e.Primary]++
	}
	parts := make([]string, len(c.nodes))
	for i, p := range c.nodes {
		parts[i] = fmt.Sprintf("%s %d", p.name, held[p.id])
	}
	var size uint64
	for _, a := range data.arrays {
		size += a.Info().Bytes
	}
	n.line("arrays    delay i16, time f32, distance i16: %s in %d extents (%s), %d copies of each page, sealed",
		bytesText(size), len(extents), strings.Join(parts, ", "), data.arrays[0].Info().Copies)
}

func (n narrator) killing(victim *process, w holocompute.NodeWork) {
	n.line("kill      SIGKILL to %s in the middle of a job: %d of its tasks committed, %d running", victim.name, w.Committed, w.Running)
}

func (n narrator) survived(c *cluster, p holocompute.Progress, dead *process) {
	var others []string
	for _, w := range p.Nodes {
		if w.Node != dead.id && w.Committed > 0 {
			others = append(others, fmt.Sprintf("%s %d", c.nameOf(w.Node), w.Committed))
		}
	}
	n.line("survived  %d of %d tasks ran again; finished by %s", p.Retried, p.Tasks, strings.Join(others, ", "))
}

func (n narrator) twin(same bool) {
	n.line("exact     the same job without a death gives %s", pick(same, "the same bytes", "OTHER bytes"))
}

func (n narrator) compared(nodes, survived int, sum int64, equal bool) {
	what := fmt.Sprintf("%d nodes", nodes)
	if nodes != survived {
		what = fmt.Sprintf("%d nodes, %d left", nodes, survived)
	}
	n.line("sum       on %s: sum(delay) = %d minutes, every integer %s", pick(nodes == 1, "1 node", what), sum, pick(equal, "equal", "NOT EQUAL"))
}

// attack tells the outcome in one line; what exactly each side saw is in the
// report.
func (n narrator) attack(a Attack) {
	n.line("attack    %-42s %s as %s", a.Name, pick(a.Refused, "refused", "NOT REFUSED"), a.Reason)
}

func (n narrator) audited(p *process, a Audit) {
	n.line("audit     %s kept %d records, %d with a client's signature; all verify with its public key alone", p.name, a.Records, a.Proven)
}

// end prints the table and the summary.
func (n narrator) end(r *Report) {
	n.line("\nHow late are flights, by hour of actual departure? (a late flight moves itself into a later hour)\n")
	n.line("hour    flights   mean delay   over 15 min late   95 %% interval")
	for _, h := range r.Hours {
		if h.Count == 0 {
			continue
		}
		n.line("%02d   %10s   %6.2f min            %5.1f %%   %4.1f to %4.1f %%", h.Hour, thousands(uint64(h.Count)),
			float64(h.SumDelay)/float64(h.Count), 100*float64(h.Late)/float64(h.Count), 100*h.LateLow, 100*h.LateHigh)
	}
	n.line("\nsum(delay) = %d minutes over %d flights; %d attacks refused", r.SumDelay, r.Rows, len(r.Attacks))
	table, bootstrap := r.Jobs[0], r.Jobs[1]
	n.line("the table:     %s of flights computed where they lay, %s moved between nodes, %s gas",
		bytesText(table.BytesProcessed), bytesText(table.BytesMoved), thousands(table.Gas))
	n.line("the intervals: %s of flights computed, %s moved (mostly the replicates' sums), %s gas",
		bytesText(bootstrap.BytesProcessed), bytesText(bootstrap.BytesMoved), thousands(bootstrap.Gas))
	n.line("%.1f s in all", r.Seconds)
	n.line("\nYour own: `holo init` and `holo agent` on one machine, `holo invite` there, and on the second machine")
	n.line("    holo join INVITE")
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// thousands prints a number with commas.
func thousands(v uint64) string {
	s := fmt.Sprint(v)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

// bytesText prints a size in binary units.
func bytesText(b uint64) string {
	switch {
	case b >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(b)/(1<<30))
	case b >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(b)/(1<<20))
	case b >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(b)/(1<<10))
	}
	return fmt.Sprintf("%d B", b)
}
