//! When process 1 itself fails. A panic is a bug; it leaves a line, and then the machine is brought back to a known
//! state: synced and rebooted. (A process 1 that exits, or hangs with the watchdog fed, would be worse.)

use crate::error;
use crate::sys::process;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

/// A panic that panics ends at once.
static PANICKING: AtomicBool = AtomicBool::new(false);

/// The panic handler. Exit code 101 if this is not process 1.
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    if !PANICKING.swap(true, Ordering::Relaxed) {
        match info.location() {
            Some(at) => error!("panic at {}:{}: {}", at.file(), at.line(), info.message()),
            None => error!("panic: {}", info.message()),
        }
    }
    if process::pid() == 1 {
        error!("process 1 cannot go on: rebooting");
        rustix::fs::sync();
        let _ = rustix::system::reboot(rustix::system::RebootCommand::Restart);
    }
    process::exit(101)
}
