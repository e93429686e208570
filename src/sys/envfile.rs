//! A directory of variables, as s6-envdir(8) reads it: a file for each, its name the variable's.
//!
//! Names with a `.` in front or a `=` in them are passed over. An empty file stands for a variable that is not set.
//! Otherwise the value is the first line without the blanks at its end. Nothing here waits: a FIFO counts as empty.

use super::{Errno, Fd, Result, dir, file};
use core::ffi::CStr;
use core::ops::ControlFlow;
use rustix::fs::OFlags;

/// Bytes of a file that count, unless all do: s6's number.
pub const CLAMP: usize = 4095;

/// How a file becomes a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct How {
    /// The whole file counts, not only its first line.
    pub verbatim: bool,
    /// Blanks at the end of the line (of the whole file: its last newline) go.
    pub chomp: bool,
    /// Only the first [`CLAMP`] bytes count.
    pub clamp: bool,
    /// What a NUL becomes.
    pub null_is: u8,
}

impl Default for How {
    fn default() -> How {
        How { verbatim: false, chomp: true, clamp: true, null_is: b'\n' }
    }
}

/// Calls `each` with the names of the variables that directory `path` has, until it answers with an error, which is then
/// the inner one. Errors: see open(2), getdents(2).
pub fn visit<E>(
    at: Fd,
    path: &CStr,
    mut each: impl FnMut(&CStr) -> core::result::Result<(), E>,
) -> Result<core::result::Result<(), E>> {
    let mut done = Ok(());
    dir::visit(at, path, |name, _| {
        let bytes = name.to_bytes();
        if !bytes.starts_with(b".") && !bytes.contains(&b'=') {
            done = each(name);
        }
        if done.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(done)
}

/// Reads a value to the beginning of `room`; its length, `None` if the file is empty. E2BIG: it fills the room.
pub fn read(at: Fd, path: &CStr, room: &mut [u8], how: &How) -> Result<Option<usize>> {
    let size = room.len();
    let limit = if how.clamp { size.min(CLAMP) } else { size };
    let mut fd = file::open(at, path, OFlags::RDONLY | OFlags::NONBLOCK, 0)?;
    let done = fill(fd, room.get_mut(..limit).unwrap_or_default(), how.verbatim);
    fd.close();
    let read = done?;
    match read.len() {
        0 => Ok(None),
        n if n == size => Err(Errno::TOOBIG),
        _ => Ok(Some(value(read, how))),
    }
}

/// Reads the file, or as much of it as has its first line.
fn fill(fd: Fd, room: &mut [u8], whole: bool) -> Result<&mut [u8]> {
    let mut len = 0;
    while let Some(rest) = room.get_mut(len..).filter(|rest| !rest.is_empty()) {
        let n = match file::read_some(fd, rest)? {
            0 => break,
            n => n,
        };
        len += n;
        if !whole && rest.iter().take(n).any(|byte| *byte == b'\n') {
            break;
        }
    }
    Ok(room.get_mut(..len).unwrap_or_default())
}

/// Makes the value out of what the file begins with; returns its length.
fn value(read: &mut [u8], how: &How) -> usize {
    let mut len = read.len();
    if how.verbatim {
        if how.chomp && read.last() == Some(&b'\n') {
            len -= 1;
        }
    } else {
        let line = read.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let blanks = line.iter().rev().take_while(|byte| how.chomp && matches!(byte, b' ' | b'\t' | b'\r')).count();
        len = line.len() - blanks;
    }
    for byte in read.iter_mut().take(len).filter(|byte| **byte == 0) {
        *byte = how.null_is;
    }
    len
}
