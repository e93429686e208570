//! `kmsg [-s] [-p priority] [tag]`: writes each line of standard input into the kernel's log, behind the tag. The logger of
//! images that have no room for another: dmesg(1) and the kernel's console show the lines, pstore keeps them.
//!
//! The priority is that of syslog(3): eight times a facility, plus a level; 30, a daemon's information, if none is given. A
//! line that is too long for a record goes on in the next one. With `-s` standard input is the socket of the syslog, a held
//! one: each datagram is a line, cut if it is too long, and has its own priority if it begins with `<N>`. Exit code: 0 when the input ends; 100: wrong usage; 111:
//! there is no /dev/kmsg, or something cannot be read or written.

use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::limits::KMSG_LINE;
use crate::sys::{Errno, Fd, Result, file, poll};
use crate::text::number::Decimal;
use rustix::fs::OFlags;

/// Usage line.
pub const USAGE: &str = "[-s] [-p priority] [tag]";

/// A daemon's information.
const USUAL: u32 = 3 << 3 | 6;
/// Above all facilities.
const PRIORITIES: u32 = 24 << 3;

/// What is written at once: a priority, the tag, and the beginning of a line.
type Record = heapless::Vec<u8, KMSG_LINE>;

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut priority, mut syslog) = (USUAL, false);
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b's') => syslog = true,
                Opt::Short(b'p') => priority = options.number()?,
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(0)?;
        let tag = words.iter().next().unwrap_or_default();
        if words.len() > 1 || priority >= PRIORITIES || tag.len() > KMSG_LINE / 2 {
            return Err(WrongUsage);
        }
        let mut fd = match file::open(Fd::CWD, c"/dev/kmsg", OFlags::WRONLY | OFlags::APPEND, 0) {
            Ok(fd) => fd,
            Err(e) => return Ok(cli.unable("open /dev/kmsg", e)),
        };
        let mut record = Record::new();
        let priority = Decimal::new(priority.into());
        let colon: &[u8] = if tag.is_empty() { b"" } else { b": " };
        let parts = [b"<", priority.as_bytes(), b">", tag, colon];
        // It is shorter than a record: see above.
        let _ = parts.iter().try_for_each(|part| record.extend_from_slice(part));
        let done = copy(fd, &mut record, syslog);
        fd.close();
        Ok(done.map_or_else(|e| cli.unable("copy lines to the kernel's log", e), |()| 0))
    })
}

/// Copies lines, or datagrams, each of which begins with what is in the record.
fn copy(to: Fd, record: &mut Record, syslog: bool) -> Result<()> {
    let start = record.len();
    let write = |record: &mut Record| {
        let done = if record.len() > start { file::write_all(to, record) } else { Ok(()) };
        record.truncate(start);
        done
    };
    let mut input = [0; KMSG_LINE];
    loop {
        let came = match file::read_some(Fd::STDIN, &mut input) {
            Ok(0) if !syslog => return write(record),
            Ok(n) => input.get(..n).unwrap_or_default(),
            // Others may have made it so.
            Err(Errno::AGAIN) => {
                poll::readable(Fd::STDIN, None)?;
                continue;
            }
            Err(e) => return Err(e),
        };
        if syslog {
            let message = came.trim_ascii_end().strip_suffix(b"\0").unwrap_or(came).trim_ascii_end();
            if message.starts_with(b"<") {
                file::write_all(to, message)?;
            } else {
                let room = KMSG_LINE - start;
                let _ = record.extend_from_slice(message.get(..room).unwrap_or(message));
                write(record)?;
            }
            continue;
        }
        for byte in came {
            if *byte == b'\n' {
                write(record)?;
            } else if record.push(*byte).is_err() {
                write(record)?;
                let _ = record.push(*byte);
            }
        }
    }
}
