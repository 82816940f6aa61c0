/* General tasks: they ask for what they read, and write where they like. */
#include "../holo.h"

#define CHUNK 4096

/* task reverse: handle 0 reads all of an array of 64 bits, handle 1 writes the
 * elements first_index to first_index + n of another. They are those of the first
 * from its end. */
HOLO_KERNEL(task, reverse) {
	static u64 in[CHUNK], out[CHUNK];
	i64 length = holo_len(0);
	if (length < 0 || holo_len(1) != (i64)d->n)
		return HOLO_BAD_VIEWS;
	for (u32 done = 0; done < d->n;) {
		u32 some = d->n - done < CHUNK ? d->n - done : CHUNK;
		u64 from = (u64)length - d->first_index - done - some;
		i32 status = holo_read(0, from, in, some * 8);
		for (u32 i = 0; i < some; i++)
			out[i] = in[some - 1 - i];
		if (!status)
			status = holo_write(1, done, out, some * 8);
		if (status)
			return status;
		done += some;
	}
	return HOLO_OK;
}

/* What task ask asks, as its parameters say. */
struct ask {
	u32 write, handle;
	u64 offset;
	u32 at, bytes, times;
};

/* task ask: asks so often, and ends with the last answer. Bytes at address 0 are
 * those of the scratch. */
HOLO_KERNEL(task, ask) {
	if (d->params_len != 28)
		return HOLO_BAD_PARAMS;
	const struct ask *a = d->params;
	void *at = a->at ? (void *)a->at : d->scratch;
	i32 status = 0;
	for (u32 i = 0; i < a->times; i++)
		status = a->write ? holo_write(a->handle, a->offset, at, a->bytes) : holo_read(a->handle, a->offset, at, a->bytes);
	return status;
}

/* map ask: a map has no handles, whatever it asks. */
HOLO_KERNEL(map, ask) {
	return holo_read(0, 0, d->scratch, 8) == HOLO_NO_HANDLE && holo_len(0) == HOLO_NO_HANDLE ? HOLO_OK : HOLO_BAD_DATA;
}

/* task late: writes the first of handle 1, and fails. */
HOLO_KERNEL(task, late) {
	return holo_write(1, 0, d->scratch, 8) ? HOLO_BAD_VIEWS : HOLO_BAD_DATA;
}
