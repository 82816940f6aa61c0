// A kernel to begin with: out = a * factor, and the sum of a column of f64.
import { OK, BAD_VIEWS, BAD_PARAMS, BAD_ACC, F64, acc, accLength, count, has, input, output, params, paramsLength } from "./holo";
export { holo_abi, holo_alloc } from "./holo";

// map scale: an input and an output of f64. Parameters: the factor.
export function holo_map_scale(d: usize): i32 {
  if (!has(d, 1, 1, F64)) return BAD_VIEWS;
  if (paramsLength(d) != 8) return BAD_PARAMS;
  const factor = load<f64>(params(d)), n = count(d), a = input(d, 0), out = output(d, 0);
  for (let i: u32 = 0; i < n; i++) store<f64>(out + 8 * i, load<f64>(a + 8 * i) * factor);
  return OK;
}

// The accumulator of sum: count u64, total f64. All zeros is an empty one.
const SUM: u32 = 16;

export function holo_red_sum(d: usize): i32 {
  if (!has(d, 1, 0, F64)) return BAD_VIEWS;
  if (accLength(d) != SUM) return BAD_ACC;
  const n = count(d), a = input(d, 0), at = acc(d);
  let total = load<f64>(at, 8);
  for (let i: u32 = 0; i < n; i++) total += load<f64>(a + 8 * i);
  store<f64>(at, total, 8);
  store<u64>(at, load<u64>(at) + n);
  return OK;
}

// comb sum: adds the other accumulator, the only input.
export function holo_comb_sum(d: usize): i32 {
  if (accLength(d) != SUM) return BAD_ACC;
  const at = acc(d), other = input(d, 0);
  store<u64>(at, load<u64>(at) + load<u64>(other));
  store<f64>(at, load<f64>(at, 8) + load<f64>(other, 8), 8);
  return OK;
}
