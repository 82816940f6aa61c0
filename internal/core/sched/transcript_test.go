package sched

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

var rewrite = flag.Bool("rewrite", false, "write what the machine says into the transcripts")

// TestTranscripts plays the stories in testdata. A line that begins with a
// letter is an input; what the machine says to it follows, indented. Nodes are
// letters, an attempt is written task.attempt, the clock starts at 0.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *rewrite {
				err = os.WriteFile(f, got, 0o644)
			}
			if err != nil || !*rewrite && !bytes.Equal(got, want) {
				t.Fatalf("%v\n%s", err, got)
			}
		})
	}
}

type player struct {
	*testing.T
	out  bytes.Buffer
	job  *Job
	tree *Tree
	now  holo.Time
	home map[holo.ShardID]holo.NodeID
}

func play(t *testing.T, story string) []byte {
	p := &player{T: t, home: map[holo.ShardID]holo.NodeID{}}
	for line := range strings.Lines(story) {
		switch {
		case strings.HasPrefix(line, "    "):
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
			p.out.WriteString(line)
		default:
			p.out.WriteString(line)
			p.input(strings.Fields(line))
		}
	}
	return p.out.Bytes()
}

func (p *player) say(format string, args ...any) { fmt.Fprintf(&p.out, "    "+format+"\n", args...) }

func (p *player) input(words []string) {
	rest := words[1:]
	switch words[0] {
	case "tasks": // shard of each task
		var shards []holo.ShardID
		for _, w := range rest {
			shards = append(shards, holo.ShardID(number(p, w)))
		}
		p.job, p.tree = New(shards, Options{}), NewTree(len(shards))
	case "homes": // node of each shard, in order
		for s, w := range rest {
			p.home[holo.ShardID(s)] = letter(w)
		}
	case "wait":
		d, err := time.ParseDuration(rest[0])
		if err != nil {
			p.Fatal(err)
		}
		p.now = p.now.Add(holo.Duration(d))
	case "next":
		p.next()
	case "done":
		p.done(attempt(p, rest))
	case "fail":
		p.job.Failed(p.now, attempt(p, rest), failure(p, rest[2]))
	case "lost":
		p.job.NodeLost(p.now, letter(rest[0]))
	case "cancel":
		p.job.Cancel()
	default:
		p.Fatalf("unknown input %q", words[0])
	}
	if s, err := p.job.State(); s != Running {
		p.say("state %s: %v", [...]string{"running", "complete", "failed", "cancelled"}[s], err)
	}
}

func (p *player) next() {
	for _, a := range p.job.Next(p.now, func(s holo.ShardID) (holo.NodeID, bool) { id, ok := p.home[s]; return id, ok }) {
		p.say("task %d.%d to %c", a.Task, a.Attempt, 'a'+a.Node[31]-1)
	}
	if at, ok := p.job.Wake(p.now); ok {
		p.say("wake in %s", at.Sub(p.now))
	}
}

func (p *player) done(a Assign) {
	if !p.job.Done(p.now, a, Result{Gas: 1}) {
		p.say("dropped")
		return
	}
	p.say("counted")
	for _, s := range p.tree.Add(a.Task) {
		p.say("combine %d into %d", s.From, s.Into)
	}
}

func letter(w string) holo.NodeID { return nodeID(int(w[0] - 'a')) }

func attempt(t *player, words []string) (a Assign) {
	if n, err := fmt.Sscanf(words[0], "%d.%d", &a.Task, &a.Attempt); n != 2 {
		t.Fatal(err)
	}
	a.Node = letter(words[1])
	return a
}

func failure(t *player, name string) error {
	kind, ok := holo.ParseKind(name)
	if !ok {
		t.Fatalf("unknown kind %q", name)
	}
	return holo.Errorf(kind, "%s", strings.ReplaceAll(name, "_", " "))
}

func number(t *player, w string) (n int) {
	if _, err := fmt.Sscan(w, &n); err != nil {
		t.Fatal(err)
	}
	return n
}
