/* The k largest or smallest elements and where they are. Of equal ones those
 * with the lower index come first, so the answer is one and the same whatever
 * the order of work. NaNs are counted and left out; -0 is less than +0. */
#include "exact.h"

/* An element as an integer: the larger, the earlier in the answer. */
struct place {
	u64 rank, index;
};

struct top {
	u8 type; /* enum holo_type; 0: nothing was added yet */
	u8 reserved[3];
	u32 have; /* places in use, a heap: the last in the answer at the root */
	u64 nans;
	struct place places[];
};
_Static_assert(sizeof(struct top) == 16, "top");

static inline int ahead(struct place a, struct place b) { return a.rank != b.rank ? a.rank > b.rank : a.index < b.index; }

static void sink(struct place *heap, u32 n, struct place p) {
	u32 at = 0;
	for (u32 child; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && ahead(heap[child], heap[child + 1]))
			child++;
		if (!ahead(p, heap[child]))
			break;
		heap[at] = heap[child];
	}
	heap[at] = p;
}

static void offer(struct top *t, u32 k, struct place p) {
	if (t->have == k) {
		if (ahead(p, t->places[0]))
			sink(t->places, k, p);
		return;
	}
	u32 at = t->have++;
	for (; at > 0 && ahead(t->places[(at - 1) / 2], p); at = (at - 1) / 2)
		t->places[at] = t->places[(at - 1) / 2];
	t->places[at] = p;
}

static inline u64 order_signed(i64 x) { return (u64)x ^ 1ull << 63; }
static inline u64 order_unsigned(u64 x) { return x; }
static inline u64 order_float(f64 x) {
	u64 b = f64_bits(x);
	return b ^ ((u64)((i64)b >> 63) | 1ull << 63);
}

#define RANKED(T, ORDER) { const T *a = HOLO_IN(d, 0)->ptr; \
	for (u32 i = 0; i < d->n; i++) { \
		if (a[i] != a[i]) { acc->nans++; continue; } \
		offer(acc, k, (struct place){ORDER(a[i]) ^ flip, d->first_index + i}); } \
	return HOLO_OK; }

/* red top. Parameters: u32, 0 for the largest or 1 for the smallest.
 * Accumulator: 16 + 16 * k bytes. The rank of a place is the element as an i64
 * with its sign bit turned, a u64, or an f64 with its sign bit turned and, where
 * it is negative, all others too; for the smallest all bits are turned. */
HOLO_KERNEL(red, top) {
	if (d->n_in != 1)
		return HOLO_BAD_VIEWS;
	if (d->params_len != 4 || *(const u32 *)d->params > 1)
		return HOLO_BAD_PARAMS;
	struct top *acc = d->acc;
	u32 k = (d->acc_len - 16) / 16;
	u8 type = HOLO_IN(d, 0)->type;
	if (d->acc_len < 32 || d->acc_len % 16 != 0 || (acc->type != 0 && acc->type != type) || acc->have > k)
		return HOLO_BAD_ACC;
	u64 flip = -(u64) * (const u32 *)d->params;
	acc->type = type;
	switch (type) {
	case HOLO_I8: RANKED(i8, order_signed)
	case HOLO_I16: RANKED(i16, order_signed)
	case HOLO_I32: RANKED(i32, order_signed)
	case HOLO_I64: RANKED(i64, order_signed)
	case HOLO_U8: RANKED(u8, order_unsigned)
	case HOLO_U16: RANKED(u16, order_unsigned)
	case HOLO_U32: RANKED(u32, order_unsigned)
	case HOLO_U64: RANKED(u64, order_unsigned)
	case HOLO_F32: RANKED(f32, order_float)
	case HOLO_F64: RANKED(f64, order_float)
	}
	return HOLO_BAD_VIEWS;
}

HOLO_KERNEL(comb, top) {
	struct top *a = d->acc;
	const struct top *b = HOLO_IN(d, 0)->ptr;
	u32 k = (d->acc_len - 16) / 16;
	if (d->acc_len < 32 || d->acc_len % 16 != 0 || a->have > k || b->have > k || (a->type != 0 && b->type != 0 && a->type != b->type))
		return HOLO_BAD_ACC;
	if (a->type == 0)
		a->type = b->type;
	a->nans += b->nans;
	for (u32 i = 0; i < b->have; i++)
		offer(a, k, b->places[i]);
	return HOLO_OK;
}
