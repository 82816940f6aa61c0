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

static f64 value_at(const struct holo_view *v, u32 i) {
	switch (v->type) {
	case HOLO_I8: return ((const i8 *)v->ptr)[i];
	case HOLO_I16: return ((const i16 *)v->ptr)[i];
	case HOLO_I32: return ((const i32 *)v->ptr)[i];
	case HOLO_I64: return ((const i64 *)v->ptr)[i];
	case HOLO_U8: return ((const u8 *)v->ptr)[i];
	case HOLO_U16: return ((const u16 *)v->ptr)[i];
	case HOLO_U32: return ((const u32 *)v->ptr)[i];
	case HOLO_U64: return ((const u64 *)v->ptr)[i];
	case HOLO_F32: return ((const f32 *)v->ptr)[i];
	default: return ((const f64 *)v->ptr)[i];
	}
}

HOLO_KERNEL(red, histogram) {
	if (d->n_in != 1)
		return HOLO_BAD_VIEWS;
	if (d->acc_len % 8 != 0 || d->acc_len < 3 * 8)
		return HOLO_BAD_ACC;
	const struct histogram_params *p = d->params;
	if (d->params_len != sizeof *p || !(p->low < p->high) || p->high - p->low > 1.7e308)
		return HOLO_BAD_PARAMS;
	u32 bins = d->acc_len / 8 - 2;
	u64 *acc = d->acc;
	f64 scale = bins / (p->high - p->low);
	for (u32 i = 0; i < d->n; i++) {
		f64 x = value_at(HOLO_IN(d, 0), i);
		u32 bin = 0;
		if (x >= p->high) {
			bin = bins + 1;
		} else if (x >= p->low) {
			u32 b = (u32)((x - p->low) * scale);
			bin = 1 + (b < bins ? b : bins - 1);
		}
		acc[bin]++;
	}
	return HOLO_OK;
}

HOLO_KERNEL(comb, histogram) {
	u64 *acc = d->acc;
	const u64 *other = HOLO_IN(d, 0)->ptr;
	for (u32 i = 0; i < d->acc_len / 8; i++)
		acc[i] += other[i];
	return HOLO_OK;
}
