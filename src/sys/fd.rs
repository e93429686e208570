//! Descriptors as plain numbers. Records in the arena name descriptors by number, and PID 1 may be entered again
//! with those numbers only; so the crate passes [`Fd`] around and closes explicitly.

use super::{Result, dir};
use crate::text::number::parse_u32;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicI32, AtomicU8, Ordering::Relaxed};
use rustix::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// A descriptor number, or [`Fd::NONE`]. Copying it does not duplicate the descriptor; nothing is closed on drop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Fd(pub i32);

impl Fd {
    /// No descriptor.
    pub const NONE: Fd = Fd(-1);
    /// Standard input.
    pub const STDIN: Fd = Fd(0);
    /// Standard output.
    pub const STDOUT: Fd = Fd(1);
    /// Standard error.
    pub const STDERR: Fd = Fd(2);
    /// The current directory, for the `*at` calls.
    pub const CWD: Fd = Fd(linux_raw_sys::general::AT_FDCWD);

    /// Takes over an owned descriptor: it stays open until [`Fd::close`].
    pub fn from_owned(fd: OwnedFd) -> Fd {
        Fd::new(fd.into_raw_fd())
    }

    /// A number that the kernel has just given us.
    pub(super) fn new(number: i32) -> Fd {
        saw(number);
        Fd(number)
    }

    /// pipe2(2): the end to read from, the end to write to; close-on-exec.
    pub fn pipe() -> Result<(Fd, Fd)> {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        Ok((Fd::from_owned(read), Fd::from_owned(write)))
    }

    /// Whether there is a number at all.
    pub fn is_some(self) -> bool {
        self.0 >= 0
    }

    /// Closes the descriptor and forgets the number; nothing happens for `NONE`. close(2)'s errors are of no use.
    pub fn close(&mut self) {
        if self.is_some() {
            super::raw::close(self.0);
        }
        *self = Fd::NONE;
    }

    /// Whether the number is open.
    pub fn is_open(self) -> bool {
        self.is_some() && fcntl_getfd(self).is_ok()
    }

    /// Sets or clears close-on-exec.
    pub fn set_cloexec(self, on: bool) -> Result<()> {
        fcntl_setfd(self, if on { FdFlags::CLOEXEC } else { FdFlags::empty() })
    }

    /// Sets or clears O_NONBLOCK on the open file description.
    pub fn set_nonblocking(self, on: bool) -> Result<()> {
        let mut flags = rustix::fs::fcntl_getfl(self)?;
        flags.set(rustix::fs::OFlags::NONBLOCK, on);
        rustix::fs::fcntl_setfl(self, flags)
    }

    /// A close-on-exec duplicate with the lowest free number that is at least `min`.
    pub fn duplicate(self, min: i32) -> Result<Fd> {
        rustix::io::fcntl_dupfd_cloexec(self, min).map(Fd::from_owned)
    }

    /// dup2(2) onto `to`, without close-on-exec. If the numbers are equal, only the flag is cleared.
    pub fn place(self, to: i32) -> Result<()> {
        if self.0 == to {
            return self.set_cloexec(false);
        }
        // SAFETY: `to` has no owner in the type system; the temporary owner is released without closing.
        let mut target = unsafe { <OwnedFd as rustix::fd::FromRawFd>::from_raw_fd(to) };
        let done = rustix::io::dup2(self, &mut target);
        let _ = target.into_raw_fd();
        done
    }
}

/// The highest number that was ever open, as far as we know.
static HIGHEST: AtomicI32 = AtomicI32::new(2);

/// Notes that this number is open, or was.
pub fn saw(number: i32) {
    if number > HIGHEST.load(Relaxed) {
        HIGHEST.store(number, Relaxed); // there is one thread
    }
}

/// The highest number that was ever open in this process, its earlier incarnations included.
pub fn highest() -> i32 {
    HIGHEST.load(Relaxed)
}

/// Takes close-on-exec from everything that is open: the program that is executed next goes on with all of it.
pub fn keep_open_on_exec() {
    for number in 0..=highest() {
        let _ = Fd(number).set_cloexec(false);
    }
    // Those that the kernel has given us without our having seen them yet follow without a gap: it gives the lowest.
    while Fd(highest() + 1).set_cloexec(false).is_ok() {
        saw(highest() + 1);
    }
}

/// Whether an execution would close a descriptor, as far as we can tell without looking long: those that we have opened
/// ourselves are known, or follow without a gap.
pub fn any_closes_on_exec() -> bool {
    const LONG: i32 = 64;
    let mut number = 0;
    loop {
        let flags = fcntl_getfd(Fd(number));
        if flags.is_ok_and(|flags| flags.contains(FdFlags::CLOEXEC)) || number > LONG {
            return true;
        }
        if flags.is_err() && number > highest() {
            return false;
        }
        number += 1;
    }
}

/// A pipe, close-on-exec: the end to read from, the end to write to.
pub fn pipe() -> Result<(Fd, Fd)> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    Ok((Fd::from_owned(read), Fd::from_owned(write)))
}

/// Numbers below this one are told apart in [`Inherited`].
const TOLD: i32 = 1024;

/// What somebody left open for us, or for our children. Of numbers from 1024 on, all below `own_from` are taken for such.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Inherited {
    /// All that is open from here on is our own; 0: not known.
    pub own_from: i32,
    /// Bit `n`: number `n` was left to us.
    pub mask: [u64; TOLD as usize / 64],
}

impl Inherited {
    /// Whether this number was left to us.
    pub fn has(self, number: i32) -> bool {
        match number {
            0..=2 => true,
            3..TOLD => self.mask.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 != 0),
            _ => (TOLD..self.own_from).contains(&number),
        }
    }

    /// This one was not, nor was any above it that has no bit of its own.
    pub fn forget(&mut self, number: i32) {
        if number >= TOLD {
            self.own_from = self.own_from.min(number);
        } else if let Some(word) = usize::try_from(number / 64).ok().and_then(|at| self.mask.get_mut(at)) {
            *word &= !(1 << (number % 64));
        }
    }

    fn add(&mut self, number: i32) {
        self.own_from = self.own_from.max(number.saturating_add(1));
        if let Some(word) = self.mask.get_mut(number as usize / 64) {
            *word |= 1 << (number % 64);
        }
    }

    /// Takes it that this is so: it was found out by an earlier incarnation of this process.
    pub fn remember(self) {
        OWN_FROM.store(self.own_from, Relaxed);
    }
}

/// Closes every descriptor above standard error, but these, which are our own: what somebody left us, at the start of a
/// process. Best effort: kernels before 5.9 cannot.
pub fn close_inherited(mut own: [Fd; 2]) -> Inherited {
    if own[0].0 > own[1].0 {
        own.swap(0, 1);
    }
    let mut done = Ok(());
    let mut from = 3u32;
    for kept in own.into_iter().filter_map(|fd| u32::try_from(fd.0).ok()).filter(|kept| *kept >= 3) {
        if kept > from {
            done = done.and(super::raw::close_range(from, kept - 1));
        }
        from = kept + 1;
    }
    done = done.and(super::raw::close_range(from, u32::MAX));
    let own_from = if done.is_ok() { 3 } else { 0 };
    OWN_FROM.store(own_from, Relaxed);
    Inherited { own_from, ..Inherited::default() }
}

/// Closes everything but what is in one of these lists: for a copy of a process that goes on with few of them.
pub fn close_all_but(kept: &[&[Fd]]) {
    let is_kept = |number: u32| kept.iter().copied().flatten().any(|fd| u32::try_from(fd.0) == Ok(number));
    let numbers = || kept.iter().copied().flatten().filter_map(|fd| u32::try_from(fd.0).ok());
    let mut first = 0;
    let mut done = Ok(());
    loop {
        let next = numbers().filter(|number| *number >= first).min();
        let end = next.unwrap_or(u32::MAX);
        if end > first {
            done = done.and(super::raw::close_range(first, end.saturating_sub(u32::from(next.is_some()))));
        }
        match next.and_then(|number| number.checked_add(1)) {
            Some(behind) => first = behind,
            None => break,
        }
    }
    if done.is_ok() {
        return;
    }
    // A kernel before 5.9. Without /proc too, those are closed of which we know.
    let mut last = highest();
    let _ = each_open(|number| last = last.max(number));
    for number in 0..=last {
        if !is_kept(number.unsigned_abs()) {
            Fd(number).close();
        }
    }
}

/// Notes which descriptors somebody left us for our children, at the start of a process that has opened nothing itself yet
/// but these. Best effort: without /proc nobody can tell those from 1024 on.
pub fn note_inherited(own: [Fd; 2]) -> Inherited {
    let mut listed = Inherited::default();
    let read = each_open(|number| listed.add(number));
    if read.is_err() {
        (3..TOLD).filter(|number| Fd(*number).is_open()).for_each(|number| listed.add(number));
    }
    let mut inherited = Inherited { own_from: 3, ..Inherited::default() };
    for number in (3..listed.own_from).filter(|number| listed.has(*number) && !own.contains(&Fd(*number))) {
        // That of the list itself is closed by now.
        if Fd(number).is_open() {
            inherited.add(number);
        }
    }
    saw(inherited.own_from - 1);
    if read.is_err() {
        inherited.own_from = 0;
    }
    OWN_FROM.store(inherited.own_from, Relaxed);
    inherited
}

/// Calls `visit` with the number of every open descriptor, that of the directory in which it reads them included. ENOENT:
/// there is no /proc.
pub fn each_open(mut visit: impl FnMut(i32)) -> Result<()> {
    dir::visit(Fd::CWD, c"/proc/self/fd", |name, _| {
        if let Some(number) = parse_u32(name.to_bytes()).and_then(|n| i32::try_from(n).ok()) {
            saw(number);
            visit(number);
        }
        ControlFlow::Continue(())
    })
}

/// Sets close-on-exec on all that is open, but for what was left to us for our children.
pub fn close_all_on_exec(inherited: Inherited) {
    let above = TOLD.max(inherited.own_from);
    let last = if above == TOLD { i32::MAX } else { TOLD };
    let mut first = 3;
    while let Some(start) = (first..TOLD).find(|number| !inherited.has(*number)) {
        let end = (start..TOLD).find(|number| inherited.has(*number)).unwrap_or(last);
        close_range_on_exec(inherited, start, end);
        first = end;
    }
    if first != last || above > TOLD {
        close_range_on_exec(inherited, above, i32::MAX);
    }
}

/// The part of [`close_all_on_exec`] from `start` on and before `end`; all of it, where the kernel has no such call.
fn close_range_on_exec(inherited: Inherited, start: i32, end: i32) {
    if super::raw::cloexec_range(start as u32, end as u32 - 1).is_err() {
        let one_by_one = each_open(|number| {
            if !inherited.has(number) {
                let _ = Fd(number).set_cloexec(true);
            }
        });
        let _ = one_by_one;
    }
}

/// From here on every descriptor is close-on-exec; 0: not known.
static OWN_FROM: AtomicI32 = AtomicI32::new(0);

/// Whether the kernel can cut off a part of a descriptor table (close_range(2)): 0 not known, 1 yes, 2 no.
static CUTS: AtomicU8 = AtomicU8::new(0);

/// The number from which on no child needs what is open: all of that is close-on-exec. A child that begins without it is
/// spared the copying and closing, which with a thousand services is most of what a start costs. `None`: not known, or
/// not to be had.
pub(super) fn own_from() -> Option<i32> {
    if CUTS.load(Relaxed) == 0 {
        let name = rustix::system::uname();
        let cuts = cuts_well(name.release().to_bytes(), name.version().to_bytes());
        CUTS.store(if cuts { 1 } else { 2 }, Relaxed);
    }
    let known = OWN_FROM.load(Relaxed);
    (known > 0 && CUTS.load(Relaxed) == 1).then_some(known)
}

/// Whether a kernel of this release cuts descriptor tables without leaving marks of the rest in the copy, which would
/// make later numbers of the child start far too high: since 6.11, and in late releases of the branches before. Debian tells the
/// release of the branch in the version only.
fn cuts_well(release: &[u8], version: &[u8]) -> bool {
    const DEBIAN: &[u8] = b"Debian ";
    let debian = version.windows(DEBIAN.len()).position(|word| word == DEBIAN);
    let told = debian.and_then(|at| version.get(at + DEBIAN.len()..)).unwrap_or(release);
    let mut numbers = told.split(|byte| !byte.is_ascii_digit()).map(|word| parse_u32(word).unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    match (next(), next(), next()) {
        (5, 10, patch) => patch >= 225,
        (5, 15, patch) => patch >= 166,
        (6, 1, patch) => patch >= 107,
        (6, 6, patch) => patch >= 48,
        (6, 10, patch) => patch >= 7,
        (6, minor, _) => minor >= 11,
        (major, ..) => major >= 7,
    }
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // BorrowedFd cannot hold -1; the highest number is never open and answers EBADF just as well.
        let raw = if self.0 == -1 { i32::MAX } else { self.0 };
        // SAFETY: only system calls look at it, and they check the number.
        unsafe { BorrowedFd::borrow_raw(raw) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_that_spoil_a_cut_descriptor_table_are_known() {
        for release in ["6.12.48+deb13-amd64", "6.11", "7.0.0-rc1", "10.2", "5.10.225", "6.1.140-v8", "6.6.48"] {
            assert!(cuts_well(release.as_bytes(), b"#1 SMP"), "{release}");
        }
        assert!(cuts_well(b"6.1.0-50-arm64", b"#1 SMP Debian 6.1.176-1 (2026-06-01)"));
        assert!(!cuts_well(b"6.1.0-18-arm64", b"#1 SMP Debian 6.1.76-1 (2024-02-01)"));
        for release in ["5.10.0-28-amd64", "5.10.224", "6.1.0-18", "6.5.13", "6.9.12", "4.19.300", "", "linux"] {
            assert!(!cuts_well(release.as_bytes(), b"#1 SMP"), "{release}");
        }
    }
}
