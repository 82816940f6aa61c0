/* Flights by hour of actual departure: integer accumulators, so that the
 * answer is the same to the bit however the rows are spread.
 *
 * Inputs: delay (i16, i32 or i64, minutes), time: decimal hour as f32 or f64
 * (12.5 is half past twelve), or a timestamp as i64.
 */
#include "../holo.h"

enum { HOURS = 24, LATE = 15 };

static i64 delay_at(const struct holo_view *v, u32 i) {
	switch (v->type) {
	case HOLO_I16: return ((const i16 *)v->ptr)[i];
	case HOLO_I32: return ((const i32 *)v->ptr)[i];
	default: return ((const i64 *)v->ptr)[i];
	}
}

/* The hour, 24 counted as 0, or -1 for what is no time of day. */
static i32 decimal_hour(f64 t) { return t >= 0 && t < 25 ? (i32)t % HOURS : -1; }

static i32 hour_at(const struct holo_view *v, u32 i, u64 ticks) {
	switch (v->type) {
	case HOLO_F32: return decimal_hour(((const f32 *)v->ptr)[i]);
	case HOLO_F64: return decimal_hour(((const f64 *)v->ptr)[i]);
	default: {
		i64 hour_ticks = (i64)(ticks * 3600), t = ((const i64 *)v->ptr)[i];
		i64 hours = t / hour_ticks - (t % hour_ticks < 0);
		return (i32)((hours % HOURS + HOURS) % HOURS);
	}
	}
}

/* ticks: of a timestamp per second (1000000 for microseconds); unused for decimal hours. */
static i32 check_views(const struct holo_desc *d, u64 ticks) {
	if (d->n_in != 2)
		return HOLO_BAD_VIEWS;
	u8 delay = HOLO_IN(d, 0)->type, time = HOLO_IN(d, 1)->type;
	if (delay != HOLO_I16 && delay != HOLO_I32 && delay != HOLO_I64)
		return HOLO_BAD_VIEWS;
	if (time != HOLO_F32 && time != HOLO_F64 && time != HOLO_I64)
		return HOLO_BAD_VIEWS;
	if (time == HOLO_I64 && (ticks == 0 || ticks > 1000000000))
		return HOLO_BAD_PARAMS;
	return HOLO_OK;
}

/* Accumulator of by_hour: 24 of these, 576 bytes. */
struct by_hour {
	i64 count, sum_delay, late;
};

/* Parameters of by_hour: nothing, or ticks u64 for timestamps. */
HOLO_KERNEL(red, by_hour) {
	u64 ticks = d->params_len == 8 ? *(const u64 *)d->params : 0;
	i32 bad = check_views(d, ticks);
	if (bad)
		return bad;
	if (d->params_len != 0 && d->params_len != 8)
		return HOLO_BAD_PARAMS;
	if (d->acc_len != HOURS * sizeof(struct by_hour))
		return HOLO_BAD_ACC;
	struct by_hour *acc = d->acc;
	for (u32 i = 0; i < d->n; i++) {
		i32 h = hour_at(HOLO_IN(d, 1), i, ticks);
		if (h < 0)
			return HOLO_BAD_DATA;
		i64 delay = delay_at(HOLO_IN(d, 0), i);
		acc[h].count++;
		acc[h].sum_delay += delay;
		acc[h].late += delay > LATE;
	}
	return HOLO_OK;
}

HOLO_KERNEL(comb, by_hour) {
	if (d->acc_len != HOURS * sizeof(struct by_hour))
		return HOLO_BAD_ACC;
	i64 *acc = d->acc;
	const i64 *other = HOLO_IN(d, 0)->ptr;
	for (u32 i = 0; i < d->acc_len / 8; i++)
		acc[i] += other[i];
	return HOLO_OK;
}

/* Bootstrap of the share of late flights per hour. In each replicate a flight
 * counts w times, w drawn from Poisson(1) by a hash of (seed, replicate,
 * global index of the flight): whoever computes it, wherever it lies and
 * however often a task is tried, w is the same. */
struct bootstrap_params {
	u64 seed;
	u32 replicates; /* 1 .. 5461: accumulators end at 1 MiB */
	u32 reserved;   /* 0 */
	u64 ticks;      /* as by_hour; 0 for decimal hours */
};

/* Accumulator: replicates x 24 of these. Sums stay below 2^32 for 3 M rows. */
struct weight {
	u32 flights, late;
};

/* P(w <= k) for Poisson(1), times 2^32, rounded; w is the number of these that
 * the hash reaches. */
static const u32 poisson[] = {1580030169u, 3160060337u, 3950075422u, 4213413783u, 4279248374u, 4292415292u,
			      4294609778u, 4294923276u, 4294962463u, 4294966817u, 4294967253u};

static u64 mix(u64 x) { /* the finaliser of SplitMix64 */
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static u32 draw(u64 row, u64 replicate) {
	u32 x = (u32)(mix(row + replicate * 0x9e3779b97f4a7c15u) >> 32), w = 0;
	for (u32 k = 0; k < sizeof poisson / sizeof *poisson; k++)
		w += x >= poisson[k];
	return w;
}

HOLO_KERNEL(red, bootstrap) {
	const struct bootstrap_params *p = d->params;
	if (d->params_len != sizeof *p || p->replicates == 0 || p->reserved != 0)
		return HOLO_BAD_PARAMS;
	i32 bad = check_views(d, p->ticks);
	if (bad)
		return bad;
	if (d->acc_len != (u64)p->replicates * HOURS * sizeof(struct weight))
		return HOLO_BAD_ACC;
	struct weight *acc = d->acc;
	for (u32 i = 0; i < d->n; i++) {
		i32 h = hour_at(HOLO_IN(d, 1), i, p->ticks);
		if (h < 0)
			return HOLO_BAD_DATA;
		u32 late = delay_at(HOLO_IN(d, 0), i) > LATE;
		u64 row = mix(p->seed ^ mix(d->first_index + i));
		struct weight *a = acc + h;
		for (u32 r = 0; r < p->replicates; r++, a += HOURS) {
			u32 w = draw(row, r + 1);
			a->flights += w;
			a->late += w * late;
		}
	}
	return HOLO_OK;
}

HOLO_KERNEL(comb, bootstrap) {
	u32 *acc = d->acc;
	const u32 *other = HOLO_IN(d, 0)->ptr;
	for (u32 i = 0; i < d->acc_len / 4; i++)
		acc[i] += other[i];
	return HOLO_OK;
}
