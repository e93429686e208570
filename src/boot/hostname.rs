//! The name of the machine: what the board config says, else what /etc/hostname does.

use crate::board::Board;
use crate::sys::{Errno, Fd, Result, file};
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::warning;
use rustix::fs::OFlags;

/// Longest host name, gethostname(2).
const LONGEST: usize = 64;

/// Sets it. Where nobody names one, the kernel's stays.
pub fn set(board: &Board<'_>) {
    let mut buf = [0; 1024];
    let name = match board.hostname() {
        Some(name) => name.as_bytes(),
        None => match read(&mut buf) {
            Ok(text) => first(text),
            Err(Errno::NOENT) => return,
            Err(e) => return warning!("cannot read /etc/hostname: {}", Reason(e)),
        },
    };
    if name.is_empty() {
        return;
    }
    let shown = Printable(name);
    if name.len() > LONGEST {
        return warning!("the host name {shown} is longer than {LONGEST} bytes: it is ignored");
    }
    if let Err(e) = rustix::system::sethostname(name) {
        warning!("cannot set the host name {shown}: {}", Reason(e));
    }
}

fn read(buf: &mut [u8]) -> Result<&[u8]> {
    let mut fd = file::open(Fd::CWD, c"/etc/hostname", OFlags::RDONLY | OFlags::NONBLOCK, 0)?;
    let done = file::read_full(fd, buf);
    fd.close();
    done.map(|n| buf.get(..n).unwrap_or_default())
}

/// The first line that is neither empty nor a comment, without what is blank around it; empty: there is none.
fn first(text: &[u8]) -> &[u8] {
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.find(|line| !line.is_empty() && !line.starts_with(b"#")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_says_something_is_the_name() {
        assert_eq!(first(b"pin\n"), b"pin");
        assert_eq!(first(b"# a comment\n\n \t pin \r\nother\n"), b"pin");
        assert_eq!(first(b"pin"), b"pin");
        for none in [&b""[..], b"\n \n", b"#pin"] {
            assert_eq!(first(none), b"");
        }
    }
}
