// A kernel that logs, in AssemblyScript.
import { OK, BAD_VIEWS, U8, count, has, input, log, output, params, paramsLength } from "../../sdk/assemblyscript/holo";
export { holo_abi, holo_alloc } from "../../sdk/assemblyscript/holo";

// map say: an input and an output of u8. Copies, and logs the parameters.
export function holo_map_say(d: usize): i32 {
  if (!has(d, 1, 1, U8)) return BAD_VIEWS;
  log(params(d), paramsLength(d));
  const n = count(d), a = input(d, 0), out = output(d, 0);
  for (let i: u32 = 0; i < n; i++) store<u8>(out + i, load<u8>(a + i));
  return OK;
}
