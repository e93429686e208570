//! `ucspilogd [-D defaultvalue] [var...]`: prints the lines of a syslog client, which comes on standard input, as
//! `facility.priority: text`.
//!
//! A line ends with a newline or a NUL. If it begins with a TAI64N stamp, that comes first. Then, for each var, comes what
//! it is set to (`-D`, or `<undefined>`, if it is not) and `: `. A line of any length stays one; those of 4096 bytes and
//! less are written in one piece, so that many clients' lines may go to one pipe.
//!
//! What looks like a stamp and has other characters than digits is none here; s6 looks at its length only.

use super::whole::Whole;
use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::limits::UCSPILOGD_INPUT;
use crate::sys::args::Args;
use crate::sys::cell::TakeCell;
use crate::sys::{Errno, Fd, Result, file};
use crate::text::syslog::{self, MARK_MAX};
use core::ffi::CStr;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -D defaultvalue ] [ var... ]";

/// A stamp and the space behind it.
const STAMP: usize = 26;

/// Of a line, what must be known before anything of it can be printed.
const HEAD: usize = STAMP + MARK_MAX + 1;

static INPUT: TakeCell<[u8; UCSPILOGD_INPUT]> = TakeCell::new([0; UCSPILOGD_INPUT]);
static OUTPUT: TakeCell<Whole> = TakeCell::new(Whole::new());

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut default = c"<undefined>";
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'D') => default = options.text()?,
                _ => return Err(WrongUsage),
            }
        }
        let variables = options.operands(0)?;
        let (Some(input), Some(output)) = (INPUT.take(), OUTPUT.take()) else {
            return Ok(cli.unable("run twice", Errno::BUSY));
        };
        let mut lines = Lines { cli, variables, default, head: heapless::Vec::new(), in_body: false, output };
        loop {
            match file::read_some(Fd::STDIN, input) {
                Ok(0) => break,
                Ok(n) => {
                    if let Err(e) = lines.take(input.get(..n).unwrap_or_default()) {
                        return Ok(cli.unable("write to stdout", e));
                    }
                }
                Err(e) => {
                    let _ = lines.end();
                    return Ok(cli.unable("read from stdin", e));
                }
            }
        }
        Ok(lines.end().map_or_else(|e| cli.unable("write to stdout", e), |()| 0))
    })
}

struct Lines<'c> {
    cli: &'c Cli,
    variables: Args,
    default: &'static CStr,
    /// The beginning of a line, of which nothing is printed yet.
    head: heapless::Vec<u8, HEAD>,
    /// The beginning of the line is printed.
    in_body: bool,
    output: &'static mut Whole,
}

fn write(piece: &[u8]) -> Result<()> {
    file::write_all(Fd::STDOUT, piece)
}

impl Lines<'_> {
    /// Prints what can be printed of more input.
    fn take(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| matches!(byte, 0 | b'\n'));
            let (mut line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if !self.in_body {
                let (first, later) = line.split_at(line.len().min(HEAD - self.head.len()));
                let _ = self.head.extend_from_slice(first); // it has room
                line = later;
                if end.is_some() || self.head.is_full() {
                    self.begin()?;
                }
            }
            self.output.put(line, &mut write)?;
            if end.is_some() {
                self.output.put(b"\n", &mut write)?;
                self.in_body = false;
            }
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.output.flush(&mut write)
    }

    /// Prints the beginning of a line.
    fn begin(&mut self) -> Result<()> {
        let head = core::mem::take(&mut self.head);
        let (stamp, rest) = head.split_at(if has_stamp(&head) { STAMP } else { 0 });
        self.put(stamp)?;
        for name in self.variables.iter() {
            let value = self.cli.env().get(name).unwrap_or(self.default);
            self.put(value.to_bytes())?;
            self.put(b": ")?;
        }
        let (origin, rest) = match syslog::split(rest) {
            Some((origin, rest)) => (Some(origin), rest),
            None => (None, rest),
        };
        if let Some(origin) = origin {
            for piece in [origin.facility_name(), ".", origin.priority_name(), ": "] {
                self.put(piece.as_bytes())?;
            }
        }
        self.put(rest)?;
        self.in_body = true;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.output.put(bytes, &mut write)
    }

    /// Nothing more comes: a line that has begun is completed.
    fn end(&mut self) -> Result<()> {
        if !self.head.is_empty() {
            self.begin()?;
        }
        if self.in_body {
            self.put(b"\n")?;
        }
        self.output.flush(&mut write)
    }
}

fn has_stamp(head: &[u8]) -> bool {
    match head.first_chunk::<STAMP>() {
        Some([b'@', digits @ .., b' ']) => digits.iter().all(u8::is_ascii_hexdigit),
        _ => false,
    }
}
