package demo

import (
	"encoding/binary"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func TestHoursAreReadAsTheKernelWritesThem(t *testing.T) {
	acc := make([]byte, hoursPerDay*hourBytes)
	for h := range hoursPerDay {
		for field, v := range []int64{int64(h) + 1, -int64(h), int64(h) / 2} {
			binary.LittleEndian.PutUint64(acc[h*hourBytes+8*field:], uint64(v))
		}
	}
	hours, err := decodeHours(acc)
	if err != nil {
		t.Fatal(err)
	}
	rows, sum := totals(hours)
	if rows != 300 || sum != -276 || hours[23] != (Hour{Hour: 23, Count: 24, SumDelay: -23, Late: 11}) {
		t.Errorf("%d rows, sum %d, last %+v", rows, sum, hours[23])
	}
	if _, err := decodeHours(acc[1:]); holo.KindOf(err) != holo.Corrupt {
		t.Errorf("an accumulator one byte short: %v", err)
	}
}

func TestIntervalsAreTheQuantilesOfTheReplicates(t *testing.T) {
	const replicates = 1000
	acc := make([]byte, replicates*hoursPerDay*cellBytes)
	for r := range replicates {
		cell := acc[(r*hoursPerDay+5)*cellBytes:]
		binary.LittleEndian.PutUint32(cell, 1000)
		binary.LittleEndian.PutUint32(cell[4:], uint32((r*7)%replicates)) // each of 0 to 999 once, shuffled
	}
	hours := make([]Hour, hoursPerDay)
	if err := addIntervals(hours, acc); err != nil {
		t.Fatal(err)
	}
	if hours[5].LateLow != 0.025 || hours[5].LateHigh != 0.975 || hours[6].LateHigh != 0 {
		t.Errorf("hour 5: %v to %v, hour 6: to %v", hours[5].LateLow, hours[5].LateHigh, hours[6].LateHigh)
	}
	if err := addIntervals(hours, acc[:len(acc)-1]); holo.KindOf(err) != holo.Corrupt {
		t.Errorf("a replicate cut off: %v", err)
	}
}

// The accumulator of the bootstrap must fit its limit of 1 MiB whatever the
// number of flights.
func TestReplicatesFitTheAccumulator(t *testing.T) {
	for _, rows := range []int{0, 1, 1000, 200_000, 3_000_000, 1 << 40} {
		n := replicatesFor(rows)
		if n < 100 || n*hoursPerDay*cellBytes > 1<<20 {
			t.Errorf("%d rows: %d replicates", rows, n)
		}
	}
}

func TestTablesOfUnequalIntegersAreTold(t *testing.T) {
	a := []Hour{{Hour: 1, Count: 2, SumDelay: 3, Late: 1, LateLow: 0.1}}
	for _, b := range [][]Hour{{{Hour: 1, Count: 9, SumDelay: 3, Late: 1}}, {{Hour: 1, Count: 2, SumDelay: 9, Late: 1}}, {{Hour: 1, Count: 2, SumDelay: 3, Late: 9}}, nil} {
		if sameIntegers(a, b) {
			t.Errorf("%v passes for %v", b, a)
		}
	}
	if !sameIntegers(a, []Hour{{Hour: 1, Count: 2, SumDelay: 3, Late: 1}}) {
		t.Error("intervals are no integers: they do not count")
	}
}

func TestTheBuiltInFlightsAreWhatTheNoticeSays(t *testing.T) {
	f, err := openFlights("")
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if f.rows != 200_000 {
		t.Errorf("%d flights", f.rows)
	}
	for _, c := range columns {
		name, err := f.reader(c.name, c.typ)
		if err != nil || name != c.name {
			t.Errorf("column %s: %q, %v", c.name, name, err)
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	for v, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(v); got != want {
			t.Errorf("%d: %s", v, got)
		}
	}
	for v, want := range map[uint64]string{5: "5 B", 1536: "1.5 KiB", 3 << 20: "3.0 MiB", 5 << 29: "2.5 GiB"} {
		if got := bytesText(v); got != want {
			t.Errorf("%d: %s", v, got)
		}
	}
}
