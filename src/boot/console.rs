//! Where process 1's lines can be read, and the stdio that services start with. The console is opened twice: blocking,
//! as services' stdout and stderr, and non-blocking, for our own lines. A machine without one boots all the same.

use crate::log::{self, Target};
use crate::sys::{Fd, file};
use crate::text::errno::Reason;
use crate::text::number::parse_u32;
use crate::warning;
use rustix::fs::OFlags;

/// Opens /dev/kmsg and lets process 1 write as much as it has to say (printk.devkmsg=ratelimit, the kernel's default,
/// takes ten lines in five seconds).
pub fn open_kmsg() {
    if let Ok(mut fd) = file::open(Fd::CWD, c"/proc/sys/kernel/printk_devkmsg", OFlags::WRONLY, 0) {
        let _ = file::write_all(fd, b"on\n"); // refused when the command line has decided it
        fd.close();
    }
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::APPEND;
    if let Ok(fd) = file::open(Fd::CWD, c"/dev/kmsg", flags, 0) {
        log::set_kmsg(fd, kernel_level());
    }
    log::set_target(Target::KernelAndConsole);
}

/// The level below which the kernel prints on the console itself.
fn kernel_level() -> u8 {
    let mut bytes = [0u8; 16];
    let first = file::read(Fd::CWD, c"/proc/sys/kernel/printk", &mut bytes)
        .ok()
        .and_then(|text| text.split(|b| b.is_ascii_whitespace()).next())
        .and_then(parse_u32);
    first.unwrap_or(0).min(8) as u8
}

/// Stdin becomes the null device; stdout and stderr the console, or the null device if there is none.
pub fn set_stdio() {
    if let Ok(mut null) = file::open(Fd::CWD, c"/dev/null", OFlags::RDWR, 0) {
        for number in 0..3 {
            let _ = null.place(number);
        }
        if null.0 > 2 {
            null.close();
        }
    }
    // Without O_NONBLOCK, open(2) waits for the carrier of a serial line.
    let flags = OFlags::WRONLY | OFlags::NONBLOCK;
    match file::open(Fd::CWD, c"/dev/console", flags, 0) {
        Ok(mut console) => {
            if console.set_nonblocking(false).is_ok() {
                let _ = console.place(1);
                let _ = console.place(2);
            }
            if console.0 > 2 {
                console.close();
            }
        }
        Err(e) => {
            warning!("no console: /dev/console: {}", Reason(e));
            return;
        }
    }
    if let Ok(ours) = file::open(Fd::CWD, c"/dev/console", flags, 0) {
        log::set_console(ours);
    }
}
