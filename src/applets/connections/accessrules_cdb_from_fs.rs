//! `s6-accessrules-cdb-from-fs [-m mode] cdbfile dir`: makes a constant database of the access rules in a directory.
//!
//! The new file takes the place of the old one at once and as a whole. Its mode is 0600, or what `-m` says (octal), whatever
//! the umask: a server that has given up root reads it too. Entries whose names begin with a `.`, and keys without a rule, are
//! passed over. 100: there is more than a database can hold: 4096 bytes of variables or of `exec` in one rule, [`RULES`]
//! rules, [`RULES_FILE`] bytes. 111: something cannot be read or written. Then the old file stays as it is.

use crate::access::database::ENV;
use crate::access::ruleset::{self, Why};
use crate::access::{Answer, Detail, EXEC, KeyPath, Rules, Subject, origin, rule};
use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::limits::{RULES, RULES_FILE};
use crate::sys::cell::TakeCell;
use crate::sys::{Errno, Fd, Result, dir, entry, file, random};
use crate::text::CPath;
use crate::text::cdb_make::{Full, Maker, Places};
use crate::text::number::parse_octal;
use crate::text::quote::Printable;
use core::ffi::CStr;
use core::ops::ControlFlow;
use rustix::fs::OFlags;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -m mode ] cdbfile dir";

static PLACES: TakeCell<Places<RULES>> = TakeCell::new(Places::new());

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut mode = 0o600;
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'm') | Opt::Long(b"mode") => {
                    let wanted = parse_octal(options.value()?).filter(|mode| *mode <= 0o7777);
                    mode = wanted.ok_or(WrongUsage)?;
                }
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(2)?;
        let (to, from) = (words.get(0).unwrap_or_default(), words.get(1).unwrap_or_default());
        let made = make(cli, from).and_then(|bytes| {
            replace(to, mode, bytes).map_err(|e| cli.unable(format_args!("make {}", Printable(to.to_bytes())), e))
        });
        Ok(made.err().unwrap_or(0))
    })
}

/// The database of the rules in `from`. What is wrong is said; the error is the exit code.
fn make(cli: &Cli, from: &CStr) -> core::result::Result<&'static [u8], i32> {
    let unable = |e| cli.unable(format_args!("opendir {}", Printable(from.to_bytes())), e);
    let (room, places) = match (ruleset::room(), PLACES.take()) {
        (Ok(room), Some(places)) => (room, places),
        _ => return Err(unable(Errno::BUSY)),
    };
    let mut dir = file::open_dir(Fd::CWD, from).map_err(unable)?;
    let maker = Maker::new(room, places).map_err(|full| too_large(cli, full))?;
    let mut making = Making { cli, name: Printable(from.to_bytes()), dir, maker, done: Ok(()) };
    let walked = dir::visit(dir, c".", |kind, _| making.take_kind(kind));
    dir.close();
    walked.map_err(unable)?;
    making.done?;
    making.maker.finish().map_err(|full| too_large(cli, full))
}

fn too_large(cli: &Cli, full: Full) -> i32 {
    match full {
        Full::Records => cli.refuse(format_args!("there are more than {RULES} rules")),
        Full::Bytes => cli.refuse(format_args!("the rules take more than {RULES_FILE} bytes")),
    }
}

struct Making<'a> {
    cli: &'a Cli,
    /// The directory's name.
    name: Printable<'a>,
    dir: Fd,
    maker: Maker<'static, RULES>,
    done: core::result::Result<(), i32>,
}

impl Making<'_> {
    /// Takes all rules of one kind: `uid`, `ip4`.
    fn take_kind(&mut self, kind: &CStr) -> ControlFlow<()> {
        if kind.to_bytes().starts_with(b".") {
            return ControlFlow::Continue(());
        }
        let walked = dir::visit(self.dir, kind, |name, _| {
            if !name.to_bytes().starts_with(b".") {
                self.done = self.take_rule(kind, name);
            }
            if self.done.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if let Err(e) = walked {
            let kind = Printable(kind.to_bytes());
            self.done = Err(self.cli.unable(format_args!("opendir {}/{kind}", self.name), e));
        }
        if self.done.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn take_rule(&mut self, kind: &CStr, name: &CStr) -> core::result::Result<(), i32> {
        let (cli, place) = (self.cli, &self.name);
        let key = KeyPath::of(&[kind.to_bytes(), b"/", name.to_bytes()]);
        let printed = Printable(key.as_bytes());
        let unable = |e| cli.fail(format_args!("unable to read the rule {place}/{printed}: {}", Why(e)));
        let mut said = Said::default();
        let path = key.path().map_err(unable)?;
        let added = match rule(Rules::Directory(self.dir), path, &mut |detail| said.note(detail)) {
            Err(trouble) => return Err(unable(trouble.errno)),
            Ok(Answer::Nothing) => return Ok(()),
            Ok(Answer::Deny) => self.maker.add(key.as_bytes(), &[b"D"]),
            Ok(Answer::Allow) if said.too_long => {
                return Err(cli.refuse(format_args!("{place}/{printed}/env is too big: more than {ENV} bytes")));
            }
            Ok(Answer::Allow) => {
                let length = |part: &[u8]| (part.len() as u16).to_be_bytes();
                let value = [b"A", &length(&said.env)[..], &said.env, &length(&said.exec), &said.exec];
                self.maker.add(key.as_bytes(), &value)
            }
        };
        added.map_err(|full| too_large(cli, full))?;
        if let Some(meant) = origin::written_otherwise(key.as_bytes()) {
            let meant = meant.path();
            let meant = Printable(meant.as_bytes());
            cli.warn(format_args!("no address is ever looked for under {printed}: should it be {meant}?"));
        }
        Ok(())
    }
}

/// What a rule that allows says besides, as a database has it.
#[derive(Default)]
struct Said {
    env: heapless::Vec<u8, ENV>,
    exec: heapless::Vec<u8, EXEC>,
    too_long: bool,
}

impl Said {
    fn note(&mut self, detail: Detail<'_>) {
        let mut put = |pieces: &[&[u8]]| pieces.iter().try_for_each(|piece| self.env.extend_from_slice(piece));
        let done = match detail {
            Detail::Variable(name, Some(value)) => put(&[name, b"=", value, b"\0"]),
            Detail::Variable(name, None) => put(&[name, b"\0"]),
            Detail::Exec(content) => self.exec.extend_from_slice(content),
        };
        self.too_long |= done.is_err();
    }
}

/// A name beside the file for what is to become it: nobody else's.
fn beside(path: &CStr) -> CPath<4096> {
    let mut seed = [0; 8];
    random::fill(&mut seed);
    let mut name = CPath::of(&[path.to_bytes(), b":new:"]);
    for byte in seed {
        name.push(&[b'a' + byte % 26]);
    }
    name
}

/// Puts a file with these bytes in the place of `path`; readers see the old one or the new one. It is on the disk before.
fn replace(path: &CStr, mode: u32, bytes: &[u8]) -> Result<()> {
    let name = beside(path);
    let name = name.path()?;
    let mut fd = file::open(Fd::CWD, name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, 0o600)?;
    let written =
        file::write_all(fd, bytes).and_then(|()| file::set_mode(Fd::CWD, name, mode)).and_then(|()| file::sync(fd));
    fd.close();
    let done = written.and_then(|()| entry::rename(Fd::CWD, name, path));
    if done.is_err() {
        let _ = file::remove(Fd::CWD, name);
    }
    done
}
