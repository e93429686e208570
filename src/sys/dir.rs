//! Reading directories.

use super::{Errno, Fd, Result, file};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::ops::ControlFlow;
use rustix::fs::{FileType, OFlags, RawDir};

/// Longest path of a directory, NUL included: PATH_MAX.
pub const PATH: usize = 4096;

/// The absolute path, without links, of an open directory. By way of our own working directory, which is the same again
/// after it: for clients. ENOENT: it has been removed.
pub fn real_path(dir: Fd, buf: &mut [u8; PATH]) -> Result<&CStr> {
    let mut here = file::open_dir(Fd::CWD, c".")?;
    let n = rustix::process::fchdir(dir).and_then(|()| {
        let n = super::raw::getcwd(buf);
        rustix::process::fchdir(here).and(n)
    });
    here.close();
    // A directory that our root does not reach is "(unreachable)…".
    let path = CStr::from_bytes_with_nul(buf.get(..n?).unwrap_or_default()).map_err(|_| Errno::INVAL)?;
    if path.to_bytes().starts_with(b"/") { Ok(path) } else { Err(Errno::NOENT) }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_directory_has_no_links() {
        // One test at a time: the working directory is the whole process's.
        let top = std::env::temp_dir().canonicalize().unwrap().join(format!("linchpin-dir-{}", std::process::id()));
        std::fs::create_dir_all(top.join("real")).unwrap();
        std::os::unix::fs::symlink("real", top.join("link")).unwrap();
        let path = std::ffi::CString::new(top.join("link").to_str().unwrap()).unwrap();
        let mut dir = file::open_dir(Fd::CWD, &path).unwrap();
        let before = std::env::current_dir().unwrap();
        let mut buf = [0; PATH];
        assert_eq!(real_path(dir, &mut buf).unwrap().to_str().unwrap(), top.join("real").to_str().unwrap());
        assert_eq!(std::env::current_dir().unwrap(), before);
        std::fs::remove_dir_all(&top).unwrap();
        assert_eq!(real_path(dir, &mut buf), Err(Errno::NOENT));
        dir.close();
    }
}
