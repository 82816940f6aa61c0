//! A general task to begin with: out[i] = values[index[i]].
#![no_std]

mod holo;
use holo::*;

/// task take: handle 0 reads an index of u64, handle 1 values of 64 bits, handle 2
/// writes the elements first_index to first_index + n of an array like the index. The
/// status is that of the first refusal: BAD_RANGE for an index beyond the values.
#[no_mangle]
pub unsafe extern "C" fn holo_task_take(d: *mut Desc) -> i32 {
    take(&*d).err().unwrap_or(OK)
}

fn take(d: &Desc) -> Result<(), i32> {
    if length(2) != Ok(d.n as u64) {
        return Err(BAD_VIEWS);
    }
    let room = unsafe { d.scratch::<u64>() };
    let half = room.len() / 2;
    let (index, taken) = room.split_at_mut(half);
    let mut done = 0;
    while done < d.n as usize {
        let some = half.min(d.n as usize - done);
        read(0, d.first_index + done as u64, &mut index[..some])?;
        gather(&mut taken[..some], &index[..some])?;
        write(2, done as u64, &taken[..some])?;
        done += some;
    }
    Ok(())
}

/// gather asks for values that follow each other at once.
fn gather(taken: &mut [u64], index: &[u64]) -> Result<(), i32> {
    let mut i = 0;
    while i < index.len() {
        let mut end = i + 1;
        while end < index.len() && index[end] == index[i].wrapping_add((end - i) as u64) {
            end += 1;
        }
        read(1, index[i], &mut taken[i..end])?;
        i = end;
    }
    Ok(())
}
