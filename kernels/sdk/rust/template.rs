//! A kernel to begin with: out = a * factor, and the sum of a column of f64.
#![no_std]

mod holo;
use holo::*;

/// map scale: an input and an output of f64. Parameters: the factor.
#[no_mangle]
pub unsafe extern "C" fn holo_map_scale(d: *mut Desc) -> i32 {
    let d = &*d;
    if !d.has(1, 1, F64) {
        return BAD_VIEWS;
    }
    let factor = match d.params::<f64>() {
        Some(factor) => *factor,
        None => return BAD_PARAMS,
    };
    for (out, a) in d.output::<f64>(0).iter_mut().zip(d.input::<f64>(0)) {
        *out = a * factor;
    }
    OK
}

/// The accumulator of sum. All zeros is an empty one.
#[repr(C)]
pub struct Sum {
    count: u64,
    total: f64,
}

#[no_mangle]
pub unsafe extern "C" fn holo_red_sum(d: *mut Desc) -> i32 {
    let d = &*d;
    if !d.has(1, 0, F64) {
        return BAD_VIEWS;
    }
    let acc = match d.acc::<Sum>() {
        Some(acc) => acc,
        None => return BAD_ACC,
    };
    for a in d.input::<f64>(0) {
        acc.total += a;
    }
    acc.count += d.n as u64;
    OK
}

/// comb sum: adds the other accumulator, the only input.
#[no_mangle]
pub unsafe extern "C" fn holo_comb_sum(d: *mut Desc) -> i32 {
    let d = &*d;
    let acc = match d.acc::<Sum>() {
        Some(acc) => acc,
        None => return BAD_ACC,
    };
    let other = d.other::<Sum>();
    acc.count += other.count;
    acc.total += other.total;
    OK
}
