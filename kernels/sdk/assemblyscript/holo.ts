// Write kernels for HoloCompute in AssemblyScript (ABI holo/1). A kernel is an
// exported function of one pointer that returns 0, or a status of its own for an
// error: export function holo_map_NAME(d: usize): i32. Outputs and scratch are
// zero at the start, and so is an accumulator.

export const OK: i32 = 0;
export const BAD_VIEWS: i32 = 1;
export const BAD_PARAMS: i32 = 2;
export const BAD_ACC: i32 = 3;
export const BAD_DATA: i32 = 4;

// What a host call of a task answers besides OK. A refusal moves nothing.
export const NO_HANDLE: i32 = -1; // the task has no such handle
export const NO_RIGHT: i32 = -2; // the handle is for the other direction
export const BAD_RANGE: i32 = -3; // elements that it does not have
export const NO_BUDGET: i32 = -4; // more bytes than it has left
export const BAD_LENGTH: i32 = -5; // no whole elements, none, or more than 1 MiB

// The types of elements.
export const I8: u8 = 1;
export const I16: u8 = 2;
export const I32: u8 = 3;
export const I64: u8 = 4;
export const U8: u8 = 5;
export const U16: u8 = 6;
export const U32: u8 = 7;
export const U64: u8 = 8;
export const F32: u8 = 9;
export const F64: u8 = 10;

const HEADER: usize = 56;
const VIEW: usize = 24;

// @ts-ignore: decorator
@inline export function firstIndex(d: usize): u64 { return load<u64>(d, 8); }
// @ts-ignore: decorator
@inline export function count(d: usize): u32 { return load<u32>(d, 16); } // elements of this call
// @ts-ignore: decorator
@inline export function inputs(d: usize): u32 { return load<u32>(d, 20); }
// @ts-ignore: decorator
@inline export function outputs(d: usize): u32 { return load<u32>(d, 24); }
// @ts-ignore: decorator
@inline export function params(d: usize): usize { return load<u32>(d, 28); }
// @ts-ignore: decorator
@inline export function paramsLength(d: usize): u32 { return load<u32>(d, 32); }
// @ts-ignore: decorator
@inline export function scratch(d: usize): usize { return load<u32>(d, 36); }
// @ts-ignore: decorator
@inline export function scratchLength(d: usize): u32 { return load<u32>(d, 40); }
// @ts-ignore: decorator
@inline export function acc(d: usize): usize { return load<u32>(d, 44); }
// @ts-ignore: decorator
@inline export function accLength(d: usize): u32 { return load<u32>(d, 48); }

function view(d: usize, i: u32): usize { return d + HEADER + <usize>i * VIEW; }

// Where the elements of an input, or of an output, begin.
export function input(d: usize, i: u32): usize { return load<u32>(view(d, i)); }
export function output(d: usize, i: u32): usize { return load<u32>(view(d, inputs(d) + i)); }

// How many elements before an input's first, and behind its last, are there too.
export function halo(d: usize, i: u32): u32 { return load<u16>(view(d, i), 14); }

// Whether there are so many inputs and outputs, all of one type.
export function has(d: usize, ins: u32, outs: u32, type: u8): bool {
  if (inputs(d) != ins || outputs(d) != outs) return false;
  for (let i: u32 = 0; i < ins + outs; i++) {
    if (load<u8>(view(d, i), 12) != type) return false;
  }
  return true;
}

// Hands a text over to the job's log, for people: so many bytes of UTF-8 at an
// address, a line or several. What is beyond the quota of a task is dropped and
// counted, at the same price.
// @ts-ignore: decorator
@external("holo", "log") export declare function log(text: usize, size: u32): void;

// How many elements a task's handle has, 0 the first, or a refusal.
// @ts-ignore: decorator
@external("holo", "len") export declare function length(handle: u32): i64;

// Fills so many bytes of memory with elements behind a handle, from its element
// offset on.
// @ts-ignore: decorator
@external("holo", "read") export declare function read(handle: u32, offset: u64, to: usize, bytes: u32): i32;

// Hands bytes of whole elements over; they are there once the task has ended with OK.
// @ts-ignore: decorator
@external("holo", "write") export declare function write(handle: u32, offset: u64, from: usize, bytes: u32): i32;

export function holo_abi(): i32 { return 1; }

let top: usize = __heap_base;

// Gives the host memory that is never freed.
export function holo_alloc(size: u32, align: u32): usize {
  const at = (<u64>top + align - 1) / align * align;
  const end = at + size;
  const have = <u64>memory.size() << 16;
  if (end > have) {
    const pages = (end - have + 65535) >> 16;
    if (pages > 65536 || memory.grow(<i32>pages) < 0) return 0;
  }
  top = <usize>end;
  return <usize>at;
}
