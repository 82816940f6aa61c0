package handshake

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// stream is one direction of a stream between two ends.
func stream(t *testing.T, id uint64) (*Sealer, *Opener) {
	t.Helper()
	is, rs := sessions(t)
	return is.Sealer(id), rs.Opener(id)
}

func wantCorrupt(t *testing.T, what string, o *Opener, record []byte) {
	t.Helper()
	text, fin, err := o.Open(nil, record)
	if holo.KindOf(err) != holo.Corrupt || text != nil || fin {
		t.Errorf("%s: opened %d bytes, fin %v, %v", what, len(text), fin, err)
	}
}

func TestRecordsArriveInOrderWithTheirEnd(t *testing.T) {
	for _, suite := range []Suite{AESGCM, XChaChaPoly} {
		is, rs := sessions(t, func(i, _ *Local) { i.Suites = []Suite{suite} })
		sealer, opener := is.Sealer(8), rs.Opener(8)
		chance := rand.New(rand.NewPCG(3, 4))
		var wire, sent []byte
		for n := range 40 {
			text := randomBytes(chance, 1+chance.IntN(MaxPlaintext))
			if n == 0 {
				text = randomBytes(chance, MaxPlaintext)
			}
			sent = append(sent, text...)
			wire = sealer.Seal(wire, text, false)
		}
		wire = sealer.Seal(wire, nil, true)
		var got []byte
		for len(wire) > 0 {
			if opener.Finished() {
				t.Fatal("the end comes before the last record")
			}
			size := must(RecordLen(wire[:RecordHeader]))(t)
			text, fin, err := opener.Open(got, wire[:size])
			if err != nil || fin != (size == len(wire)) {
				t.Fatal(fin, err)
			}
			got, wire = text, wire[size:]
		}
		if !bytes.Equal(got, sent) || !opener.Finished() {
			t.Errorf("%s: %d bytes arrived of %d, finished %v", suite, len(got), len(sent), opener.Finished())
		}
	}
}

func TestRecordOpensInPlace(t *testing.T) {
	sealer, opener := stream(t, 0)
	record := sealer.Seal(nil, []byte("in place"), false)
	text, _, err := opener.Open(record[RecordHeader:RecordHeader], record)
	if err != nil || string(text) != "in place" || &text[0] != &record[RecordHeader] {
		t.Errorf("%q, %v", text, err)
	}
}

func TestRecordHidesItsText(t *testing.T) {
	sealer, _ := stream(t, 0)
	text := []byte("CANARY CANARY CANARY")
	record := sealer.Seal(nil, text, false)
	if bytes.Contains(record, text[:6]) || len(record) != RecordHeader+len(text)+tagSize {
		t.Errorf("record %q", record)
	}
	if again := sealer.Seal(nil, text, false); bytes.Equal(record[RecordHeader:], again[RecordHeader:]) {
		t.Error("the same text twice gives the same ciphertext")
	}
}

func TestEveryFlippedBitOfARecordIsNoticed(t *testing.T) {
	is, rs := sessions(t)
	record := is.Sealer(0).Seal(nil, []byte("some text in a record"), true)
	template := rs.Opener(0)
	eachFlip(record, func(bit int, flipped []byte) {
		opener := *template
		if _, _, err := opener.Open(nil, flipped); err == nil {
			t.Errorf("bit %d", bit)
		}
	})
	if _, fin, err := template.Open(nil, record); err != nil || !fin {
		t.Fatal("control: ", err)
	}
}

func TestRecordIsBoundToStreamDirectionAndSession(t *testing.T) {
	is, rs := sessions(t)
	other, _ := sessions(t)
	record := is.Sealer(4).Seal(nil, []byte("text"), false)
	wantCorrupt(t, "on another stream", rs.Opener(8), record)
	wantCorrupt(t, "sent back", is.Opener(4), record)
	wantCorrupt(t, "from another session", rs.Opener(12), other.Sealer(12).Seal(nil, []byte("text"), false))
	if _, _, err := rs.Opener(4).Open(nil, record); err != nil {
		t.Errorf("control: %v", err)
	}
}

func TestReorderedReplayedAndMissingRecordsAreNoticed(t *testing.T) {
	for what, order := range map[string][]int{
		"swapped": {1, 0}, "repeated": {0, 0}, "left out": {0, 2}, "start left out": {1}, "late repetition": {0, 1, 2, 0},
	} {
		sealer, opener := stream(t, 0)
		var records [][]byte
		for range 3 {
			records = append(records, sealer.Seal(nil, []byte("text"), false))
		}
		last := len(order) - 1
		for _, n := range order[:last] {
			if _, _, err := opener.Open(nil, records[n]); err != nil {
				break // the swapped one: noticed at once, and for good
			}
		}
		wantCorrupt(t, what, opener, records[order[last]])
	}
}

func TestOpenerStopsForGoodAfterAnError(t *testing.T) {
	sealer, opener := stream(t, 0)
	record := sealer.Seal(nil, []byte("text"), false)
	bad := bytes.Clone(record)
	bad[len(bad)-1] ^= 1
	wantCorrupt(t, "tampered with", opener, bad)
	wantCorrupt(t, "the true one, afterwards", opener, record)
}

func TestEndIsAuthenticated(t *testing.T) {
	sealer, opener := stream(t, 0)
	record := sealer.Seal(nil, []byte("not the end"), false)
	forged := bytes.Clone(record)
	forged[3] |= flagFIN
	wantCorrupt(t, "a flag set on the way", opener, forged)
	if opener.Finished() {
		t.Error("a forged end is believed")
	}
	sealer, opener = stream(t, 0)
	record = sealer.Seal(nil, []byte("the end"), true)
	forged = bytes.Clone(record)
	forged[3] &^= flagFIN
	wantCorrupt(t, "a flag cleared on the way", opener, forged)
	sealer, opener = stream(t, 0)
	if _, fin, err := opener.Open(nil, sealer.Seal(nil, nil, true)); err != nil || !fin {
		t.Fatal(fin, err)
	}
	wantCorrupt(t, "after the end", opener, record)
}

func TestMissingEndShows(t *testing.T) {
	sealer, opener := stream(t, 0)
	if _, fin, err := opener.Open(nil, sealer.Seal(nil, []byte("a"), false)); err != nil || fin || opener.Finished() {
		t.Errorf("a stream cut here looks complete: %v, %v", fin, err)
	}
}

func TestHeadsThatNoSealerMakesAreRefused(t *testing.T) {
	for name, head := range map[string][]byte{
		"empty": {}, "short": {0, 17, recordData}, "type 0": {0, 17, 0, 0}, "type 2": {0, 17, 2, 0}, "unknown flag": {0, 17, recordData, 4},
		"no tag": {0, 15, recordData, flagFIN}, "no text and no end": {0, tagSize, recordData, 0}, "no text but rekey": {0, tagSize, recordData, flagRekey},
		"too long": {0x40, tagSize + 1, recordData, 0}, "longest": {0xff, 0xff, recordData, 0},
	} {
		if n, err := RecordLen(head); holo.KindOf(err) != holo.Corrupt {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	for want, head := range map[int][]byte{
		RecordHeader + tagSize: {0, tagSize, recordData, flagFIN}, RecordHeader + tagSize + 1: {0, tagSize + 1, recordData, 0},
		MaxRecord: {0x40, tagSize, recordData, flagFIN | flagRekey},
	} {
		if n, err := RecordLen(head); n != want || err != nil {
			t.Errorf("%x: %d, %v", head, n, err)
		}
	}
}

func TestRecordOfAnotherLengthThanItsHeadIsRefused(t *testing.T) {
	for _, change := range []func([]byte) []byte{
		func(r []byte) []byte { return r[:len(r)-1] }, func(r []byte) []byte { return append(r, 0) }, func(r []byte) []byte { return r[:3] },
		func([]byte) []byte { return nil },
	} {
		sealer, opener := stream(t, 0)
		wantCorrupt(t, "length", opener, change(sealer.Seal(nil, []byte("text"), false)))
	}
}

func TestSealerPanicsRatherThanBreakTheRules(t *testing.T) {
	for name, use := range map[string]func(s *Session){
		"too long":        func(s *Session) { s.Sealer(0).Seal(nil, make([]byte, MaxPlaintext+1), false) },
		"empty":           func(s *Session) { s.Sealer(0).Seal(nil, nil, false) },
		"after the end":   func(s *Session) { x := s.Sealer(0); x.Seal(nil, nil, true); x.Seal(nil, []byte("x"), false) },
		"without a key":   func(*Session) { new(Sealer).Seal(nil, []byte("x"), false) },
		"second sealer":   func(s *Session) { s.Sealer(0); s.Sealer(0) },
		"second opener":   func(s *Session) { s.Opener(5); s.Opener(5) },
		"session wiped":   func(s *Session) { s.Wipe(); s.Sealer(0) },
		"far out of line": func(s *Session) { s.Sealer(4 * (streamWindow + 1)); s.Sealer(0) },
	} {
		s, _ := sessions(t)
		if !panics(func() { use(s) }) {
			t.Errorf("%s goes through", name)
		}
	}
	wantCorrupt(t, "opener without a key", new(Opener), []byte{0, tagSize + 1, recordData, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17})
}

func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}

// TestNoStreamIsKeyedTwice compares the set with a plain map, in the order that
// transports produce: upwards, somewhat mixed, with repetitions.
func TestNoStreamIsKeyedTwice(t *testing.T) {
	chance := rand.New(rand.NewPCG(5, 6))
	var set streamSet
	used := map[uint64]bool{}
	for block := range uint64(300) {
		for _, n := range chance.Perm(64) {
			for _, id := range []uint64{64*block + uint64(n), chance.Uint64N(64*block + 64)} {
				if fresh := set.use(id); fresh == used[id] {
					t.Fatalf("stream %d is fresh: %v", id, fresh)
				}
				used[id] = true
			}
		}
	}
	for kind, run := range set.kinds {
		if len(run.above) > 0 || run.below != 300*64/4 {
			t.Errorf("kind %d: %d streams are remembered one by one from %d on", kind, len(run.above), run.below)
		}
	}
}

func TestSkippedStreamsDoNotPileUp(t *testing.T) {
	var set streamSet
	for n := range uint64(4 * streamWindow) {
		if !set.use(8 * n) { // every second of its kind is never opened
			t.Fatal("a fresh stream is refused")
		}
	}
	if n := len(set.kinds[0].above); n > streamWindow {
		t.Errorf("%d streams are remembered", n)
	}
	for _, id := range []uint64{0, 4, 8} {
		if set.use(id) {
			t.Errorf("stream %d, long given up, is fresh", id)
		}
	}
	if !set.use(1<<62) || set.use(1<<62) || len(set.kinds[0].above) > 1 {
		t.Error("a jump is not taken well")
	}
}

func TestNoNonceIsUsedTwiceWithAKey(t *testing.T) {
	for _, suite := range []Suite{AESGCM, XChaChaPoly} {
		c := cipherState{algorithm: linkAlgorithms.ciphers[suite.String()]}
		c.setKey(repeated(1, keySize))
		seen := map[string]bool{}
		note := func() {
			use := string(c.key[:]) + string(c.nonceOf(c.number))
			if seen[use] {
				t.Fatalf("%s: message %d repeats a nonce", suite, c.number)
			}
			seen[use] = true
		}
		for n := range 2000 {
			note()
			c.seal(nil, nil, []byte("x"))
			if n%100 == 99 {
				c.rekey()
			}
		}
		c.number = noRoom
		if !panics(func() { c.seal(nil, nil, nil) }) || !panics(func() { c.open(nil, nil, make([]byte, tagSize)) }) {
			t.Error("the last number, which rekeying uses, seals a message")
		}
	}
}

func TestNoncesAreLaidOutAsNoiseSays(t *testing.T) {
	for suite, want := range map[Suite][]byte{
		AESGCM:      {0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8},
		XChaChaPoly: append(make([]byte, 16), 8, 7, 6, 5, 4, 3, 2, 1),
	} {
		c := cipherState{algorithm: linkAlgorithms.ciphers[suite.String()]}
		if got := c.nonceOf(0x0102030405060708); !bytes.Equal(got, want) {
			t.Errorf("%s: %x", suite, got)
		}
	}
}

// rekeyAt seals records of the given size until the key changes, opens each,
// and gives the number of records under the first key.
func rekeyAt(t *testing.T, size int) (records int) {
	t.Helper()
	sealer, opener := stream(t, 0)
	first := sealer.cipher.key
	text := make([]byte, size)
	var record, got []byte
	for sealer.cipher.key == first {
		record = sealer.Seal(record[:0], text, false)
		records++
		if rekeyed := sealer.cipher.key != first; rekeyed != (record[3] == flagRekey) {
			t.Fatalf("record %d has flags %#x", records, record[3])
		}
		var err error
		if got, _, err = opener.Open(got[:0], record); err != nil {
			t.Fatalf("record %d: %v", records, err)
		}
	}
	if opener.cipher.key != sealer.cipher.key || sealer.cipher.number != uint64(records) {
		t.Error("the ends have different keys, or the number did not go on")
	}
	for range 3 { // and on they go with the next key
		if _, _, err := opener.Open(nil, sealer.Seal(nil, text, false)); err != nil {
			t.Fatal(err)
		}
	}
	return records
}

func TestKeyChangesByRecords(t *testing.T) {
	if got := rekeyAt(t, 1); got != rekeyRecords {
		t.Errorf("after %d records", got)
	}
}

func TestKeyChangesByBytes(t *testing.T) {
	if got := rekeyAt(t, MaxPlaintext); got != rekeyBytes/MaxPlaintext {
		t.Errorf("after %d records", got)
	}
}

// TestRekeyFlagOutOfPlaceIsRefused, also when a peer with the right key sets
// it: counting is a duty of both ends.
func TestRekeyFlagOutOfPlaceIsRefused(t *testing.T) {
	sealer, opener := stream(t, 0)
	sealer.records = rekeyRecords - 1
	wantCorrupt(t, "early rekey", opener, sealer.Seal(nil, []byte("x"), false))
	sealer, opener = stream(t, 0)
	opener.records = rekeyRecords - 1
	wantCorrupt(t, "no rekey when due", opener, sealer.Seal(nil, []byte("x"), false))
}

// TestRekeyIsNoise compares with section 4.2 of Noise: the first 32 bytes of
// encrypting 32 zeros with the last number and no associated data.
func TestRekeyIsNoise(t *testing.T) {
	c := cipherState{algorithm: cipherAESGCM}
	c.setKey(repeated(3, keySize))
	aead := must(newAESGCM(repeated(3, keySize)))(t)
	want := aead.Seal(nil, slices.Concat(make([]byte, 4), repeated(0xff, 8)), make([]byte, 32), nil)[:32]
	c.number = 77
	c.rekey()
	if !bytes.Equal(c.key[:], want) || c.number != 77 {
		t.Errorf("key %x, number %d", c.key, c.number)
	}
}

func TestSealingDoesNotAllocate(t *testing.T) {
	sealer, opener := stream(t, 0)
	text, record, got := make([]byte, MaxPlaintext), make([]byte, 0, MaxRecord), make([]byte, 0, MaxPlaintext)
	allocations := testing.AllocsPerRun(200, func() {
		record = sealer.Seal(record[:0], text, false)
		var err error
		if got, _, err = opener.Open(got[:0], record); err != nil {
			t.Fatal(err)
		}
	})
	if allocations > 0 {
		t.Errorf("%v allocations per record", allocations)
	}
}
