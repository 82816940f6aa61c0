package receipt

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// maxLine bounds a line: twice the parameters, and what is beside them.
const maxLine = 2*wire.MaxParams + 64<<10

// header is the first line.
type header struct {
	Format   string   `json:"format"`
	Cluster  string   `json:"cluster"` // hexadecimal
	Job      uint64   `json:"job"`
	Receipts int      `json:"receipts"` // lines that follow
	Dropped  uint64   `json:"dropped,omitempty"`
	Results  []string `json:"results,omitempty"` // hexadecimal
	Params   []byte   `json:"params,omitempty"`  // of every task; none: the tasks have their own
}

// line is a receipt: of a task, or of a step.
type line struct {
	Task    []byte `json:"task,omitempty"` // the message; without parameters where all tasks have the same
	Receipt []byte `json:"receipt,omitempty"`
	Step    []byte `json:"step,omitempty"`
}

// Write writes the file: a line that says what it is, and one for each receipt.
func (j Job) Write(w io.Writer) error {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	h := header{Format: Format, Cluster: hex.EncodeToString(j.Cluster[:]), Job: uint64(j.ID), Receipts: len(j.Tasks) + len(j.Steps), Dropped: j.Dropped}
	for _, sum := range j.Results {
		h.Results = append(h.Results, sum.Hex())
	}
	alike := j.alike()
	if alike && len(j.Tasks) > 0 {
		h.Params = j.Tasks[0].Run.Params
	}
	_ = e.Encode(h) // what is wrong with b comes when it is flushed
	for _, t := range j.Tasks {
		run := *t.Run
		if alike {
			run.Params = nil
		}
		_ = e.Encode(line{Task: wire.Encode(&run), Receipt: wire.Encode(t.Said)})
	}
	for _, s := range j.Steps {
		_ = e.Encode(line{Step: wire.Encode(s)})
	}
	return b.Flush()
}

// alike reports whether all tasks have the same parameters. Those of a graph's
// stages differ.
func (j Job) alike() bool {
	for _, t := range j.Tasks {
		if !bytes.Equal(t.Run.Params, j.Tasks[0].Run.Params) {
			return false
		}
	}
	return true
}

// Read reads a file that Write wrote, and nothing else, line by line.
func Read(r io.Reader) (Job, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	j, h, err := readHeader(lines)
	if err != nil {
		return Job{}, err
	}
	for lines.Scan() {
		if err := j.readLine(h.Params, lines.Bytes()); err != nil {
			return Job{}, err
		}
	}
	if err := lines.Err(); err != nil {
		return Job{}, bad("%w", err)
	}
	if n := len(j.Tasks) + len(j.Steps); n != h.Receipts {
		return Job{}, bad("it has %d receipts and says %d", n, h.Receipts)
	}
	return j, nil
}

func readHeader(lines *bufio.Scanner) (j Job, h header, err error) {
	if !lines.Scan() {
		return j, h, bad("there is no first line of at most %d bytes", maxLine)
	}
	if bytes.Equal(lines.Bytes(), []byte("{")) {
		return j, h, bad("this is a file of holo-receipts/1, want %s: get the receipts of the job again", Format)
	}
	if err := strictly(lines.Bytes(), &h); err != nil {
		return j, h, bad("the first line: %w", err)
	}
	if h.Format != Format || len(h.Params) > wire.MaxParams {
		return j, h, bad("the format is %.40q, want %q", h.Format, Format)
	}
	j = Job{ID: holo.JobID(h.Job), Dropped: h.Dropped}
	if j.Cluster, err = holo.ParseClusterID(h.Cluster); err != nil {
		return j, h, bad("%w", err)
	}
	for _, s := range h.Results {
		b, err := hex.DecodeString(s)
		if err != nil || len(b) != len(holo.Digest{}) || hex.EncodeToString(b) != s {
			return j, h, bad("the result %.80q is no digest", s)
		}
		j.Results = append(j.Results, holo.Digest(b))
	}
	return j, h, nil
}

func (j *Job) readLine(params, b []byte) error {
	var l line
	if err := strictly(b, &l); err != nil {
		return bad("receipt %d: %w", len(j.known), err)
	}
	if len(l.Step) == 0 {
		return j.Add(params, l.Task, l.Receipt)
	}
	if len(l.Task)+len(l.Receipt) > 0 {
		return bad("receipt %d is of a task and of a step", len(j.known))
	}
	return j.AddStep(l.Step)
}

// strictly decodes one value and nothing beside it.
func strictly(b []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return holo.Errorf(holo.Invalid, "more follows")
	}
	return nil
}

func paramsOf(t *wire.RunTask) holo.Digest { return digest.Of(t.Params) }
