//! Files read line by line through one small buffer.

use super::{Errno, Fd, Result, file};
use core::ffi::CStr;
use core::ops::ControlFlow;
use rustix::fs::OFlags;

/// Calls `visit` with every line of a file, without its newline, until it breaks. Returns how many lines were left out
/// because they, with their newline, do not fit into `buf`. The last line need not end in a newline.
/// Never waits (O_NONBLOCK).
pub fn visit(path: &CStr, buf: &mut [u8], visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<usize> {
    let mut fd = file::open(Fd::CWD, path, OFlags::RDONLY | OFlags::NONBLOCK, 0)?;
    let done = visit_fd(fd, buf, visit);
    fd.close();
    done
}

/// As [`visit`], of an open file.
pub fn visit_fd(fd: Fd, buf: &mut [u8], visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<usize> {
    let (mut len, mut skipped, mut skipping) = (0, 0, false);
    loop {
        let n = match rustix::io::read(fd, &mut buf[len..]) {
            Ok(n) => n,
            Err(Errno::INTR) => continue,
            Err(e) => return Err(e),
        };
        len += n;
        let mut rest = &buf[..len];
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            if !skipping && visit(&rest[..end]).is_break() {
                return Ok(skipped);
            }
            skipping = false;
            rest = &rest[end + 1..];
        }
        let left = rest.len();
        if n == 0 {
            if left > 0 && !skipping {
                let _ = visit(rest);
            }
            return Ok(skipped);
        }
        if left == buf.len() {
            skipped += usize::from(!skipping);
            skipping = true;
            len = 0;
        } else {
            buf.copy_within(len - left..len, 0);
            len = left;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

    const LINE: usize = 64;

    fn read(name: &str, content: &[u8]) -> (Vec<Vec<u8>>, usize) {
        let path = format!("/tmp/linchpin-lines-{}-{name}", std::process::id());
        std::fs::write(&path, content).unwrap();
        let mut lines = Vec::new();
        let skipped = visit(&CString::new(path.clone()).unwrap(), &mut [0; LINE], &mut |line| {
            lines.push(line.to_vec());
            ControlFlow::Continue(())
        });
        std::fs::remove_file(path).unwrap();
        (lines, skipped.unwrap())
    }

    #[test]
    fn lines_come_whole_whatever_the_buffer_holds_of_them() {
        let content = (0..3000).map(|i| format!("line {i}")).collect::<Vec<_>>();
        let (lines, skipped) = read("whole", content.join("\n").as_bytes());
        assert_eq!(skipped, 0);
        assert_eq!(lines, content.iter().map(|l| l.as_bytes().to_vec()).collect::<Vec<_>>());
    }

    #[test]
    fn a_line_that_is_too_long_is_counted_and_its_neighbours_are_read() {
        let long = "x".repeat(3 * LINE);
        let (lines, skipped) = read("long", format!("before\n{long}\nafter\n\n{long}").as_bytes());
        assert_eq!(lines, [&b"before"[..], b"after", b""]);
        assert_eq!(skipped, 2);
        let fits = "y".repeat(LINE - 1);
        assert_eq!(read("fits", format!("{fits}\n").as_bytes()), (vec![fits.into_bytes()], 0));
    }
}
