//! The logger of the engine: one line at a time, to where it can be read.
//!
//! * As PID 1: to `/dev/kmsg` (the truth), to a ring in the arena (for when kmsg is not to be had) and, of what the
//!   kernel does not show there, some to the console ([`Target`]). The console is opened non-blocking: a stuck serial
//!   line loses lines there, and nothing else.
//! * As `svscan` or `supervise`: to standard error, in s6's form `svscan: warning: text`. That may be the FIFO of a logger that `svscan`
//!   itself must start again: lines that do not fit in it are counted, and their number is told when there is room.
//!
//! Lines longer than [`limits::LOG_LINE`](crate::limits::LOG_LINE) are cut and end in `...`. Nothing here waits or fails.

use crate::limits::{LOG_LINE, LOG_RING};
use crate::sys::cell::{LateRef, TakeCell};
use crate::sys::{Fd, file, poll, time};
use crate::text::tai::kernel_style;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicI32, AtomicU8, AtomicU32, Ordering::Relaxed};

/// How bad it is: the kernel's levels, printk(9).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Level {
    /// Something asked for cannot be done.
    Error = 3,
    /// It can be done, but not as asked.
    Warning = 4,
    /// What an operator wants to see of a healthy system.
    Notice = 5,
    /// What explains the rest.
    Info = 6,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Notice | Level::Info => "info",
        }
    }
}

/// Where lines go: to standard error, or to kmsg, the ring and the console.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Target {
    /// Standard error.
    Stderr = 0,
    /// On the console: what is wrong; everything, if there is no kmsg.
    Booting = 1,
    /// On the console: nothing, somebody may be working there; what is wrong, if there is no kmsg.
    Running = 2,
    /// On the console: all that an operator wants to see; everything, if there is no kmsg.
    Ending = 3,
    /// Nowhere: it was asked for silence.
    Nowhere = 4,
}

/// The last lines, in the arena. `head` counts all bytes ever written; the ring holds the last [`LOG_RING`] of them.
#[derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout)]
#[repr(C)]
pub struct Ring {
    head: AtomicU32,
    bytes: [AtomicU8; LOG_RING],
}

impl Ring {
    /// Appends bytes.
    pub fn write(&self, text: &[u8]) {
        let mut head = self.head.load(Relaxed);
        for byte in text {
            self.bytes[head as usize % LOG_RING].store(*byte, Relaxed);
            head = head.wrapping_add(1);
        }
        self.head.store(head, Relaxed);
    }

    /// Copies the most recent bytes into `out`; returns how many.
    pub fn tail(&self, out: &mut [u8]) -> usize {
        let head = self.head.load(Relaxed);
        let n = out.len().min(LOG_RING).min(head as usize);
        for (i, byte) in out[..n].iter_mut().enumerate() {
            *byte = self.bytes[(head as usize - n + i) % LOG_RING].load(Relaxed);
        }
        n
    }
}

static TARGET: AtomicU8 = AtomicU8::new(Target::Stderr as u8);
static KMSG: AtomicI32 = AtomicI32::new(-1);
static CONSOLE: AtomicI32 = AtomicI32::new(-1);
/// The kernel prints lines below this level on the console itself.
static KERNEL_LEVEL: AtomicU8 = AtomicU8::new(0);
static RING: LateRef<Ring> = LateRef::new();
/// Who speaks on standard error, where it is not svscan.
static SPEAKER: LateRef<Line<SPEAKER_MAX>> = LateRef::new();
static SPEAKER_ROOM: TakeCell<Line<SPEAKER_MAX>> = TakeCell::new(Line::new());
const SPEAKER_MAX: usize = 128;
/// Lines that found standard error full.
static LOST: AtomicU32 = AtomicU32::new(0);

/// The descriptors of /dev/kmsg and of the console, or `NONE`.
pub fn descriptors() -> [Fd; 2] {
    [Fd(KMSG.load(Relaxed)), Fd(CONSOLE.load(Relaxed))]
}

/// Chooses where lines go.
pub fn set_target(target: Target) {
    TARGET.store(target as u8, Relaxed);
}

/// Descriptor of `/dev/kmsg`, open for writing.
pub fn set_kmsg(fd: Fd) {
    KMSG.store(fd.0, Relaxed);
}

/// The level below which the kernel prints on the console itself (the first number of /proc/sys/kernel/printk).
pub fn set_kernel_level(level: u8) {
    KERNEL_LEVEL.store(level, Relaxed);
}

/// Descriptor of the console, open non-blocking for writing.
pub fn set_console(fd: Fd) {
    CONSOLE.store(fd.0, Relaxed);
}

/// How lines on standard error begin, instead of with `svscan`. It is cut where it leaves little room for the rest, and
/// can be told once.
pub fn set_speaker(name: fmt::Arguments<'_>) {
    if let Some(room) = SPEAKER_ROOM.take() {
        let _ = room.write_fmt(name);
        room.finish("");
        SPEAKER.set(room);
    }
}

fn speaker() -> &'static str {
    SPEAKER.get().map_or("svscan", |name| &name.text)
}

/// The ring that keeps the last lines.
pub fn set_ring(ring: &'static Ring) {
    RING.set(ring);
}

/// The ring, if there is one.
pub fn ring() -> Option<&'static Ring> {
    RING.get()
}

/// Lines of this process do not go into the ring any more: for a forked child, which shares it.
pub fn leave_ring() {
    RING.clear();
}

/// Text of bounded length: what does not fit is cut and marked with `...`.
pub struct Line<const N: usize> {
    text: heapless::String<N>,
    cut: bool,
}

impl<const N: usize> Line<N> {
    /// An empty line.
    pub const fn new() -> Self {
        Line { text: heapless::String::new(), cut: false }
    }

    /// The text so far, with its mark if it was cut.
    pub fn finish(&mut self, end: &str) -> &str {
        const MARK: &str = "...";
        if self.cut || self.text.len() + end.len() > N {
            let mut keep = N - MARK.len() - end.len();
            while !self.text.is_char_boundary(keep) {
                keep -= 1;
            }
            self.text.truncate(keep);
            let _ = self.text.push_str(MARK);
        }
        let _ = self.text.push_str(end);
        &self.text
    }
}

impl<const N: usize> Default for Line<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Write for Line<N> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        if self.cut {
            return Ok(());
        }
        let room = N - self.text.len();
        let mut take = s.len().min(room);
        while !s.is_char_boundary(take) {
            take -= 1;
        }
        self.cut = take < s.len();
        let _ = self.text.push_str(s.get(..take).unwrap_or_default());
        Ok(())
    }
}

/// Logs one line. Use the macros [`error!`](crate::error), [`warning!`](crate::warning), [`notice!`](crate::notice),
/// [`info!`](crate::info).
pub fn write(level: Level, text: fmt::Arguments<'_>) {
    let target = TARGET.load(Relaxed);
    if target == Target::Nowhere as u8 {
        return;
    }
    let mut line = Line::<LOG_LINE>::new();
    if target == Target::Stderr as u8 {
        if level != Level::Info {
            let _ = write!(line, "{}: {}: {text}", speaker(), level.name());
            write_stderr(line.finish("\n").as_bytes());
        }
        return;
    }
    let _ = write!(line, "<{}>linchpin: {text}", 24 + level as u8); // facility daemon
    let whole = line.finish("\n");
    let kmsg = Fd(KMSG.load(Relaxed));
    let in_kernel = kmsg.is_some() && file::write_all(kmsg, whole.as_bytes()).is_ok();
    let plain = whole.split_once('>').map_or(whole, |(_, plain)| plain);
    let (stamp, n) = kernel_style(time::boot());
    if let Some(ring) = RING.get() {
        ring.write(&stamp[..n]);
        ring.write(b" ");
        ring.write(plain.as_bytes());
    }
    let console = Fd(CONSOLE.load(Relaxed));
    let printed = in_kernel && (level as u8) < KERNEL_LEVEL.load(Relaxed);
    if console.is_some() && !printed && level as u8 <= console_level(target, in_kernel) {
        let mut out = Line::<{ LOG_LINE + 32 }>::new();
        let _ = write!(out, "[{:>12}] {plain}", core::str::from_utf8(&stamp[..n]).unwrap_or(""));
        let _ = rustix::io::write(console, out.text.as_bytes());
    }
}

fn write_stderr(line: &[u8]) {
    // A pipe that can be written to has room for a page, and a line is shorter.
    if poll::writable(Fd::STDERR, Some(0)).is_err() {
        LOST.fetch_add(1, Relaxed);
        return;
    }
    let lost = LOST.swap(0, Relaxed);
    if lost > 0 {
        let mut told = Line::<{ SPEAKER_MAX + 80 }>::new();
        let _ = write!(told, "{}: warning: {lost} lines are lost: standard error was full", speaker());
        let _ = file::write_all(Fd::STDERR, told.finish("\n").as_bytes());
    }
    let _ = file::write_all(Fd::STDERR, line);
}

/// The least important level that the console gets.
fn console_level(target: u8, in_kernel: bool) -> u8 {
    const RUNNING: u8 = Target::Running as u8;
    const ENDING: u8 = Target::Ending as u8;
    match (target, in_kernel) {
        (RUNNING, true) => 0,
        (ENDING, true) => Level::Notice as u8,
        (_, true) | (RUNNING, false) => Level::Warning as u8,
        (_, false) => Level::Info as u8,
    }
}

/// Logs that something asked for cannot be done.
#[macro_export]
macro_rules! error {
    ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Error, format_args!($($arg)*)) };
}

/// Logs that something is not as it should be.
#[macro_export]
macro_rules! warning {
    ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Warning, format_args!($($arg)*)) };
}

/// Logs what an operator wants to see of a healthy system.
#[macro_export]
macro_rules! notice {
    ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Notice, format_args!($($arg)*)) };
}

/// Logs what explains the rest.
#[macro_export]
macro_rules! info {
    ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Info, format_args!($($arg)*)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_cut_on_a_character_and_marked() {
        let mut line = Line::<10>::new();
        write!(line, "0123é6789abc").unwrap();
        assert_eq!(line.finish("\n"), "0123é...\n");
        let mut line = Line::<10>::new();
        write!(line, "012345678").unwrap();
        assert_eq!(line.finish("\n"), "012345678\n");
    }

    #[test]
    fn the_ring_keeps_the_last_bytes() {
        let ring: Ring = zerocopy::FromZeros::new_zeroed();
        ring.write(b"hello ");
        ring.write(b"world");
        let mut out = [0; 5];
        assert_eq!(ring.tail(&mut out), 5);
        assert_eq!(&out, b"world");
        for _ in 0..LOG_RING {
            ring.write(b"xyz");
        }
        let mut out = [0; 6];
        ring.tail(&mut out);
        assert_eq!(&out, b"xyzxyz");
    }
}
