package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// The log that is tampered with: 12 records in three segments of four, each
// record with a checkpoint of its own but the last two, which share one.
const (
	tamperRecords = 12
	perSegment    = 4
)

// tamperLog makes it, with another node's key if one is given.
func tamperLog(t *testing.T, signer key.Signer, cluster holo.ClusterID) *disk {
	t.Helper()
	d := newDisk()
	l, err := open(d, Config{Cluster: cluster, Signer: signer})
	must(t, err)
	one := func(i int) *entry {
		r := &wire.AuditRecord{Event: "test.note", Action: "test.note", Resource: fmt.Sprintf("number %02d", i), Decision: wire.Allowed, Count: 1}
		return &entry{record: *r}
	}
	for i := range tamperRecords - 2 {
		if i > 0 && i%perSegment == 0 {
			must(t, l.startSegment())
		}
		l.write([]*entry{one(i)})
	}
	l.write([]*entry{one(tamperRecords - 2), one(tamperRecords - 1)})
	must(t, l.Close())
	return d
}

// framesOf cuts a segment into its frames.
func framesOf(t *testing.T, d *disk, name string) (out [][]byte) {
	t.Helper()
	data := d.files[name].data
	for r := bytes.NewReader(data); r.Len() > 0; {
		at := len(data) - r.Len()
		f, err := readFrame(r)
		must(t, err)
		out = append(out, bytes.Clone(data[at:at+int(f.bytes)]))
	}
	return out
}

// recrc makes a frame's sum right again.
func recrc(frame []byte) []byte {
	binary.LittleEndian.PutUint32(frame[4:], crc32.Checksum(frame[frameHead:], castagnoli))
	return frame
}

// renumber makes a record say that it is another one.
func renumber(frame []byte, seq uint64) []byte {
	binary.LittleEndian.PutUint64(frame[frameHead+1+2:], seq)
	return recrc(frame)
}

func isCheckpoint(frame []byte) bool { return frame[frameHead] == kindCheckpoint }

// TestTamperedLogsAreRefusedAndTheRecordNamed is the matrix: each edit of the
// files that a thief of the folder can make without the node's key, and the
// record that verifying and opening must name. In a segment frame 0 is the
// first checkpoint, record i is frame 2i+1 and its checkpoint 2i+2.
func TestTamperedLogsAreRefusedAndTheRecordNamed(t *testing.T) {
	second, third := segmentName(perSegment), segmentName(2*perSegment)
	other := tamperLog(t, key.GenerateSigner(), testCluster)
	elsewhere := tamperLog(t, testNode, holo.ClusterID{9})
	edit := func(name string, f func([][]byte) [][]byte) func(*disk) {
		return func(d *disk) { d.files[name].data = slices.Concat(f(framesOf(t, d, name))...) }
	}
	flip := func(frame, at int, fix bool) func([][]byte) [][]byte {
		return func(fs [][]byte) [][]byte {
			fs[frame][at] ^= 1
			if fix {
				recrc(fs[frame])
			}
			return fs
		}
	}
	fork := newDisk()
	forked := openDisk(t, fork)
	must(t, forked.Permit(noteRecord("another story")))
	text := bytes.Index(framesOf(t, tamperLog(t, testNode, testCluster), firstName)[1], []byte("number"))
	cases := []struct {
		name   string
		edit   func(*disk)
		record int64
	}{
		{"a flipped bit", edit(firstName, flip(3, text, false)), 1},
		{"a flipped bit, with the sum made right", edit(firstName, flip(3, text, true)), 1},
		{"a flipped bit in the last segment", edit(third, flip(3, text, false)), 9},
		{"a flipped bit in the last segment, with the sum made right", edit(third, flip(3, text, true)), 9},
		{"a flipped bit in the last group, with the sum made right", edit(third, flip(6, text, true)), 10},
		{"a flipped length", edit(second, flip(5, 1, false)), 6},
		{"a flipped kind, with the sum made right", edit(second, flip(5, frameHead, true)), 6},
		{"a flipped sum", edit(second, flip(5, 4, false)), 6},
		{"a flipped bit in a checkpoint", edit(second, flip(4, 200, false)), 6},
		{"a flipped bit in a checkpoint, with the sum made right", edit(second, flip(4, 200, true)), 5},
		{"a record deleted", edit(firstName, func(fs [][]byte) [][]byte { return slices.Delete(fs, 3, 4) }), 1},
		{"a record deleted with its checkpoint", edit(firstName, func(fs [][]byte) [][]byte { return slices.Delete(fs, 3, 5) }), 1},
		{"a record deleted and the next renumbered", edit(firstName, func(fs [][]byte) [][]byte {
			renumber(fs[5], 1)
			return slices.Delete(fs, 3, 5)
		}), 1},
		{"one of a group deleted", edit(third, func(fs [][]byte) [][]byte { return slices.Delete(fs, 5, 6) }), 10},
		{"two records swapped", edit(firstName, func(fs [][]byte) [][]byte { fs[3], fs[5] = fs[5], fs[3]; return fs }), 1},
		{"two records swapped and renumbered", edit(firstName, func(fs [][]byte) [][]byte {
			fs[3], fs[5] = renumber(fs[5], 1), renumber(fs[3], 2)
			return fs
		}), 1},
		{"two records of a group swapped and renumbered", edit(third, func(fs [][]byte) [][]byte {
			fs[5], fs[6] = renumber(fs[6], 10), renumber(fs[5], 11)
			return fs
		}), 10},
		{"a record duplicated", edit(firstName, func(fs [][]byte) [][]byte { return slices.Insert(fs, 4, bytes.Clone(fs[3])) }), 2},
		{"a record duplicated with its checkpoint", edit(firstName, func(fs [][]byte) [][]byte { return slices.Insert(fs, 5, fs[3], fs[4]) }), 2},
		{"a checkpoint duplicated", edit(firstName, func(fs [][]byte) [][]byte { return slices.Insert(fs, 5, fs[4]) }), 1},
		{"a checkpoint removed", edit(firstName, func(fs [][]byte) [][]byte { return slices.Delete(fs, 4, 5) }), 2},
		{"the first checkpoint of a segment removed", edit(second, func(fs [][]byte) [][]byte { return fs[1:] }), 4},
		{"the last checkpoint of a segment removed", edit(second, func(fs [][]byte) [][]byte { return fs[:len(fs)-1] }), 8},
		{"the last checkpoint removed", edit(third, func(fs [][]byte) [][]byte { return fs[:len(fs)-1] }), 12},
		{"all checkpoints of the last segment removed", edit(third, func(fs [][]byte) [][]byte { return slices.DeleteFunc(fs, isCheckpoint) }), 8},
		{"the end cut off at a checkpoint", edit(third, func(fs [][]byte) [][]byte { return fs[:5] }), 10},
		{"the end cut off inside a record", edit(third, func(fs [][]byte) [][]byte {
			return append(fs[:6:6], fs[6][:20])
		}), 11},
		{"the last segment emptied", func(d *disk) { d.files[third].data = nil }, 8},
		{"an earlier segment cut off at a checkpoint", edit(firstName, func(fs [][]byte) [][]byte { return fs[:7] }), 3},
		{"an earlier segment emptied", func(d *disk) { d.files[second].data = nil }, 4},
		{"the first segment removed", func(d *disk) { delete(d.files, firstName) }, 0},
		{"a segment in the middle removed", func(d *disk) { delete(d.files, second) }, 4},
		{"the last segment removed", func(d *disk) { delete(d.files, third) }, 8},
		{"all segments removed", func(d *disk) {
			delete(d.files, firstName)
			delete(d.files, second)
			delete(d.files, third)
		}, 0},
		{"two segments swapped", func(d *disk) {
			d.files[second].data, d.files[third].data = d.files[third].data, d.files[second].data
		}, 4},
		{"a segment under a second name", func(d *disk) { d.files[segmentName(6)] = d.files[second] }, 6},
		{"a segment of another node", func(d *disk) { d.files[second].data = other.files[second].data }, 4},
		{"a segment of the same node in another cluster", func(d *disk) { d.files[second].data = elsewhere.files[second].data }, 4},
		{"a record and checkpoint of another node", edit(third, func(fs [][]byte) [][]byte {
			theirs := framesOf(t, other, third)
			return slices.Concat(fs[:3], theirs[3:5], fs[5:])
		}), 9},
		{"a record of another node, renumbered", edit(third, func(fs [][]byte) [][]byte {
			fs[3] = framesOf(t, other, third)[3]
			return fs
		}), 9},
		{"head removed", func(d *disk) { delete(d.files, headFile) }, 12},
		{"head emptied", func(d *disk) { d.files[headFile].data = nil }, 12},
		{"head of another node", func(d *disk) { d.files[headFile].data = other.files[headFile].data }, 12},
		{"head of another story of the same node", func(d *disk) { d.files[headFile].data = fork.files[headFile].data }, 1},
		{"a flipped bit in head", func(d *disk) { d.files[headFile].data[130] ^= 1 }, 12},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := tamperLog(t, testNode, testCluster)
			if _, err := verify(d, testSource()); err != nil {
				t.Fatalf("control: %v", err)
			}
			c.edit(d)
			_, err := verify(d.copied(), testSource())
			wantDamage(t, err, c.record)
			_, err = open(d.copied(), Config{Cluster: testCluster, Signer: testNode})
			wantDamage(t, err, c.record)
		})
	}
}

// A node that lies signs what is no log with the right key. Each is refused.
func TestWhatTheNodeSignedWrongIsRefused(t *testing.T) {
	note := func(l *Log, c checkpoint) []byte {
		b, err := c.sign(l.origin, l.signer)
		must(t, err)
		return appendFrame(nil, kindCheckpoint, b)
	}
	record := func(tr *tree, r wire.AuditRecord) []byte {
		content := wire.Encode(&r)
		must(t, tr.add(content))
		return appendFrame(nil, kindRecord, content)
	}
	other := key.GenerateSigner().Public()
	for name, lie := range map[string]func(l *Log, tr *tree) []byte{
		"a wrong number of records": func(l *Log, tr *tree) []byte {
			b := record(tr, wire.AuditRecord{Seq: 1, Node: l.node, Event: "a", Action: "a", Decision: wire.Allowed, Count: 1})
			root, err := tr.root()
			must(t, err)
			return append(b, note(l, checkpoint{size: 3, previous: 1, root: root})...)
		},
		"the same checkpoint again": func(l *Log, tr *tree) []byte {
			return note(l, checkpoint{size: 1, previous: 1, root: l.writing.signed.root})
		},
		"a record of another node": func(l *Log, tr *tree) []byte {
			b := record(tr, wire.AuditRecord{Seq: 1, Node: other, Event: "a", Action: "a", Decision: wire.Allowed, Count: 1})
			root, err := tr.root()
			must(t, err)
			return append(b, note(l, checkpoint{size: 2, previous: 1, root: root})...)
		},
		"a message that is no record": func(l *Log, tr *tree) []byte {
			content := wire.Encode(&wire.UsageRead{})
			must(t, tr.add(content))
			root, err := tr.root()
			must(t, err)
			return append(appendFrame(nil, kindRecord, content), note(l, checkpoint{size: 2, previous: 1, root: root})...)
		},
	} {
		d := newDisk()
		l := openDisk(t, d)
		must(t, l.Permit(noteRecord("true")))
		tr := l.writing.tree
		f := d.files[firstName]
		f.data = append(f.data, lie(l, &tr)...)
		_, err := verify(d, testSource())
		if err == nil {
			t.Errorf("%s: the log verifies", name)
			continue
		}
		wantDamage(t, err, 1)
	}
}

// A key of small order signs everything: a log of such a node proves nothing.
func TestLogOfAKeyThatProvesNothingIsRefused(t *testing.T) {
	_, err := verify(newDisk(), Source{testCluster, holo.NodeID{1}})
	if holo.KindOf(err) != holo.Invalid {
		t.Errorf("%v, want the key refused", err)
	}
}

func TestMissingRecordsAreCounted(t *testing.T) {
	d := tamperLog(t, testNode, testCluster)
	must(t, d.remove(segmentName(perSegment)))
	_, err := verify(d, testSource())
	if err == nil || !strings.Contains(err.Error(), "record 4: 4 records are missing") {
		t.Errorf("%v", err)
	}
}

func wantDamage(t *testing.T, err error, record int64) {
	t.Helper()
	wantReason(t, err, holo.Corrupt, ReasonDamaged)
	if want := fmt.Sprintf("record %d:", record); !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// What this log cannot see by itself: all files put back to an older copy. The
// test says so, that nobody promises more; a witness will change it.
func TestAnOlderCopyOfTheWholeFolderNeedsAWitness(t *testing.T) {
	d := newDisk()
	l := openDisk(t, d)
	must(t, l.Permit(noteRecord("1")))
	older := d.copied()
	must(t, l.Permit(noteRecord("2")))
	s, err := verify(older, testSource())
	if err != nil || s.Records != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	now, err := verify(d, testSource())
	must(t, err)
	if now.Head == s.Head || now.Records == s.Records {
		t.Error("whoever noted records and head sees no difference")
	}
}

// However the node was made to sign it: what a reader must hold before it sees a
// checkpoint is bounded.
func TestGroupsAreBounded(t *testing.T) {
	for records, good := range map[int]bool{maxGroup: true, maxGroup + 1: false} {
		d := newDisk()
		l := openDisk(t, d)
		group := make([]*entry, records)
		for i := range group {
			group[i] = &entry{record: wire.AuditRecord{Event: "test.note", Action: "test.note", Decision: wire.Allowed, Count: 1}}
		}
		must(t, l.commit(group))
		_, err := verify(d, testSource())
		if good && err != nil {
			t.Errorf("%d records: %v", records, err)
		} else if !good {
			wantDamage(t, err, maxGroup)
		}
	}
}

// act is a client's signed request, as the record of it.
func act(signer key.Signer, procedure, request string) *wire.AuditRecord {
	return actAt(testSource().Node, signer, procedure, request)
}

// actAt is one that was asked of a node.
func actAt(node holo.NodeID, signer key.Signer, procedure, request string) *wire.AuditRecord {
	p := &wire.AuditProof{Procedure: procedure, Session: [32]byte{5}, Digest: sha256.Sum256([]byte(request))}
	api.BindSession(&p.Session, testSource().Cluster, node)
	copy(p.Signature[:], signer.Sign(api.RequestProof(procedure, p.Session[:], p.Digest)))
	return &wire.AuditRecord{
		Event: api.Event(procedure), Resource: "array a", Actor: wire.Actor{Kind: wire.ActorPrincipal, Key: signer.Public()}, Proof: p,
	}
}

// TestTheNodesKeyMakesNoClientsAct is the attack of a node that lies: with its
// own key, with everything that clients ever signed, and with this very code.
func TestTheNodesKeyMakesNoClientsAct(t *testing.T) {
	const create, remove = "holo.v1.ArrayService/Create", "holo.v1.ArrayService/Delete"
	victim := testUser.Public()
	for name, forge := range map[string]func() *wire.AuditRecord{
		"signed by the node": func() *wire.AuditRecord {
			r := act(testNode, create, "x")
			r.Actor.Key = victim
			return r
		},
		"another request": func() *wire.AuditRecord {
			r := act(testUser, create, "x")
			r.Proof.Digest = sha256.Sum256([]byte("y"))
			return r
		},
		"another procedure": func() *wire.AuditRecord {
			r := act(testUser, create, "x")
			r.Proof.Procedure, r.Event = remove, api.Event(remove)
			return r
		},
		"another name for the procedure": func() *wire.AuditRecord {
			r := act(testUser, create, "x")
			r.Event = api.Event(remove)
			return r
		},
		"another session": func() *wire.AuditRecord {
			r := act(testUser, create, "x")
			r.Proof.Session[0]++
			api.BindSession(&r.Proof.Session, testSource().Cluster, testSource().Node)
			return r
		},
		"asked of another node": func() *wire.AuditRecord { // which recorded it, and this one copied it
			return actAt(holo.NodeID{9}, testUser, create, "x")
		},
		"another client": func() *wire.AuditRecord {
			r := act(testUser, create, "x")
			r.Actor.Key = key.GenerateSigner().Public()
			return r
		},
		"a key of small order, which fits everything": func() *wire.AuditRecord {
			r := act(testUser, create, "x")
			r.Actor.Key = [32]byte{1}
			r.Proof.Signature = [64]byte{1}
			return r
		},
	} {
		d := newDisk()
		l := openDisk(t, d)
		must(t, l.Permit(act(testUser, create, "true")))
		must(t, l.Permit(forge()))
		must(t, l.Close())
		_, err := verify(d, testSource())
		if err == nil {
			t.Errorf("%s: the log verifies", name)
			continue
		}
		wantDamage(t, err, 1)
	}
	d := newDisk()
	l := openDisk(t, d)
	bare := act(testUser, create, "x")
	bare.Proof = nil
	if err := l.Permit(bare); err == nil {
		t.Error("an act without a proof is recorded")
	}
	bare.Decision, bare.Count, bare.Action = wire.Allowed, 1, bare.Event
	if err := l.commit([]*entry{{record: *bare}}); err != nil { // past the check
		t.Fatal(err)
	}
	_, err := verify(d, testSource())
	wantDamage(t, err, 0)

	honest := newDisk()
	l = openDisk(t, honest)
	must(t, l.Permit(act(testUser, create, "true")))
	if s, err := verify(honest, testSource()); err != nil || s.Proven != 1 {
		t.Errorf("control: %+v, %v", s, err)
	}
}
