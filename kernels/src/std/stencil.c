/* Weighted sums of neighbours: smoothing, differences, convolutions. */
#include "../../holo.h"

enum { BLOCK = 512 }; /* sums that are made at once, on the stack */

/* Each sum begins with 0 and takes the neighbours from the first to the last. */
#define EACH(T, WIDE) { \
	const WIDE *weights = d->params; \
	const T *from = (const T *)in->ptr - in->halo; \
	T *restrict to = out->ptr; \
	for (u32 left = d->n, n; left > 0; left -= n, from += n, to += n) { \
		WIDE sums[BLOCK] = {0}; \
		n = left < BLOCK ? left : BLOCK; \
		for (u32 j = 0; j < count; j++) { \
			WIDE weight = weights[j]; \
			for (u32 i = 0; i < n; i++) sums[i] += weight * (WIDE)from[i + j]; } \
		for (u32 i = 0; i < n; i++) to[i] = (T)sums[i]; } \
	return HOLO_OK; }

/* map stencil: an input and an output of one type. Parameters: a weight for each
 * of the 2 x halo + 1 neighbours, the first one before the element: f64 for
 * floats, which are summed up as f64 and rounded once; i64 or u64 for integers,
 * which wrap around. */
HOLO_KERNEL(map, stencil) {
	if (d->n_in != 1 || d->n_out != 1)
		return HOLO_BAD_VIEWS;
	const struct holo_view *in = HOLO_IN(d, 0), *out = HOLO_OUT(d, 0);
	u32 count = 2 * in->halo + 1;
	if (in->type != out->type)
		return HOLO_BAD_VIEWS;
	if (d->params_len != 8 * count)
		return HOLO_BAD_PARAMS;
	switch (in->type) {
	case HOLO_I8: EACH(i8, u64)
	case HOLO_I16: EACH(i16, u64)
	case HOLO_I32: EACH(i32, u64)
	case HOLO_I64: EACH(i64, u64)
	case HOLO_U8: EACH(u8, u64)
	case HOLO_U16: EACH(u16, u64)
	case HOLO_U32: EACH(u32, u64)
	case HOLO_U64: EACH(u64, u64)
	case HOLO_F32: EACH(f32, f64)
	case HOLO_F64: EACH(f64, f64)
	}
	return HOLO_BAD_VIEWS;
}
