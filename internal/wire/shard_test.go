package wire

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func fullMutation() Mutation {
	page := bytes.Repeat([]byte{7}, holo.PageSize)
	return Mutation{
		Op: holo.OpID{Session: 1, Num: 2}, Kind: MutateTask, Array: 3, Job: 4, Task: 5,
		Changes: []Change{
			{Page: 1, Kind: PageZero},
			{Page: 2, Kind: PageFill, Data: []byte{1, 2, 3, 4}, Digest: holo.Digest{1}},
			{Page: 3, Kind: PageData, Data: page, Digest: holo.Digest{2}},
			{Page: 4, Kind: PageDelta, Offset: holo.PageSize - 3, Data: []byte{9, 9, 9}, Digest: holo.Digest{3}},
		},
	}
}

func shardSamples() []Message {
	head := ShardHead{Shard: 300, Epoch: 4, From: 5, To: 6}
	fold := Mutation{Kind: MutateFold, Array: 1, Fold: holo.FoldMin, Element: holo.I16, Changes: []Change{{Kind: PageDelta, Offset: 4, Data: []byte{2, 3}}}}
	lane := Mutation{Kind: MutateLane, Array: 1, Changes: []Change{{Kind: PageDelta, Data: []byte{2, 3}}, {Page: 1, Kind: PageZero}}}
	swap := Mutation{Kind: MutateSwap, Array: 1, Expect: []byte{1}, Changes: []Change{{Kind: PageDelta, Data: []byte{2}}}}
	transfer := Transfer{
		Started: 1, Stream: 2, Above: 3, Commit: 4, Seq: 5, Index: 6, Last: true,
		Images:  []PageImage{{Page: holo.PageID{Array: 1, Index: 2}, Kind: PageFill, Data: []byte{1}}, {Kind: PageZero}},
		Marks:   []ArrayMark{{Array: 1, State: MarkDropped}},
		Records: []OpRecord{{ByTask: true, Job: 1, Task: 2, Applied: true, Old: 3}},
	}
	return []Message{
		&Repl{ShardHead: head, Commit: 1, Entries: []Entry{{Seq: 7, Applied: true, Mutation: fullMutation()}, {Seq: 8, Mutation: swap, Old: 7}, {Seq: 9, Applied: true, Mutation: fold, Old: 1 << 60}, {Seq: 10, Old: 5, Mutation: lane}}},
		&Ack{ShardHead: head, Seq: 1, Commit: 2}, &Seal{head}, &SealAck{ShardHead: head, Commit: 1, Seq: 2},
		&Recon{head, transfer}, &ReconAck{ShardHead: head, Stream: 1, Next: 2, Done: true},
		&Snap{ShardHead: head, Gen: 9, Transfer: transfer}, &SnapAck{ShardHead: head, Gen: 1, Stream: 2, Next: 3},
		&Inval{ShardHead: head, UpTo: 1, Pages: []holo.PageID{{Array: 1, Index: 2}}},
		&InvalAck{ShardHead: head, UpTo: 1, Pages: []holo.PageID{{Array: 1, Index: 2}}},
		&PageAsk{ShardHead: head, Page: holo.PageID{Array: 1, Index: 2}, Version: holo.Version{Epoch: 3, Seq: 4}},
		&PageGive{ShardHead: head, Page: holo.PageID{Array: 1, Index: 2}, Version: holo.Version{Epoch: 3, Seq: 4}, Commit: 9},
		&PageGive{ShardHead: head, Page: holo.PageID{Array: 1, Index: 2}, Has: true, Data: bytes.Repeat([]byte{7}, holo.PageSize), Digest: holo.Digest{1}},
	}
}

func TestShardMessagesDecodeToWhatTheyWere(t *testing.T) {
	for _, m := range shardSamples() {
		b := Encode(m)
		got, err := Decode(b)
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%T: %v\nhave %+v\nwant %+v", m, err, got, m)
		}
		for _, n := range []int{3, len(b) / 2, len(b) - 1} {
			if _, err := Decode(b[:n]); holo.KindOf(err) != holo.Invalid {
				t.Errorf("%T: the first %d of %d bytes: %v", m, n, len(b), err)
			}
		}
	}
}

func TestMutationsThatMakeNoSenseAreRefused(t *testing.T) {
	delta := func(offset uint32, n int) []Change {
		return []Change{{Kind: PageDelta, Offset: offset, Data: make([]byte, n)}}
	}
	for name, m := range map[string]Mutation{
		"no kind":                       {},
		"a kind too many":               {Kind: MutateLane + 1},
		"a write of nothing":            {Kind: MutateWrite},
		"more pages than an extent":     {Kind: MutateWrite, Changes: make([]Change, MaxChanges+1)},
		"a delta over the end":          {Kind: MutateWrite, Changes: delta(holo.PageSize-1, 2)},
		"a delta far over the end":      {Kind: MutateWrite, Changes: delta(1<<31, 2)},
		"an empty delta":                {Kind: MutateWrite, Changes: delta(0, 0)},
		"a fill of three bytes":         {Kind: MutateWrite, Changes: []Change{{Kind: PageFill, Data: make([]byte, 3)}}},
		"a fill of 128 bytes":           {Kind: MutateWrite, Changes: []Change{{Kind: PageFill, Data: make([]byte, 128)}}},
		"a short page":                  {Kind: MutateWrite, Changes: []Change{{Kind: PageData, Data: make([]byte, 100)}}},
		"a zero page with bytes":        {Kind: MutateWrite, Changes: []Change{{Kind: PageZero, Data: []byte{0}}}},
		"a seal with pages":             {Kind: MutateSeal, Changes: delta(0, 1)},
		"a compare of different length": {Kind: MutateSwap, Expect: []byte{1, 2}, Changes: delta(0, 1)},
		"a compare of too much":         {Kind: MutateSwap, Expect: make([]byte, holo.MaxAtom+1), Changes: delta(0, holo.MaxAtom+1)},
		"a lane's of nothing":           {Kind: MutateLane},
		"a lane's of a whole page":      {Kind: MutateLane, Changes: []Change{{Kind: PageZero}}},
		"a fold of no kind":             {Kind: MutateFold, Element: holo.U8, Changes: delta(0, 1)},
		"a fold of a kind too many":     {Kind: MutateFold, Fold: holo.FoldMax + 1, Element: holo.U8, Changes: delta(0, 1)},
		"a fold of no type":             {Kind: MutateFold, Fold: holo.FoldAdd, Changes: delta(0, 1)},
		"a fold of a type too many":     {Kind: MutateFold, Fold: holo.FoldAdd, Element: 200, Changes: delta(0, 1)},
		"a fold of half an element":     {Kind: MutateFold, Fold: holo.FoldAdd, Element: holo.U16, Changes: delta(0, 1)},
		"a fold between two elements":   {Kind: MutateFold, Fold: holo.FoldAdd, Element: holo.U16, Changes: delta(1, 2)},
		"a fold of two elements":        {Kind: MutateFold, Fold: holo.FoldAdd, Element: holo.U8, Changes: append(delta(0, 1), delta(1, 1)...)},
		"a compare of two pages":        {Kind: MutateSwap, Expect: []byte{1}, Changes: append(delta(0, 1), delta(0, 1)...)},
	} {
		if err := m.Check(); holo.KindOf(err) != holo.Invalid {
			t.Errorf("%s: %v, want an invalid mutation", name, err)
		}
	}
}

func TestEntriesOutOfOrderAreRefused(t *testing.T) {
	e := Entry{Seq: 3, Applied: true, Mutation: Mutation{Kind: MutateSeal, Array: 1}}
	next := e
	next.Seq = 5
	if _, err := Decode(Encode(&Repl{Entries: []Entry{e, next}})); holo.KindOf(err) != holo.Invalid {
		t.Errorf("entries 3 and 5: %v", err)
	}
	e.Applied = false
	if _, err := Decode(Encode(&Repl{Entries: []Entry{e}})); holo.KindOf(err) != holo.Invalid {
		t.Errorf("a seal without effect: %v", err)
	}
	if _, err := Decode(Encode(&Recon{Transfer: Transfer{Above: 5, Commit: 4}})); holo.KindOf(err) != holo.Invalid {
		t.Errorf("a transfer whose watermarks cross: %v", err)
	}
}

// An extent's output is one entry, and one entry is one message.
func TestTheLargestEntryFitsAMessage(t *testing.T) {
	mu := Mutation{Kind: MutateTask, Array: 1}
	for i := range MaxChanges {
		mu.Changes = append(mu.Changes, Change{Page: holo.PageIndex(i), Kind: PageData, Data: make([]byte, holo.PageSize)})
	}
	b := Encode(&Repl{Entries: []Entry{{Seq: 1, Applied: true, Mutation: mu}}})
	if _, err := Decode(b); err != nil {
		t.Fatal(err)
	}
}

func FuzzDecodeShard(f *testing.F) {
	for _, m := range shardSamples() {
		f.Add(Encode(m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		if again := Encode(m); !bytes.Equal(again, b) {
			t.Fatalf("%T decodes, but encodes to other bytes", m)
		}
	})
}
