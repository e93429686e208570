//! Random bytes for names.

use super::{process, time};
use rustix::rand::{GetRandomFlags, getrandom};

/// Fills `buf` with bytes that nobody else is likely to get at the same time. Never waits: before the kernel has
/// gathered entropy (early in the life of a small board) they are made of the clock and the pid, good enough for the
/// names of files, not for secrets.
pub fn fill(buf: &mut [u8]) {
    if getrandom(&mut *buf, GetRandomFlags::NONBLOCK) == Ok(buf.len()) {
        return;
    }
    let mut seed = time::boot() ^ (process::pid() as u64) << 40;
    for byte in buf {
        // Knuth's linear congruential generator; its high bits are the good ones.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte = (seed >> 56) as u8;
    }
}
