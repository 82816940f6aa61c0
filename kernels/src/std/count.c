/* How many elements compare so with a constant, and how many lie in each of
 * several bins. */
#include "../../holo.h"

enum comparison { EQ = 1, NE, LT, LE, GT, GE };

struct count_params {
	u32 comparison, reserved;
	u64 value; /* an i64, u64 or f64 */
};

struct count {
	u64 count, nans;
};

#define COUNT(OP) for (u32 i = 0; i < n; i++) count += a[i] OP value; break;
#define COMPARED(T, W) { const T *a = HOLO_IN(d, 0)->ptr; W value = ((union { u64 u; W w; }){p->value}).w; u64 count = 0, nans = 0; \
	switch (p->comparison) { \
	case EQ: COUNT(==) case NE: COUNT(!=) case LT: COUNT(<) case LE: COUNT(<=) case GT: COUNT(>) case GE: COUNT(>=) \
	default: return HOLO_BAD_PARAMS; } \
	for (u32 i = 0; i < n; i++) nans += a[i] != a[i]; \
	acc->count += count, acc->nans += nans; return HOLO_OK; }

/* red count: elements x for which (x comparison value) holds. NaN is not equal
 * to anything, and neither less nor more. Accumulator: 16 bytes. */
HOLO_KERNEL(red, count) {
	if (d->n_in != 1)
		return HOLO_BAD_VIEWS;
	const struct count_params *p = d->params;
	if (d->params_len != sizeof *p || p->reserved != 0)
		return HOLO_BAD_PARAMS;
	struct count *acc = d->acc;
	if (d->acc_len != sizeof *acc)
		return HOLO_BAD_ACC;
	u32 n = d->n;
	switch (HOLO_IN(d, 0)->type) {
	case HOLO_I8: COMPARED(i8, i64)
	case HOLO_I16: COMPARED(i16, i64)
	case HOLO_I32: COMPARED(i32, i64)
	case HOLO_I64: COMPARED(i64, i64)
	case HOLO_U8: COMPARED(u8, u64)
	case HOLO_U16: COMPARED(u16, u64)
	case HOLO_U32: COMPARED(u32, u64)
	case HOLO_U64: COMPARED(u64, u64)
	case HOLO_F32: COMPARED(f32, f64)
	case HOLO_F64: COMPARED(f64, f64)
	}
	return HOLO_BAD_VIEWS;
}

static i32 add_counters(struct holo_desc *d) {
	u64 *acc = d->acc;
	const u64 *other = HOLO_IN(d, 0)->ptr;
	for (u32 i = 0; i < d->acc_len / 8; i++)
		acc[i] += other[i];
	return HOLO_OK;
}

HOLO_KERNEL(comb, count) { return add_counters(d); }

/* Bin i holds what is at least edge[i] and less than edge[i+1]; the last one
 * holds its upper edge too. */
struct histogram {
	u64 below, above, nans, reserved;
	u64 bins[];
};

/* The bin is guessed as if all were of equal width, and then found by comparing
 * with its edges, so edges that are not equally far apart only cost time. The
 * guess is the number of any bin. */
#define BINNED(T) { const T *a = HOLO_IN(d, 0)->ptr, *edge = d->params; \
	if (d->params_len != edges * sizeof(T)) return HOLO_BAD_PARAMS; \
	u32 last = edges - 1; \
	f64 low = edge[0], scale = last / ((f64)edge[last] - low); \
	for (u32 i = 0; i < n; i++) { T x = a[i]; \
		if (x != x) { acc->nans++; continue; } \
		if (x < edge[0]) { acc->below++; continue; } \
		if (x >= edge[last]) { if (x == edge[last]) acc->bins[last - 1]++; else acc->above++; continue; } \
		f64 guess = ((f64)x - low) * scale; \
		u32 at = guess < last ? (guess > 0 ? (u32)guess : 0) : last - 1; \
		while (at > 0 && edge[at] > x) at--; \
		while (at + 1 < last && edge[at + 1] <= x) at++; \
		acc->bins[at]++; } \
	return HOLO_OK; }

/* red histogram: elements between edges. Parameters: the edges, two or more,
 * never falling, of the input's type. Accumulator: 32 + 8 * bins bytes. */
HOLO_KERNEL(red, histogram) {
	if (d->n_in != 1)
		return HOLO_BAD_VIEWS;
	struct histogram *acc = d->acc;
	if (d->acc_len < sizeof *acc + 8 || d->acc_len % 8 != 0)
		return HOLO_BAD_ACC;
	u32 n = d->n, edges = (d->acc_len - sizeof *acc) / 8 + 1;
	switch (HOLO_IN(d, 0)->type) {
	case HOLO_I8: BINNED(i8)
	case HOLO_I16: BINNED(i16)
	case HOLO_I32: BINNED(i32)
	case HOLO_I64: BINNED(i64)
	case HOLO_U8: BINNED(u8)
	case HOLO_U16: BINNED(u16)
	case HOLO_U32: BINNED(u32)
	case HOLO_U64: BINNED(u64)
	case HOLO_F32: BINNED(f32)
	case HOLO_F64: BINNED(f64)
	}
	return HOLO_BAD_VIEWS;
}

HOLO_KERNEL(comb, histogram) { return add_counters(d); }
