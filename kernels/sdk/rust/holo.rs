//! Write kernels for HoloCompute in Rust (ABI holo/1), without the standard
//! library. A kernel is an exported function of one pointer that returns 0, or a
//! status of its own for an error:
//!
//!     #[no_mangle]
//!     pub unsafe extern "C" fn holo_map_NAME(d: *mut Desc) -> i32
//!
//! Outputs and scratch are zero at the start, and so is an accumulator.
#![allow(dead_code)]

use core::mem::{align_of, size_of};
use core::slice;

pub const OK: i32 = 0;
pub const BAD_VIEWS: i32 = 1;
pub const BAD_PARAMS: i32 = 2;
pub const BAD_ACC: i32 = 3;
pub const BAD_DATA: i32 = 4;

/// What a host call of a task answers besides OK. A refusal moves nothing.
pub const NO_HANDLE: i32 = -1; // the task has no such handle
pub const NO_RIGHT: i32 = -2; // the handle is for the other direction
pub const BAD_RANGE: i32 = -3; // elements that it does not have
pub const NO_BUDGET: i32 = -4; // more bytes than it has left
pub const BAD_LENGTH: i32 = -5; // no elements, or more than 1 MiB

/// The types of elements.
pub const I8: u8 = 1;
pub const I16: u8 = 2;
pub const I32: u8 = 3;
pub const I64: u8 = 4;
pub const U8: u8 = 5;
pub const U16: u8 = 6;
pub const U32: u8 = 7;
pub const U64: u8 = 8;
pub const F32: u8 = 9;
pub const F64: u8 = 10;

#[repr(C)]
pub struct View {
    pub ptr: *mut u8,
    pub len: u32,    // bytes
    pub stride: u32, // bytes from one element to the next
    pub elem: u8,    // the type
    pub rank: u8,    // 1
    pub halo: u16,   // elements before ptr, and behind those of the call, that are there too
    pub elem_base: u64, // global index of the first element
}

#[repr(C)]
pub struct Desc {
    pub abi: u32,
    pub flags: u32,
    pub first_index: u64, // global index of the first element of this call
    pub n: u32,           // elements of this call
    pub n_in: u32,
    pub n_out: u32,
    pub params: *const u8,
    pub params_len: u32,
    pub scratch: *mut u8,
    pub scratch_len: u32,
    pub acc: *mut u8,
    pub acc_len: u32,
    pub reserved: u32,
}

const _: () = assert!(size_of::<View>() == 24 && align_of::<View>() == 8);
const _: () = assert!(size_of::<Desc>() == 56);

impl Desc {
    /// View i: the inputs, then the outputs.
    pub unsafe fn view(&self, i: u32) -> &View {
        &*((self as *const Desc).add(1) as *const View).add(i as usize)
    }

    /// Whether there are so many inputs and outputs, all of one type.
    pub unsafe fn has(&self, inputs: u32, outputs: u32, elem: u8) -> bool {
        self.n_in == inputs && self.n_out == outputs && (0..inputs + outputs).all(|i| self.view(i).elem == elem)
    }

    pub unsafe fn input<T>(&self, i: u32) -> &[T] {
        slice::from_raw_parts(self.view(i).ptr as *const T, self.n as usize)
    }

    /// An input with its halo: element i of the call is at i + halo.
    pub unsafe fn around<T>(&self, i: u32) -> &[T] {
        let v = self.view(i);
        slice::from_raw_parts((v.ptr as *const T).sub(v.halo as usize), self.n as usize + 2 * v.halo as usize)
    }

    pub unsafe fn output<T>(&self, i: u32) -> &mut [T] {
        slice::from_raw_parts_mut(self.view(self.n_in + i).ptr as *mut T, self.n as usize)
    }

    /// The parameters, if they are as long as a T.
    pub unsafe fn params<T>(&self) -> Option<&T> {
        (self.params_len as usize == size_of::<T>()).then(|| &*(self.params as *const T))
    }

    /// The accumulator, if it is as long as a T.
    pub unsafe fn acc<T>(&self) -> Option<&mut T> {
        (self.acc_len as usize == size_of::<T>()).then(|| &mut *(self.acc as *mut T))
    }

    /// Memory that keeps its bytes between the calls of one task.
    pub unsafe fn scratch<T: Element>(&self) -> &mut [T] {
        slice::from_raw_parts_mut(self.scratch as *mut T, self.scratch_len as usize / size_of::<T>())
    }

    /// The other accumulator of a comb.
    pub unsafe fn other<T>(&self) -> &T {
        &*(self.view(0).ptr as *const T)
    }
}

#[link(wasm_import_module = "holo")]
extern "C" {
    #[link_name = "log"]
    fn host_log(text: *const u8, len: usize);
    #[link_name = "read"]
    fn host_read(handle: u32, offset: u64, to: *mut u8, size: usize) -> i32;
    #[link_name = "write"]
    fn host_write(handle: u32, offset: u64, from: *const u8, size: usize) -> i32;
    #[link_name = "len"]
    fn host_len(handle: u32) -> i64;
}

/// Hands a text over to the job's log, for people: a line, or several. What is
/// beyond the quota of a task is dropped and counted, at the same price.
pub fn log(text: &[u8]) {
    unsafe { host_log(text.as_ptr(), text.len()) }
}

/// What an element of an array may be: any bits are one.
pub unsafe trait Element: Copy {}
unsafe impl Element for i8 {}
unsafe impl Element for i16 {}
unsafe impl Element for i32 {}
unsafe impl Element for i64 {}
unsafe impl Element for u8 {}
unsafe impl Element for u16 {}
unsafe impl Element for u32 {}
unsafe impl Element for u64 {}
unsafe impl Element for f32 {}
unsafe impl Element for f64 {}

/// How many elements a task's handle has, 0 the first.
pub fn length(handle: u32) -> Result<u64, i32> {
    let n = unsafe { host_len(handle) };
    if n < 0 { Err(n as i32) } else { Ok(n as u64) }
}

/// Fills `to` with what is behind a handle, from its element `offset` on.
pub fn read<T: Element>(handle: u32, offset: u64, to: &mut [T]) -> Result<(), i32> {
    done(unsafe { host_read(handle, offset, to.as_mut_ptr() as *mut u8, to.len() * size_of::<T>()) })
}

/// Hands elements over; they are there once the task has ended with OK.
pub fn write<T: Element>(handle: u32, offset: u64, from: &[T]) -> Result<(), i32> {
    done(unsafe { host_write(handle, offset, from.as_ptr() as *const u8, from.len() * size_of::<T>()) })
}

fn done(status: i32) -> Result<(), i32> {
    if status == OK { Ok(()) } else { Err(status) }
}

#[no_mangle]
pub extern "C" fn holo_abi() -> i32 {
    1
}

extern "C" {
    static __heap_base: u8;
}

/// Gives the host memory that is never freed.
#[no_mangle]
pub unsafe extern "C" fn holo_alloc(size: u32, align: u32) -> u32 {
    static mut TOP: u32 = 0;
    let begin = if TOP != 0 { TOP as u64 } else { &__heap_base as *const u8 as u64 };
    let at = (begin + align as u64 - 1) / align as u64 * align as u64;
    let have = (core::arch::wasm32::memory_size(0) as u64) << 16;
    if at + size as u64 > have {
        let pages = (at + size as u64 - have + 65535) >> 16;
        if pages > 65536 || core::arch::wasm32::memory_grow(0, pages as usize) == usize::MAX {
            return 0;
        }
    }
    TOP = (at + size as u64) as u32;
    at as u32
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
