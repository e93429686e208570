//! Where process 1's lines can be read, and the stdio that services start with. The console is opened twice: blocking,
//! as services' stdout and stderr, and non-blocking, for our own lines. A machine without one boots all the same.

use crate::log::{self, Target};
use crate::sys::{Fd, Result, file, process};
use crate::text::number::parse_u32;
use rustix::fs::OFlags;

/// Opens /dev/kmsg and lets process 1 write as much as it has to say (printk.devkmsg=ratelimit, the kernel's default,
/// takes ten lines in five seconds). That setting is the machine's: a container leaves it alone.
pub fn open_kmsg() {
    if process::owns_machine() {
        if let Ok(mut fd) = file::open(Fd::CWD, c"/proc/sys/kernel/printk_devkmsg", OFlags::WRONLY, 0) {
            let _ = file::write_all(fd, b"on\n"); // refused when the command line has decided it
            fd.close();
        }
    }
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::APPEND;
    if let Ok(fd) = file::open(Fd::CWD, c"/dev/kmsg", flags, 0) {
        log::set_kmsg(fd);
    }
    show_lines(Target::Booting);
}

/// From here on lines go to `target`. How far the kernel shows them on the console itself is looked up: it may have
/// been changed (`dmesg -n`).
pub fn show_lines(target: Target) {
    let mut bytes = [0u8; 16];
    let level = file::read(Fd::CWD, c"/proc/sys/kernel/printk", &mut bytes)
        .ok()
        .and_then(|text| text.split(u8::is_ascii_whitespace).next())
        .and_then(parse_u32);
    log::set_kernel_level(level.unwrap_or(0).min(8) as u8);
    log::set_target(target);
}

/// Stdin becomes the null device; stdout and stderr the console, or the null device if there is none. Errors: there is
/// no console.
pub fn set_stdio() -> Result<()> {
    if let Ok(mut null) = file::open(Fd::CWD, c"/dev/null", OFlags::RDWR, 0) {
        for number in 0..3 {
            let _ = null.place(number);
        }
        null.close();
    }
    let mut console = open_console()?;
    if console.set_nonblocking(false).is_ok() {
        let _ = console.place(1);
        let _ = console.place(2);
    }
    console.close();
    log::set_console(open_console()?);
    Ok(())
}

/// For lines only: stdin, stdout and stderr are as an earlier incarnation of process 1 has left them. Errors: there is no
/// console.
pub fn open_for_lines() -> Result<()> {
    open_console().map(log::set_console)
}

/// Without O_NONBLOCK, open(2) would wait for the carrier of a serial line.
fn open_console() -> Result<Fd> {
    file::open(Fd::CWD, c"/dev/console", OFlags::WRONLY | OFlags::NONBLOCK, 0)
}
