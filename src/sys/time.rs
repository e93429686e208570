//! Clocks. Deadlines use the boot-time clock, which no wall-clock jump moves and which runs on in suspend; stamps
//! written to disk use the wall clock.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds; as a point in time, on the boot-time clock.
pub type Nanos = u64;

/// A second.
pub const SECOND: Nanos = 1_000_000_000;
/// A millisecond.
pub const MILLI: Nanos = 1_000_000;

/// Now, on CLOCK_BOOTTIME: nanoseconds since the kernel started.
pub fn boot() -> Nanos {
    let t = clock_gettime(ClockId::Boottime);
    (t.tv_sec as u64).wrapping_mul(SECOND).wrapping_add(t.tv_nsec as u64)
}

/// Time that the machine has slept since the kernel started: what the boot-time clock is ahead of CLOCK_MONOTONIC. The two
/// are not read in one moment, so it may seem to be a little more.
pub fn slept() -> Nanos {
    let awake = clock_gettime(ClockId::Monotonic);
    boot().saturating_sub((awake.tv_sec as u64).wrapping_mul(SECOND).wrapping_add(awake.tv_nsec as u64))
}

/// Now, on CLOCK_REALTIME: seconds and nanoseconds since 1970. A clock set before 1970 counts as 1970.
pub fn wall() -> (u64, u32) {
    let t = clock_gettime(ClockId::Realtime);
    (t.tv_sec.max(0) as u64, t.tv_nsec as u32)
}
