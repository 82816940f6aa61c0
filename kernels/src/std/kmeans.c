/* One step of k-means: which centroid each row is nearest to, and for each
 * centroid how many rows are, and their sum. A row is a run of elements of one
 * column, or an element of each of several columns of one type. Of centroids
 * equally near the first counts. A row with a NaN or an infinity is counted and
 * left out. Sums are f64, row by row, and combined in the host's fixed tree. */
#include "../../holo.h"

enum { MOST = 1024 }; /* dimensions */

struct kmeans_params {
	u32 k, dims;
	f64 centroid[]; /* k times dims */
};

struct cluster {
	u64 rows;
	f64 sum[]; /* dims */
};

struct kmeans {
	u64 skipped; /* rows that are left out */
	f64 inertia; /* squared distances to the nearest centroids, added up */
	u8 clusters[]; /* k struct cluster */
};

static u32 cluster_size(u32 dims) { return sizeof(struct cluster) + 8 * dims; }

static u64 acc_size(const struct kmeans_params *p) { return sizeof(struct kmeans) + (u64)p->k * cluster_size(p->dims); }

#define LOAD(T) for (u32 j = 0; j < dims; j++) row[j] = (f64)*(const T *)(at[j] + offset); break;

/* load makes f64 of a row, whose elements lie at an offset of at. */
static int load(f64 *row, const u8 **at, u32 offset, u32 dims, u8 type) {
	switch (type) {
	case HOLO_I8: LOAD(i8)
	case HOLO_I16: LOAD(i16)
	case HOLO_I32: LOAD(i32)
	case HOLO_I64: LOAD(i64)
	case HOLO_U8: LOAD(u8)
	case HOLO_U16: LOAD(u16)
	case HOLO_U32: LOAD(u32)
	case HOLO_U64: LOAD(u64)
	case HOLO_F32: LOAD(f32)
	case HOLO_F64: LOAD(f64)
	}
	f64 none = 0;
	for (u32 j = 0; j < dims; j++)
		none += row[j] - row[j]; /* NaN if one is no finite number */
	return none == 0;
}

/* distance is squared, in two sums, which is part of what the result is. */
static f64 distance(const f64 *a, const f64 *b, u32 dims) {
	f64 even = 0, odd = 0;
	u32 j = 0;
	for (; j + 2 <= dims; j += 2) {
		f64 x = a[j] - b[j], y = a[j + 1] - b[j + 1];
		even += x * x, odd += y * y;
	}
	if (j < dims)
		even += (a[j] - b[j]) * (a[j] - b[j]);
	return even + odd;
}

static void add(struct kmeans *acc, const struct kmeans_params *p, const f64 *row) {
	u32 nearest = 0;
	f64 least = distance(row, p->centroid, p->dims);
	for (u32 c = 1; c < p->k; c++) {
		f64 d = distance(row, p->centroid + c * p->dims, p->dims);
		if (d < least)
			least = d, nearest = c;
	}
	struct cluster *to = (struct cluster *)(acc->clusters + nearest * cluster_size(p->dims));
	acc->inertia += least, to->rows++;
	for (u32 j = 0; j < p->dims; j++)
		to->sum[j] += row[j];
}

static int valid(const struct kmeans_params *p, u32 len) {
	return len >= sizeof *p && p->k > 0 && p->dims > 0 && p->dims <= MOST && len == sizeof *p + 8ull * p->k * p->dims;
}

/* red kmeans: one input of rows, or as many as there are dimensions. */
HOLO_KERNEL(red, kmeans) {
	static f64 row[MOST];
	static const u8 *at[MOST];
	const struct kmeans_params *p = d->params;
	if (!valid(p, d->params_len))
		return HOLO_BAD_PARAMS;
	if (d->acc_len != acc_size(p))
		return HOLO_BAD_ACC;
	u32 dims = p->dims, size = HOLO_IN(d, 0)->stride, packed = d->n_in == 1;
	if (d->n_in != 1 && d->n_in != dims)
		return HOLO_BAD_VIEWS;
	if (packed && (d->n % dims != 0 || d->first_index % dims != 0))
		return HOLO_BAD_DATA; /* a row that lies in two calls */
	for (u32 j = 0; j < dims; j++) {
		if (!packed && HOLO_IN(d, j)->type != HOLO_IN(d, 0)->type)
			return HOLO_BAD_VIEWS;
		at[j] = packed ? (const u8 *)HOLO_IN(d, 0)->ptr + j * size : HOLO_IN(d, j)->ptr;
	}
	u32 step = packed ? dims * size : size, rows = packed ? d->n / dims : d->n;
	struct kmeans *acc = d->acc;
	for (u32 i = 0; i < rows; i++) {
		if (load(row, at, i * step, dims, HOLO_IN(d, 0)->type))
			add(acc, p, row);
		else
			acc->skipped++;
	}
	return HOLO_OK;
}

HOLO_KERNEL(comb, kmeans) {
	const struct kmeans_params *p = d->params;
	struct kmeans *a = d->acc;
	const struct kmeans *b = HOLO_IN(d, 0)->ptr;
	if (!valid(p, d->params_len))
		return HOLO_BAD_PARAMS;
	if (d->acc_len != acc_size(p))
		return HOLO_BAD_ACC;
	a->skipped += b->skipped, a->inertia += b->inertia;
	for (u32 c = 0; c < p->k; c++) {
		struct cluster *to = (struct cluster *)(a->clusters + c * cluster_size(p->dims));
		const struct cluster *from = (const struct cluster *)(b->clusters + c * cluster_size(p->dims));
		to->rows += from->rows;
		for (u32 j = 0; j < p->dims; j++)
			to->sum[j] += from->sum[j];
	}
	return HOLO_OK;
}
