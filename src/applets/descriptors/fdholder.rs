//! `fdholder-store`, `fdholder-retrieve`, `fdholder-delete`, `fdholder-list`: the clients of a fd-holder, as
//! s6-fdholder-*(8). Exit codes besides the common ones: 1 the store said no; 111 it could not be reached.

use crate::applets::cli::{Cli, Opt, Options, WrongUsage, print};
use crate::fdholder::client::{Connection, never};
use crate::limits::FDHOLDER_REPLY;
use crate::sys::cell::TakeCell;
use crate::sys::time::{self, MILLI, Nanos};
use crate::sys::{Errno, Fd};
use crate::text::quote::Printable;
use crate::text::tai::Stamp;
use core::ffi::CStr;
use core::fmt::Display;

/// The store was asked, and said no.
const REFUSED: i32 = 1;

/// The socket and the deadline, and how to connect to it.
struct Target {
    path: &'static CStr,
    deadline: Option<Nanos>,
}

impl Target {
    fn ask(&self, cli: &Cli, what: impl Display, ask: impl FnOnce(&mut Connection) -> Result<i32, Errno>) -> i32 {
        let path = Printable(self.path.to_bytes());
        match Connection::open(self.path, self.deadline) {
            Err(e) => cli.unable(format_args!("connect to a fd-holder daemon at {path}"), e),
            Ok(mut connection) => ask(&mut connection).unwrap_or_else(|e| {
                cli.unable(what, e);
                REFUSED
            }),
        }
    }
}

fn after(millis: u32) -> Option<Nanos> {
    (millis != 0).then(|| time::boot().saturating_add(u64::from(millis) * MILLI))
}

/// Reads options, of which `-t` is common to all; answers the socket, and the words from there on.
fn target<I: ExactSizeIterator<Item = &'static [u8]>>(
    mut options: Options<I>,
    words: usize,
    mut other: impl FnMut(u8, &mut Options<I>) -> Result<(), WrongUsage>,
) -> Result<(Target, crate::sys::args::Args), WrongUsage> {
    let mut timeout = 0;
    while let Some(option) = options.option()? {
        match option {
            Opt::Short(b't') => timeout = options.number()?,
            Opt::Short(letter) => other(letter, &mut options)?,
            Opt::Long(_) => return Err(WrongUsage),
        }
    }
    let words = options.operands(words)?;
    let path = words.get(0).ok_or(WrongUsage)?;
    Ok((Target { path, deadline: after(timeout) }, words))
}

/// `fdholder-store [-d fd] [-t ms] [-T ms] socket id`
pub fn store(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut fd, mut lifetime) = (0, 0);
        let (target, words) = target(cli.options(), 2, |letter, options| {
            match letter {
                b'd' => fd = i32::try_from(options.number()?).map_err(|_| WrongUsage)?,
                b'T' => lifetime = options.number()?,
                _ => return Err(WrongUsage),
            }
            Ok(())
        })?;
        let id = words.get(1).ok_or(WrongUsage)?.to_bytes();
        let limit = if lifetime == 0 { never() } else { Stamp::now().plus(u64::from(lifetime) * MILLI) };
        Ok(target.ask(cli, "store fd", |store| store.store(Fd(fd), id, limit).map(|()| 0)))
    })
}

/// `fdholder-delete [-t ms] socket id`
pub fn delete(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (target, words) = target(cli.options(), 2, |_, _| Err(WrongUsage))?;
        let id = words.get(1).ok_or(WrongUsage)?.to_bytes();
        Ok(target.ask(cli, format_args!("delete fd for id {}", Printable(id)), |store| store.delete(id).map(|()| 0)))
    })
}

/// `fdholder-retrieve [-D] [-t ms] socket id prog...`
pub fn retrieve(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut delete = false;
        let (target, words) = target(cli.options(), 3, |letter, _| {
            delete = true;
            if letter == b'D' { Ok(()) } else { Err(WrongUsage) }
        })?;
        let id = words.get(1).ok_or(WrongUsage)?.to_bytes();
        Ok(target.ask(cli, format_args!("retrieve fd for id {}", Printable(id)), |store| {
            let mut fd = store.retrieve(id, delete)?;
            store.close();
            if let Err(e) = fd.place(0) {
                return Ok(cli.unable("move the descriptor to 0", e));
            }
            if fd != Fd::STDIN {
                fd.close();
            }
            Ok(cli.exec(words.skip(2)))
        }))
    })
}

/// `fdholder-list [-t ms] socket`
pub fn list(cli: &Cli) -> i32 {
    static ANSWER: TakeCell<[u8; FDHOLDER_REPLY]> = TakeCell::new([0; FDHOLDER_REPLY]);
    cli.with_usage(|| {
        let (target, _) = target(cli.options(), 1, |_, _| Err(WrongUsage))?;
        Ok(target.ask(cli, "get fd list", |store| {
            let buf = ANSWER.take().map_or(&mut [][..], |buf| &mut buf[..]);
            let mut out = Out { buf: [0; 1024], len: 0, status: 0 };
            for id in store.list(buf)? {
                for byte in id {
                    out.quoted(cli, *byte);
                }
                out.push(cli, b"\n");
            }
            out.flush(cli);
            Ok(out.status)
        }))
    })
}

/// Standard output, a buffer at a time.
struct Out {
    buf: [u8; 1024],
    len: usize,
    status: i32,
}

impl Out {
    fn push(&mut self, cli: &Cli, bytes: &[u8]) {
        if self.len + bytes.len() > self.buf.len() {
            self.flush(cli);
        }
        if let Some(room) = self.buf.get_mut(self.len..self.len + bytes.len()) {
            room.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }

    /// As s6 shows identifiers: C's letters for 7 to 13, other controls and everything from 127 on in hex.
    fn quoted(&mut self, cli: &Cli, byte: u8) {
        let hex = |digit: u8| b"0123456789abcdef"[usize::from(digit & 15)];
        match byte {
            b'\\' => self.push(cli, b"\\\\"),
            7..=13 => self.push(cli, &[b'\\', b"abtnvfr"[usize::from(byte - 7)]]),
            0x20..0x7f => self.push(cli, &[byte]),
            _ => self.push(cli, &[b'\\', b'0', b'x', hex(byte >> 4), hex(byte)]),
        }
    }

    fn flush(&mut self, cli: &Cli) {
        if self.status == 0 && self.len > 0 {
            self.status = print(cli, self.buf.get(..self.len).unwrap_or(&[]));
        }
        self.len = 0;
    }
}
