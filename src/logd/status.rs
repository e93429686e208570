//! Status files: each holds the last line that an action has had for it, and always a whole one.

use super::dir::Report;
use crate::limits::LOG_DIRECTIVES;
use crate::sys::{Fd, Result, file};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use core::ffi::CStr;
use heapless::Vec;
use rustix::fs::OFlags;

/// The lines that status files are to hold, as places in the bytes of a batch: what is overtaken within a batch is never
/// written. In the order in which the lines came.
pub struct Statuses {
    last: Vec<(u16, usize, usize), LOG_DIRECTIVES>,
}

impl Statuses {
    /// Nothing to write.
    pub const fn new() -> Statuses {
        Statuses { last: Vec::new() }
    }

    /// Action `number` has the line from byte `from` to `to`. `is_same`: whether another action has the same file.
    pub fn set(&mut self, number: u16, from: usize, to: usize, is_same: impl Fn(u16) -> bool) {
        self.last.retain(|(other, ..)| *other != number && !is_same(*other));
        let _ = self.last.push((number, from, to)); // there is room for every action
    }

    /// What was set: action, from, to. Nothing is to be written afterwards.
    pub fn take(&mut self) -> Vec<(u16, usize, usize), LOG_DIRECTIVES> {
        core::mem::take(&mut self.last)
    }
}

/// Writes a status file of `size` bytes (0: as many as there are): the pieces, of which the last is a newline, cut or
/// filled up with newlines.
pub fn write(path: &'static CStr, size: u32, pieces: &[&[u8]], report: &Report<'_>) {
    let name = path.to_bytes();
    let scratch = CPath::<4096>::of(&[name, b".new"]);
    if let Err(e) = scratch.path().and_then(|scratch| replace(path, scratch, size, pieces)) {
        report.warn(format_args!("unable to write status file {}: {}", Printable(name), Reason(e)));
    }
}

fn replace(path: &CStr, scratch: &CStr, size: u32, pieces: &[&[u8]]) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NONBLOCK;
    let mut fd = file::open(Fd::CWD, scratch, flags, 0o666)?;
    let done = fill(fd, size, pieces);
    fd.close();
    let done = done.and_then(|()| rustix::fs::rename(scratch, path));
    if done.is_err() {
        let _ = file::remove(Fd::CWD, scratch);
    }
    done
}

fn fill(fd: Fd, size: u32, pieces: &[&[u8]]) -> Result<()> {
    const NEWLINES: [u8; 1024] = [b'\n'; 1024];
    let mut left = if size == 0 { usize::MAX } else { size as usize };
    let mut block = Vec::<u8, 2048>::new();
    let mut put = |bytes: &[u8]| -> Result<()> {
        if block.extend_from_slice(bytes).is_err() {
            file::write_all(fd, &block)?;
            block.clear();
            if block.extend_from_slice(bytes).is_err() {
                file::write_all(fd, bytes)?;
            }
        }
        Ok(())
    };
    for piece in pieces {
        let piece = piece.get(..left.min(piece.len())).unwrap_or_default();
        left -= piece.len();
        put(piece)?;
    }
    while size > 0 && left > 0 {
        let piece = NEWLINES.get(..left.min(NEWLINES.len())).unwrap_or_default();
        left -= piece.len();
        put(piece)?;
    }
    file::write_all(fd, &block)
}
