/* The cumulative sum, in two passes: the total of each extent, and then each
 * element's sum within its extent, added to that of all extents before. Integers
 * wrap around, as do those of std/elementwise. Floats are added as f64, an
 * extent's elements in order, and rounded to their type at the end: the
 * same on any nodes, and other bits for other extents. */
#include "../../holo.h"

/* Parameters: elements of an extent, and of the second pass what comes before
 * each extent, an i64, u64 or f64. */
struct cumsum_params {
	u64 extent;
	u64 before[];
};

union word {
	u64 integer;
	f64 real;
};

/* An instance is a task, that is an extent; its calls go through it in order. */
static union word sum;

#define INTEGERS(T) for (u32 i = 0; i < d->n; i++) { sum.integer += (u64)((const T *)in)[i]; \
	if (out) ((T *)out)[i] = (T)(before.integer + sum.integer); } return HOLO_OK;
#define FLOATS(T) for (u32 i = 0; i < d->n; i++) { sum.real += (f64)((const T *)in)[i]; \
	if (out) ((T *)out)[i] = (T)(before.real + sum.real); } return HOLO_OK;

/* run goes on with the sum; out is nothing in the first pass. */
static i32 run(struct holo_desc *d, void *out, union word before) {
	const void *in = HOLO_IN(d, 0)->ptr;
	switch (HOLO_IN(d, 0)->type) {
	case HOLO_I8: INTEGERS(i8)
	case HOLO_I16: INTEGERS(i16)
	case HOLO_I32: INTEGERS(i32)
	case HOLO_I64: INTEGERS(i64)
	case HOLO_U8: INTEGERS(u8)
	case HOLO_U16: INTEGERS(u16)
	case HOLO_U32: INTEGERS(u32)
	case HOLO_U64: INTEGERS(u64)
	case HOLO_F32: FLOATS(f32)
	case HOLO_F64: FLOATS(f64)
	}
	return HOLO_BAD_VIEWS;
}

/* red totals: one word for each extent; those of others stay 0. */
HOLO_KERNEL(red, totals) {
	const struct cumsum_params *p = d->params;
	if (d->n_in != 1)
		return HOLO_BAD_VIEWS;
	if (d->params_len != sizeof *p || p->extent == 0)
		return HOLO_BAD_PARAMS;
	u64 extent = d->first_index / p->extent, *acc = d->acc;
	if (d->acc_len % 8 != 0 || extent >= d->acc_len / 8)
		return HOLO_BAD_ACC;
	i32 bad = run(d, 0, (union word){0});
	acc[extent] = sum.integer;
	return bad;
}

HOLO_KERNEL(comb, totals) {
	u64 *a = d->acc;
	const u64 *b = HOLO_IN(d, 0)->ptr;
	for (u32 i = 0; i < d->acc_len / 8; i++)
		a[i] |= b[i]; /* one of them is 0 */
	return HOLO_OK;
}

/* map cumsum: an input and an output of one type. */
HOLO_KERNEL(map, cumsum) {
	const struct cumsum_params *p = d->params;
	if (d->n_in != 1 || d->n_out != 1 || HOLO_IN(d, 0)->type != HOLO_OUT(d, 0)->type)
		return HOLO_BAD_VIEWS;
	if (d->params_len < sizeof *p || p->extent == 0)
		return HOLO_BAD_PARAMS;
	u64 extent = d->first_index / p->extent;
	if (extent >= (d->params_len - sizeof *p) / 8)
		return HOLO_BAD_PARAMS;
	return run(d, HOLO_OUT(d, 0)->ptr, (union word){p->before[extent]});
}
