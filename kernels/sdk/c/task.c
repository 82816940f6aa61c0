/* A general task to begin with: out[i] = values[index[i]]. */
#include "holo.h"

/* task take: handle 0 reads an index of u64, handle 1 values of 64 bits, handle 2
 * writes the elements first_index to first_index + n of an array like the index.
 * Values that follow each other are asked for at once. The status is that of the
 * first refusal: HOLO_BAD_RANGE for an index beyond the values. */
HOLO_KERNEL(task, take) {
	if (holo_len(2) != (i64)d->n)
		return HOLO_BAD_VIEWS;
	u32 chunk = d->scratch_len / 16;
	u64 *index = d->scratch, *taken = index + chunk;
	i32 status;
	for (u32 done = 0, some; done < d->n; done += some) {
		some = d->n - done < chunk ? d->n - done : chunk;
		if ((status = holo_read(0, d->first_index + done, index, some * 8)))
			return status;
		for (u32 i = 0, run; i < some; i += run) {
			for (run = 1; i + run < some && index[i + run] == index[i] + run;)
				run++;
			if ((status = holo_read(1, index[i], taken + i, run * 8)))
				return status;
		}
		if ((status = holo_write(2, done, taken, some * 8)))
			return status;
	}
	return HOLO_OK;
}
