//! A real fault in another process: its next instruction is overwritten while it sleeps in a system call, by way of
//! /proc/PID/mem, so that it fails by itself when it wakes. No program needs to have anything built in for it.

use linchpin::sys::{Errno, Fd, file};
use linchpin::text::CPath;
use linchpin::text::number::Decimal;
use rustix::event::Timespec;
use rustix::fs::OFlags;

/// An instruction that there is not. (On arm: Thumb's, twice, as linchpin is compiled to Thumb code.)
#[cfg(target_arch = "x86_64")]
const ILLEGAL: &[u8] = &[0x0f, 0x0b];
#[cfg(target_arch = "aarch64")]
const ILLEGAL: &[u8] = &[0, 0, 0, 0];
#[cfg(target_arch = "arm")]
const ILLEGAL: &[u8] = &[0, 0xde, 0, 0xde];

/// How often it is looked whether the process sleeps, a millisecond apart.
const LOOKS: u32 = 5000;

/// From now on the process fails as soon as it wakes. EBUSY: it never sleeps.
pub fn overwrite(pid: i32) -> Result<(), Errno> {
    let pid = Decimal::new(u64::from(pid.unsigned_abs()));
    let of = |file: &[u8]| CPath::<40>::of(&[b"/proc/", pid.as_bytes(), file]);
    let (syscall, mem) = (of(b"/syscall"), of(b"/mem"));
    for _ in 0..LOOKS {
        let mut text = [0; 256];
        if let Some(counter) = counter(file::read(Fd::CWD, syscall.path()?, &mut text)?) {
            let mut code = file::open(Fd::CWD, mem.path()?, OFlags::WRONLY, 0)?;
            let written = rustix::io::pwrite(code, ILLEGAL, counter);
            code.close();
            return written.map(drop);
        }
        let _ = rustix::event::poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 1_000_000 }));
    }
    Err(Errno::BUSY)
}

/// The last number, if the process is in a system call: `232 0x4 ... STACK COUNTER`. Else the file says `running`.
fn counter(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_end();
    let word = text.rsplit(|b| *b == b' ').next()?.strip_prefix(b"0x")?;
    u64::from_str_radix(core::str::from_utf8(word).ok()?, 16).ok()
}
