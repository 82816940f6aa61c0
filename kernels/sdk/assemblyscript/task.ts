// A general task to begin with: out[i] = values[index[i]].
import { OK, BAD_VIEWS, count, firstIndex, length, read, scratch, scratchLength, write } from "./holo";
export { holo_abi, holo_alloc } from "./holo";

// task take: handle 0 reads an index of u64, handle 1 values of 64 bits, handle 2
// writes the elements firstIndex to firstIndex + count of an array like the index.
// The status is that of the first refusal: BAD_RANGE for an index beyond the values.
export function holo_task_take(d: usize): i32 {
  const n = count(d), first = firstIndex(d), chunk = scratchLength(d) / 16;
  const index = scratch(d), taken = index + 8 * chunk;
  if (length(2) != n) return BAD_VIEWS;
  for (let done: u32 = 0; done < n; done += chunk) {
    const some = min(n - done, chunk);
    let status = read(0, first + done, index, some * 8);
    if (status == OK) status = gather(taken, index, some);
    if (status == OK) status = write(2, done, taken, some * 8);
    if (status != OK) return status;
  }
  return OK;
}

// Asks for values that follow each other at once.
function gather(taken: usize, index: usize, some: u32): i32 {
  for (let i: u32 = 0, run: u32 = 1; i < some; i += run) {
    const from = load<u64>(index + 8 * i);
    for (run = 1; i + run < some && load<u64>(index + 8 * (i + run)) == from + run;) run++;
    const status = read(1, from, taken + 8 * i, run * 8);
    if (status != OK) return status;
  }
  return OK;
}
