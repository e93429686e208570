//! A panic is a bug. Process 1, `svscan` and `supervise` leave by the same door as when an instruction fails
//! (`state::leave`); any other command ends.

use crate::error;
use crate::state::leave::{self, Cause};
use crate::sys::process;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

/// A panic that panics ends at once.
static PANICKING: AtomicBool = AtomicBool::new(false);

/// The panic handler. Exit code 101 if this is a process that need not go on.
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    let message = info.message();
    let cause = Cause::Panic(info.location(), &message);
    if leave::is_armed() {
        leave::leave(&cause);
    }
    if !PANICKING.swap(true, Ordering::Relaxed) {
        error!("{cause}");
    }
    process::exit(101)
}
