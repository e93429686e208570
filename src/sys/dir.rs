//! Reading directories.

use super::{Errno, Fd, Result, file};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::ops::ControlFlow;
use rustix::fs::{FileType, OFlags, RawDir};

/// Calls `visit` with the name and kind of every entry of `path` in `dir`, but `.` and `..`, in the order of the file
/// system, until it breaks. The kind is `Unknown` on file systems that do not tell.
pub fn visit(dir: Fd, path: &CStr, mut visit: impl FnMut(&CStr, FileType) -> ControlFlow<()>) -> Result<()> {
    let mut fd = file::open(dir, path, OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
    let mut buf = [MaybeUninit::<u8>::uninit(); 2048];
    let mut entries = RawDir::new(fd, &mut buf);
    let done = loop {
        match entries.next() {
            None => break Ok(()),
            Some(Err(Errno::INTR)) => {}
            Some(Err(e)) => break Err(e),
            Some(Ok(entry)) => {
                let name = entry.file_name();
                if name != c"." && name != c".." && visit(name, entry.file_type()).is_break() {
                    break Ok(());
                }
            }
        }
    };
    fd.close();
    done
}
