/* The exact dot product of two columns of one type. A product that is not a
 * number (a NaN, or 0 times infinity) is counted and left out. */
#include "exact.h"

struct dot {
	u8 type; /* enum holo_type; 0: nothing was added yet */
	u8 reserved[7];
	u64 count, nans;  /* products that are numbers, and that are not */
	u64 above, below; /* of count: +infinity and -infinity, from an infinite factor */
	u64 reserved2[3];
	i64 digits[];
};
_Static_assert(sizeof(struct dot) == 64, "dot");

#define INTEGERS(T, PUT) { const T *a = HOLO_IN(d, 0)->ptr, *b = HOLO_IN(d, 1)->ptr; \
	struct digits s = {0}; \
	for (u32 i = 0; i < n; i++) PUT; \
	take(acc->digits, &s, 6); acc->count += n; return HOLO_OK; }

#define NARROW_SIGNED(T) INTEGERS(T, put_narrow(&s, (i64)a[i] * b[i]))
#define NARROW(T) INTEGERS(T, put_unsigned(&s, (u64)a[i] * b[i]))

#define FLOATS(T, PRODUCTS, PUT) { const T *a = HOLO_IN(d, 0)->ptr, *b = HOLO_IN(d, 1)->ptr; \
	for (u32 from = 0; from < n; from += PUTS) { \
		u32 to = from + PUTS < n ? from + PUTS : n; \
		for (u32 i = from; i < to; i++) { \
			if (!T##_finite(a[i]) || !T##_finite(b[i])) { special(acc, (f64)a[i] * (f64)b[i]); continue; } \
			acc->count++; \
			PUT(acc->digits, T##_parts(a[i]), T##_parts(b[i])); } \
		carry(acc->digits, PRODUCTS); } \
	return HOLO_OK; }

static void special(struct dot *acc, f64 product) {
	u64 nan = product != product;
	acc->nans += nan, acc->count += !nan, acc->above += product > 0, acc->below += product < 0;
}

/* red dot: two inputs. Accumulator: 64 + 8 * digits of a product. */
HOLO_KERNEL(red, dot) {
	if (d->n_in != 2 || HOLO_IN(d, 0)->type != HOLO_IN(d, 1)->type)
		return HOLO_BAD_VIEWS;
	if (d->params_len != 0)
		return HOLO_BAD_PARAMS;
	struct dot *acc = d->acc;
	u8 type = HOLO_IN(d, 0)->type;
	u32 n = d->n, products = product_digits(type);
	if (products == 0)
		return HOLO_BAD_VIEWS;
	if (d->acc_len != sizeof *acc + 8 * products || (acc->type != 0 && acc->type != type))
		return HOLO_BAD_ACC;
	acc->type = type;
	switch (type) {
	case HOLO_I8: NARROW_SIGNED(i8)
	case HOLO_I16: NARROW_SIGNED(i16)
	case HOLO_I32: NARROW_SIGNED(i32)
	case HOLO_I64: INTEGERS(i64, put_i64(&s, a[i], b[i]))
	case HOLO_U8: NARROW(u8)
	case HOLO_U16: NARROW(u16)
	case HOLO_U32: NARROW(u32)
	case HOLO_U64: INTEGERS(u64, put_u64(&s, a[i], b[i]))
	case HOLO_F32: FLOATS(f32, 20, put_small)
	case HOLO_F64: FLOATS(f64, 134, put_product)
	}
	return HOLO_BAD_VIEWS;
}

HOLO_KERNEL(comb, dot) {
	struct dot *a = d->acc;
	const struct dot *b = HOLO_IN(d, 0)->ptr;
	if (d->acc_len < sizeof *a)
		return HOLO_BAD_ACC;
	if (b->type == 0)
		return HOLO_OK;
	if (a->type == 0)
		a->type = b->type;
	u32 products = product_digits(a->type);
	if (a->type != b->type || products == 0 || d->acc_len != sizeof *a + 8 * products)
		return HOLO_BAD_ACC;
	a->count += b->count, a->nans += b->nans, a->above += b->above, a->below += b->below;
	add_digits(a->digits, b->digits, products);
	return HOLO_OK;
}
