//! A kernel that logs, in Rust.
#![no_std]

#[path = "../../sdk/rust/holo.rs"]
mod holo;
use holo::*;

/// map say: an input and an output of u8. Copies, and logs the parameters.
#[no_mangle]
pub unsafe extern "C" fn holo_map_say(d: *mut Desc) -> i32 {
    let d = &*d;
    if !d.has(1, 1, U8) {
        return BAD_VIEWS;
    }
    log(core::slice::from_raw_parts(d.params, d.params_len as usize));
    for (out, a) in d.output::<u8>(0).iter_mut().zip(d.input::<u8>(0)) {
        *out = *a;
    }
    OK
}
