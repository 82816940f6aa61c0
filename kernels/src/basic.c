/* Elementwise arithmetic and whole-array sums over numeric columns. */
#include "../holo.h"

#define EACH(type, body) { type *restrict out = HOLO_OUT(d, 0)->ptr; const type *a = HOLO_IN(d, 0)->ptr; \
	for (u32 i = 0, n = d->n; i < n; i++) { body; } return HOLO_OK; }

/* map scale: out = a * factor. Parameters: factor, of the views' type. */
HOLO_KERNEL(map, scale) {
	if (d->n_in != 1 || d->n_out != 1 || HOLO_IN(d, 0)->type != HOLO_OUT(d, 0)->type)
		return HOLO_BAD_VIEWS;
	if (d->params_len != HOLO_IN(d, 0)->stride)
		return HOLO_BAD_PARAMS;
	switch (HOLO_IN(d, 0)->type) {
	case HOLO_F32: { f32 k = *(const f32 *)d->params; EACH(f32, out[i] = a[i] * k) }
	case HOLO_F64: { f64 k = *(const f64 *)d->params; EACH(f64, out[i] = a[i] * k) }
	case HOLO_I32: { u32 k = *(const u32 *)d->params; EACH(u32, out[i] = a[i] * k) }
	case HOLO_I64: { u64 k = *(const u64 *)d->params; EACH(u64, out[i] = a[i] * k) }
	}
	return HOLO_BAD_VIEWS;
}

/* map add: out = a + b, all of one type; integers wrap. */
HOLO_KERNEL(map, add) {
	if (d->n_in != 2 || d->n_out != 1)
		return HOLO_BAD_VIEWS;
	u8 type = HOLO_IN(d, 0)->type;
	if (HOLO_IN(d, 1)->type != type || HOLO_OUT(d, 0)->type != type)
		return HOLO_BAD_VIEWS;
	const void *bp = HOLO_IN(d, 1)->ptr;
	switch (type) {
	case HOLO_F32: { const f32 *b = bp; EACH(f32, out[i] = a[i] + b[i]) }
	case HOLO_F64: { const f64 *b = bp; EACH(f64, out[i] = a[i] + b[i]) }
	case HOLO_I8: case HOLO_U8: { const u8 *b = bp; EACH(u8, out[i] = a[i] + b[i]) }
	case HOLO_I16: case HOLO_U16: { const u16 *b = bp; EACH(u16, out[i] = a[i] + b[i]) }
	case HOLO_I32: case HOLO_U32: { const u32 *b = bp; EACH(u32, out[i] = a[i] + b[i]) }
	case HOLO_I64: case HOLO_U64: { const u64 *b = bp; EACH(u64, out[i] = a[i] + b[i]) }
	}
	return HOLO_BAD_VIEWS;
}

/* The statistics of one column. Which of the fields hold depends on the type:
 * integers have exact sums (wrapping) and extremes in isum, imin, imax; floats
 * in fsum, fmin, fmax. fsum is the sum of eight lanes, lane k taking the
 * elements of global index k mod 8, so that it depends on the order of the
 * extents and on nothing else. NaNs are counted and left out. */
struct stats {
	u64 count, nans;
	i64 isum, imin, imax;
	f64 fmin, fmax;
	f64 lanes[8];
};

#define INTEGERS(type) { const type *a = HOLO_IN(d, 0)->ptr; \
	i64 lo = acc->count ? acc->imin : (i64)a[0], hi = acc->count ? acc->imax : (i64)a[0]; u64 sum = 0; \
	for (u32 i = 0; i < d->n; i++) { i64 x = (i64)a[i]; sum += (u64)x; lo = x < lo ? x : lo; hi = x > hi ? x : hi; } \
	acc->isum = (i64)((u64)acc->isum + sum); acc->imin = lo; acc->imax = hi; acc->count += d->n; return HOLO_OK; }

#define FLOATS(type) { const type *a = HOLO_IN(d, 0)->ptr; \
	for (u32 i = 0; i < d->n; i++) { f64 x = a[i]; \
		if (x != x) { acc->nans++; continue; } \
		if (acc->count == 0 || x < acc->fmin) acc->fmin = x; \
		if (acc->count == 0 || x > acc->fmax) acc->fmax = x; \
		acc->count++; acc->lanes[(d->first_index + i) & 7] += x; } \
	return HOLO_OK; }

/* red stats: count, sum, least and greatest of a column. u64 above 2^63 is not taken. */
HOLO_KERNEL(red, stats) {
	if (d->n_in != 1)
		return HOLO_BAD_VIEWS;
	if (d->acc_len != sizeof(struct stats))
		return HOLO_BAD_ACC;
	struct stats *acc = d->acc;
	switch (HOLO_IN(d, 0)->type) {
	case HOLO_I8: INTEGERS(i8)
	case HOLO_I16: INTEGERS(i16)
	case HOLO_I32: INTEGERS(i32)
	case HOLO_I64: INTEGERS(i64)
	case HOLO_U8: INTEGERS(u8)
	case HOLO_U16: INTEGERS(u16)
	case HOLO_U32: INTEGERS(u32)
	case HOLO_F32: FLOATS(f32)
	case HOLO_F64: FLOATS(f64)
	}
	return HOLO_BAD_VIEWS;
}

HOLO_KERNEL(comb, stats) {
	if (d->acc_len != sizeof(struct stats))
		return HOLO_BAD_ACC;
	struct stats *a = d->acc;
	const struct stats *b = HOLO_IN(d, 0)->ptr;
	a->nans += b->nans;
	if (b->count == 0)
		return HOLO_OK;
	if (a->count == 0 || b->imin < a->imin) a->imin = b->imin;
	if (a->count == 0 || b->imax > a->imax) a->imax = b->imax;
	if (a->count == 0 || b->fmin < a->fmin) a->fmin = b->fmin;
	if (a->count == 0 || b->fmax > a->fmax) a->fmax = b->fmax;
	a->count += b->count;
	a->isum = (i64)((u64)a->isum + (u64)b->isum);
	for (u32 k = 0; k < 8; k++)
		a->lanes[k] += b->lanes[k];
	return HOLO_OK;
}

/* fin sum: one element, the sum of a stats accumulator: i64, or f64 by a fixed
 * tree over the lanes. */
HOLO_KERNEL(fin, sum) {
	if (d->acc_len != sizeof(struct stats))
		return HOLO_BAD_ACC;
	if (d->n_out != 1 || HOLO_OUT(d, 0)->len != 8)
		return HOLO_BAD_VIEWS;
	const struct stats *a = d->acc;
	const f64 *l = a->lanes;
	switch (HOLO_OUT(d, 0)->type) {
	case HOLO_I64: *(i64 *)HOLO_OUT(d, 0)->ptr = a->isum; return HOLO_OK;
	case HOLO_F64: *(f64 *)HOLO_OUT(d, 0)->ptr = ((l[0] + l[1]) + (l[2] + l[3])) + ((l[4] + l[5]) + (l[6] + l[7])); return HOLO_OK;
	}
	return HOLO_BAD_VIEWS;
}

/* red histogram: counts of values in equal bins from low to high; the first
 * counter is for what is below or NaN, the last for high and above.
 * Parameters: low f64, high f64. Accumulator: bins + 2 counters, u64. */
struct histogram_params {
	f64 low, high;
};

/* Bins are worked out for a block of elements, without a branch, so with vectors;
 * then counted. A bin is the low half of a double: 2^52 more than the number, or
 * 0. Neighbours are often of one bin: each has four counters, in scratch, so that
 * one need not wait for the other. */
enum { BLOCK = 256, LANES = 4, MAX_LANED = 512 };

union bin { f64 number; u32 low; };

struct histogram {
	f64 low, high, scale, last;
	union bin bin[BLOCK];
};

#define TWO_52 4503599627370496.0
#define BINS(type) { const type *a = (const type *)HOLO_IN(d, 0)->ptr + from; \
	_Pragma("clang loop interleave_count(1)") for (u32 i = 0; i < n; i++) { \
		f64 x = (f64)a[i], t = __builtin_trunc((x - h->low) * h->scale); \
		t = (t > h->last ? h->last : t) + (TWO_52 + 1); \
		t = x >= h->low ? t : 0; \
		h->bin[i].number = x >= h->high ? h->last + (TWO_52 + 2) : t; } \
	return; }

static void bins_of(struct histogram *restrict h, const struct holo_desc *d, u32 from, u32 n) {
	switch (HOLO_IN(d, 0)->type) {
	case HOLO_I8: BINS(i8)
	case HOLO_I16: BINS(i16)
	case HOLO_I32: BINS(i32)
	case HOLO_I64: BINS(i64)
	case HOLO_U8: BINS(u8)
	case HOLO_U16: BINS(u16)
	case HOLO_U32: BINS(u32)
	case HOLO_U64: BINS(u64)
	case HOLO_F32: BINS(f32)
	case HOLO_F64: BINS(f64)
	}
}

static void count(u32 (*lanes)[LANES], const union bin *bin, u32 n) {
	for (u32 k = 0; k < n; k += LANES) {
		lanes[bin[k].low][0]++;
		lanes[bin[k + 1].low][1]++;
		lanes[bin[k + 2].low][2]++;
		lanes[bin[k + 3].low][3]++;
	}
}

/* drain adds the counters of each bin up, and leaves zeros. */
static void drain(u64 *acc, u32 (*lanes)[LANES], u32 bins) {
	for (u32 i = 0; i < bins; i++)
		for (u32 k = 0; k < LANES; k++) {
			acc[i] += lanes[i][k];
			lanes[i][k] = 0;
		}
}

HOLO_KERNEL(red, histogram) {
	if (d->n_in != 1)
		return HOLO_BAD_VIEWS;
	if (d->acc_len % 8 != 0 || d->acc_len < 3 * 8)
		return HOLO_BAD_ACC;
	const struct histogram_params *p = d->params;
	u32 counters = d->acc_len / 8, laned = counters <= MAX_LANED;
	if (d->params_len != sizeof *p || !(p->low < p->high) || p->high - p->low > 1.7e308 || (counters - 2) / (p->high - p->low) > 1.7e308)
		return HOLO_BAD_PARAMS;
	u64 *acc = d->acc;
	u32 (*lanes)[LANES] = d->scratch;
	struct histogram h = { p->low, p->high, (counters - 2) / (p->high - p->low), counters - 3, {{0}} };
	for (u32 i = 0, n; i < d->n; i += n) {
		n = d->n - i < BLOCK ? d->n - i : BLOCK;
		bins_of(&h, d, i, n);
		u32 done = laned ? n / LANES * LANES : 0;
		count(lanes, h.bin, done);
		for (u32 k = done; k < n; k++)
			acc[h.bin[k].low]++;
	}
	if (laned)
		drain(acc, lanes, counters);
	return HOLO_OK;
}

HOLO_KERNEL(comb, histogram) {
	u64 *acc = d->acc;
	const u64 *other = HOLO_IN(d, 0)->ptr;
	for (u32 i = 0; i < d->acc_len / 8; i++)
		acc[i] += other[i];
	return HOLO_OK;
}
