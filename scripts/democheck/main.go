// Command democheck runs `holo demo -o json` and holds what it printed against
// answers that came from elsewhere: the table below was computed with Apache
// Arrow 22 and NumPy 2, not with this project. It exits with 1 and one line for
// each thing that is wrong. Usage: democheck HOLO [demo flags].
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
)

type hour struct {
	Hour, Count, SumDelay, Late int64
}

// UnmarshalJSON reads the names of the demo's report.
func (h *hour) UnmarshalJSON(b []byte) error {
	var v struct {
		Hour, Count, Late int64
		SumDelay          int64 `json:"sum_delay"`
	}
	err := json.Unmarshal(b, &v)
	*h = hour{v.Hour, v.Count, v.SumDelay, v.Late}
	return err
}

type attack struct {
	Name    string `json:"name"`
	Refused bool   `json:"refused"`
	Reason  string `json:"reason"`
}

type report struct {
	Rows           int64    `json:"rows"`
	SumDelay       int64    `json:"sum_delay"`
	Hours          []hour   `json:"hours"`
	KilledNode     string   `json:"killed_node"`
	FinishedOn     []string `json:"finished_on"`
	RetriedTasks   int64    `json:"retried_tasks"`
	BytesProcessed int64    `json:"bytes_processed"`
	BytesMoved     int64    `json:"bytes_moved"`
	Gas            int64    `json:"gas"`
	Jobs           []struct {
		BytesProcessed int64 `json:"bytes_processed"`
		BytesMoved     int64 `json:"bytes_moved"`
	} `json:"jobs"`
	Clusters []struct {
		Nodes int  `json:"nodes"`
		Equal bool `json:"equal"`
	} `json:"clusters"`
	Attacks []attack `json:"attacks"`
	Audit   struct {
		Records uint64 `json:"records"`
		Proven  uint64 `json:"proven"`
	} `json:"audit"`
}

// known holds, for each number of rows that has an oracle, the sum of delays
// and the hours.
var known = map[int64][]hour{
	200000: {
		{0, 697, 29179, 319}, {1, 446, 10426, 127}, {2, 80, 5232, 50}, {3, 11, 1569, 11}, {4, 11, 338, 2},
		{5, 2597, -7494, 152}, {6, 13048, -17297, 1205}, {7, 13115, 7548, 1759}, {8, 12975, 26451, 1989},
		{9, 12226, 34311, 2043}, {10, 11287, 51786, 2039}, {11, 12353, 69171, 2398}, {12, 12022, 71103, 2444},
		{13, 12854, 81399, 2652}, {14, 11342, 87963, 2530}, {15, 12095, 98885, 2783}, {16, 11613, 121578, 2976},
		{17, 13325, 129500, 3352}, {18, 11702, 125263, 3083}, {19, 11592, 142015, 3339}, {20, 10400, 134816, 2963},
		{21, 7206, 125630, 2386}, {22, 5149, 105584, 1752}, {23, 1854, 65203, 791},
	},
	3000000: {
		{0, 10349, 451983, 4747}, {1, 6098, 177182, 1766}, {2, 931, 82701, 631}, {3, 241, 25518, 159}, {4, 340, 4466, 32},
		{5, 38442, -146378, 1554}, {6, 200792, -437084, 14635}, {7, 196576, -107249, 21761}, {8, 196142, 221245, 27013},
		{9, 187010, 384842, 28147}, {10, 167980, 648139, 27728}, {11, 189333, 720321, 31697}, {12, 179797, 928213, 33972},
		{13, 188995, 1044258, 36607}, {14, 173645, 1160215, 35773}, {15, 180127, 1401954, 40174}, {16, 173484, 1555074, 41202},
		{17, 200642, 1710119, 47079}, {18, 176484, 1883978, 45438}, {19, 172233, 2076537, 48015}, {20, 151987, 1906454, 40716},
		{21, 108349, 1906120, 35319}, {22, 73553, 1462944, 23862}, {23, 26470, 942051, 11028},
	},
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: democheck HOLO [demo flags]")
		os.Exit(2)
	}
	problems := check(os.Args[1], os.Args[2:])
	for _, p := range problems {
		fmt.Fprintln(os.Stderr, "democheck:", p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

func check(holo string, flags []string) (problems []string) {
	cmd := exec.Command(holo, append([]string{"demo", "-o", "json"}, flags...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return []string{fmt.Sprintf("holo demo: %v", err)}
	}
	var r report
	dec := json.NewDecoder(bytes.NewReader(out))
	if err := dec.Decode(&r); err != nil {
		return []string{fmt.Sprintf("its JSON: %v", err)}
	}
	say := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	checkAnswers(&r, say)
	checkSurvival(&r, say)
	checkAttacks(&r, say)
	fmt.Printf("democheck: %d rows, sum(delay) %d, %d tasks retried, %d bytes processed, %d moved, %d attacks refused, %d problems\n",
		r.Rows, r.SumDelay, r.RetriedTasks, r.BytesProcessed, r.BytesMoved, len(r.Attacks), len(problems))
	return problems
}

func checkAnswers(r *report, say func(bool, string, ...any)) {
	hours, ok := known[r.Rows]
	say(ok, "%d rows: no oracle for that many", r.Rows)
	var sum int64
	for _, h := range hours {
		sum += h.SumDelay
	}
	say(r.SumDelay == sum, "sum(delay) is %d, want %d", r.SumDelay, sum)
	say(slices.Equal(r.Hours, hours), "the hours are %v, want %v", r.Hours, hours)
}

func checkSurvival(r *report, say func(bool, string, ...any)) {
	say(r.KilledNode != "", "no node was killed")
	say(r.RetriedTasks >= 1, "%d tasks ran again, want at least 1", r.RetriedTasks)
	say(len(r.FinishedOn) > 0 && !slices.Contains(r.FinishedOn, r.KilledNode), "finished on %v, killed %s", r.FinishedOn, r.KilledNode)
	var sizes []int
	for _, c := range r.Clusters {
		sizes = append(sizes, c.Nodes)
		say(c.Equal, "the cluster of %d nodes gave another answer", c.Nodes)
	}
	slices.Sort(sizes)
	say(slices.Equal(sizes, []int{1, 2, 3}), "clusters of %v nodes, want 1, 2 and 3", sizes)
	say(r.BytesMoved > 0 && r.BytesProcessed > 0, "%d bytes processed, %d moved", r.BytesProcessed, r.BytesMoved)
	if len(r.Jobs) == 0 {
		say(false, "no job was reported")
		return
	}
	table := r.Jobs[0]
	say(table.BytesProcessed > 100*table.BytesMoved, "the table moved %d bytes to process %d: code did not go to the data", table.BytesMoved, table.BytesProcessed)
	say(r.Gas > 0, "no gas was counted")
}

func checkAttacks(r *report, say func(bool, string, ...any)) {
	say(len(r.Attacks) >= 5, "%d attacks, want at least 5", len(r.Attacks))
	say(r.Audit.Proven > 0 && r.Audit.Records > r.Audit.Proven, "the audit log holds %d records, %d of them proven", r.Audit.Records, r.Audit.Proven)
	for _, a := range r.Attacks {
		say(a.Refused && a.Reason != "", "attack %q: refused %v, reason %q", a.Name, a.Refused, a.Reason)
	}
}
