package demo

import (
	"encoding/binary"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
)

const hoursPerDay = 24

// hourBytes is the width of an hour in the accumulator of by_hour: three i64.
const hourBytes = 3 * 8

// decodeHours reads the accumulator of the kernel by_hour: for each hour the
// count, the sum of delays and the number of late flights, as i64.
func decodeHours(acc []byte) ([]Hour, error) {
	if len(acc) != hoursPerDay*hourBytes {
		return nil, holo.Errorf(holo.Corrupt, "read the table: %d bytes, want %d", len(acc), hoursPerDay*hourBytes)
	}
	hours := make([]Hour, hoursPerDay)
	for i := range hours {
		b := acc[i*hourBytes:]
		hours[i] = Hour{
			Hour:     i,
			Count:    int64(binary.LittleEndian.Uint64(b)),
			SumDelay: int64(binary.LittleEndian.Uint64(b[8:])),
			Late:     int64(binary.LittleEndian.Uint64(b[16:])),
		}
	}
	return hours, nil
}

// totals adds the hours up.
func totals(hours []Hour) (rows, sumDelay int64) {
	for _, h := range hours {
		rows += h.Count
		sumDelay += h.SumDelay
	}
	return rows, sumDelay
}

// cellBytes is the width of one hour of one replicate in the accumulator of
// bootstrap: flights and late flights, two u32.
const cellBytes = 2 * 4

// replicatesFor chooses how many bootstrap replicates to draw, so that the job
// does some seconds of real work whatever the number of rows: about 2.4e8 draws
// of some ten nanoseconds. The accumulator of 192 bytes a replicate stays below
// 1 MiB.
func replicatesFor(rows int) int { return min(max(240_000_000/max(rows, 1), 100), 4000) }

// addIntervals reads the accumulator of the kernel bootstrap and puts each
// hour's 95 % interval of the late share into the table.
func addIntervals(hours []Hour, acc []byte) error {
	replicates := len(acc) / (hoursPerDay * cellBytes)
	if replicates == 0 || len(acc) != replicates*hoursPerDay*cellBytes {
		return holo.Errorf(holo.Corrupt, "read the intervals: %d bytes are no whole number of replicates", len(acc))
	}
	for h := range hours {
		shares := make([]float64, 0, replicates)
		for r := range replicates {
			cell := acc[(r*hoursPerDay+h)*cellBytes:]
			if flights := binary.LittleEndian.Uint32(cell); flights > 0 {
				shares = append(shares, float64(binary.LittleEndian.Uint32(cell[4:]))/float64(flights))
			}
		}
		hours[h].LateLow, hours[h].LateHigh = quantile(shares, 0.025), quantile(shares, 0.975)
	}
	return nil
}

// quantile is the nearest-rank quantile of values, 0 of none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(int(q*float64(len(values))), len(values)-1)]
}
